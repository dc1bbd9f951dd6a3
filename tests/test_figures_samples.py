"""The figure of adversarial samples: originals above, the changed pixel circled, and what is no figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from figure_cases import declared_with_data, write
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.errors import UserError
from robustrepro.figures.adversarial_samples import draw

Images = NDArray[np.float64]
NORM = ("l1", "linf")


def drawn(folder: Path, originals: Images, adversarial: Images, **options: object) -> Figure:
    """Draw samples of images of shape (N, channels, height, width); the model takes them for 3 and then for 5."""
    count = len(originals)
    places = np.indices(originals.shape[1:]).reshape(3, -1)
    pixels = places.shape[1]
    parts = [("original", originals, 3), ("adversarial", adversarial, 5)]
    columns = {
        "sample": np.concatenate([np.repeat(10 * np.arange(count), pixels)] * 2),
        "part": np.concatenate([np.repeat([name], count * pixels) for name, _, _ in parts]),
        "prediction": np.concatenate([np.full(count * pixels, said) for _, _, said in parts]),
        "channel": np.tile(places[0], 2 * count),
        "y": np.tile(places[1], 2 * count),
        "x": np.tile(places[2], 2 * count),
        "value": np.concatenate([images.ravel() for _, images, _ in parts]),
        "origin_norm": np.concatenate([np.repeat([NORM[n % 2] for n in range(count)], pixels)] * 2),
    }
    write(folder, "samples", "m", 0, **columns)
    figure = {"name": "adversarial_samples", "model": "m", "measure": "samples", **options}
    return draw(*declared_with_data(folder, figure))


def some(count: int, channels: int = 1) -> tuple[Images, Images]:
    """Return images and the same with one pixel changed, at (y, x) = (2, 4)."""
    originals = np.random.default_rng(0).uniform(0.2, 0.8, (count, channels, 6, 7))
    adversarial = originals.copy()
    adversarial[:, :, 2, 4] += 0.15
    return originals, adversarial


def test_originals_stand_above_the_examples_and_the_model_is_quoted_over_each(tmp_path: Path) -> None:
    originals, adversarial = some(3)
    axes = drawn(tmp_path, originals, adversarial).axes
    assert [axis.get_title() for axis in axes] == ["3"] * 3 + ["5"] * 3
    for number, axis in enumerate(axes):
        expected = (originals if number < 3 else adversarial)[number % 3, 0]
        np.testing.assert_allclose(axis.images[0].get_array(), expected, rtol=1e-6)
        assert axis.images[0].get_clim() == (0, 1)
    assert [axis.get_ylabel() for axis in axes] == ["original", "", "", "adversarial", "", ""]
    assert [axis.get_xlabel() for axis in axes[3:]] == ["ℓ1", "ℓ∞", "ℓ1"]


@pytest.mark.parametrize("circled", [True, False])
def test_the_changed_pixel_is_circled_where_that_is_asked_for(tmp_path: Path, circled: bool) -> None:
    axes = drawn(tmp_path, *some(2), circled=circled).axes
    rings = [[each for each in axis.collections if isinstance(each, PathCollection)] for axis in axes]
    assert [len(of_axis) for of_axis in rings] == [0, 0, circled, circled]
    for of_axis in rings[2:]:
        for ring in of_axis:
            assert np.asarray(ring.get_offsets()).tolist() == [[4, 2]]


def test_colours_are_drawn_as_colours_and_pixels_out_of_range_are_said_to_be_clipped(tmp_path: Path) -> None:
    originals, adversarial = some(1, channels=3)
    adversarial[0, 0, 2, 4] = 1.4
    figure = drawn(tmp_path, originals, adversarial)
    shown = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_allclose(shown, adversarial[0].transpose(1, 2, 0).clip(0, 1), rtol=1e-6)
    assert "drawn as 0 and 1" in figure.get_suptitle().replace("\n", " ")


def test_preprocessed_images_are_stretched_by_the_range_of_all_originals(tmp_path: Path) -> None:
    # In an image's own range, that of one without contrast would be that of the noise.
    originals, adversarial = some(2)
    originals[1] = 0.5 + 0.01 * originals[1]
    figure = drawn(tmp_path, 10 * originals - 5, 10 * adversarial - 5)
    low, high = originals.min(), originals.max()
    for axis, images in zip(figure.axes, (*originals, *adversarial), strict=True):
        expected = ((images[0] - low) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(axis.images[0].get_array(), expected, rtol=1e-5, atol=1e-6)
    assert "from the least value of these originals" in figure.get_suptitle().replace("\n", " ")


def test_a_sample_that_is_the_same_before_and_after_is_no_figure(tmp_path: Path) -> None:
    originals, _ = some(2)
    with pytest.raises(UserError, match=r"samples/m/seed0\.parquet: it is the same before and after the attack"):
        drawn(tmp_path, originals, originals)

"""One image under every corruption, as pixels, and the sheet of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, write
from matplotlib.colors import to_rgba
from measuring import described, measured
from safetensors.torch import save_file

from robustrepro.corruptions.registry import CORRUPTIONS
from robustrepro.corruptions.seeded import SeededCorruptions
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.contact_sheet import draw
from robustrepro.measures.corrupted_samples import LARGEST, _smaller
from robustrepro.models.build import build_network
from robustrepro.spec.datasets import DATASETS
from robustrepro.spec.measurements import measure_of
from robustrepro.spec.networks import Network

NETWORK = {"architecture": {"name": "convnet", "channels": [4, 6]}}
FIGURE = {"name": "contact_sheet", "model": "m", "measure": "sheet"}


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "digits_rgb"
    prepare(DATASETS["digits_rgb"], folder)
    return folder


def sampled(colour: Path, folder: Path, **declared: Any) -> dict[str, np.ndarray]:
    model = build_network(Network.model_validate(NETWORK), (3, 32, 32), 10, seed=2)
    weights = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    columns, _ = measured(
        folder / "samples/m/seed0.parquet",
        colour,
        {"corrupted_samples": declared},
        [described(weights, seed=0, network=NETWORK)],
    )
    return {name: np.array(values) for name, values in columns.items()}


def test_pixels_are_those_that_a_measurement_of_accuracy_sees(colour: Path, tmp_path: Path) -> None:
    columns = sampled(colour, tmp_path, image=7, corruptions=["fog", "impulse_noise"])
    clean = load(colour, "test").inputs[7:8].numpy()
    assert len(columns["value"]) == (1 + 2 * 5) * clean.size
    seeded = SeededCorruptions(["fog", "impulse_noise"], None)
    for name in ("fog", "impulse_noise"):
        for severity in (1, 5):
            chosen = (columns["corruption"] == name) & (columns["severity"] == severity)
            expected = seeded.corrupted(name, severity, clean, [7])[0]
            np.testing.assert_allclose(columns["value"][chosen], expected.ravel() / 255, atol=1e-6)
    untouched = columns["corruption"] == "clean"
    np.testing.assert_allclose(columns["value"][untouched], clean.ravel() / 255, atol=1e-6)
    assert set(columns["index"]) == {7}


def test_an_image_that_there_is_not_is_refused(colour: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no test image 360, .* it has 360. Choose"):
        sampled(colour, tmp_path, image=360, corruptions=["fog"])


def test_a_large_image_is_kept_smaller_by_means_of_its_pixels() -> None:
    image = np.arange(3 * 224 * 224, dtype=np.uint64).reshape(3, 224, 224).astype(np.uint8) // 2
    small = _smaller(image)
    assert small.shape == (3, LARGEST, LARGEST)
    blocks = image.reshape(3, 112, 2, 112, 2).astype(float).mean((2, 4))
    assert np.abs(small - blocks).max() <= 0.51
    assert np.array_equal(_smaller(image[:, :64, :64]), image[:, :64, :64])


def sheet(folder: Path, *, changed: bool = True) -> dict[str, Any]:
    """Write pixels of two corruptions of a grey image; the model errs under snow at severity 5."""
    panels = [("clean", 0), *((name, severity) for name in ("fog", "snow") for severity in range(1, 6))]
    places = np.indices((3, 4, 4)).reshape(3, -1)
    count = places.shape[1]
    columns = {
        "index": np.full(count * len(panels), 3),
        "label": np.full(count * len(panels), 1),
        "corruption": np.repeat([name for name, _ in panels], count),
        "severity": np.repeat([severity for _, severity in panels], count),
        "prediction": np.repeat([2 if panel == ("snow", 5) else 1 for panel in panels], count),
        "value": np.repeat([0.5 + 0.05 * severity * changed for _, severity in panels], count),
    }
    columns |= {name: np.tile(places[number], len(panels)) for number, name in enumerate(("channel", "y", "x"))}
    write(folder, "sheet", "m", 0, **columns)
    return FIGURE


def test_a_sheet_has_a_row_per_corruption_and_frames_what_is_misclassified(tmp_path: Path) -> None:
    figure = draw(*declared_with_data(tmp_path, sheet(tmp_path)))
    assert len(figure.axes) == 10
    assert [axis.get_ylabel() for axis in figure.axes[::5]] == ["fog", "snow"]
    assert [axis.get_title() for axis in figure.axes[:5]] == ["1", "2", "3", "4", "5"]
    red = [to_rgba(axis.spines["left"].get_edgecolor()) == to_rgba(style.VERMILLION) for axis in figure.axes]
    assert red == [False] * 9 + [True]
    np.testing.assert_allclose(figure.axes[9].images[0].get_array(), 0.75, atol=1e-6)
    assert "test image 3" in figure.get_suptitle()


def test_a_corruption_that_changes_nothing_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"fog.*the image is as it was at every severity"):
        draw(*declared_with_data(tmp_path, sheet(tmp_path, changed=False)))


def test_all_fifteen_are_shown_where_none_are_named() -> None:
    measure = measure_of({"corrupted_samples": None}, "m")
    assert measure.known_values()["corruption"] == ["clean", *CORRUPTIONS]

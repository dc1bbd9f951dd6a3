"""Figures of recorded trainings: the numbers in them, and what is no figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from figure_cases import declared_with_data, write
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver
from numpy.typing import NDArray

from robustrepro.errors import UserError
from robustrepro.figures import training_gradients, training_paths
from robustrepro.figures.training_gradients import mean_resultant_length

Floats = NDArray[np.float64]
UPDATES, PARAMETERS, EVERY = 12, 5, 3
DRAWINGS = {"training_gradients": training_gradients.draw, "training_paths": training_paths.draw}


def random_path(seed: int) -> tuple[Floats, Floats]:
    """Return parameters and gradients with more variance in some directions than in others."""
    generator = np.random.default_rng(seed)
    scales = np.array([5.0, 2.0, 0.5, 0.1, 0.1])
    gradients = generator.normal(size=(UPDATES, PARAMETERS)) * scales
    values = np.cumsum(generator.normal(size=(UPDATES, PARAMETERS)) * scales, axis=0)
    return values, gradients * 10.0 ** -np.arange(UPDATES)[:, None]


def drawn_from(folder: Path, name: str, *paths: tuple[Floats, Floats]) -> Figure:
    """Draw one panel per path; its seed is its number."""
    panels = []
    for number, (values, gradients) in enumerate(paths):
        updates, parameters = values.shape
        write(
            folder,
            "path",
            f"m{number}",
            number,
            update=np.repeat(EVERY * np.arange(updates, dtype=np.int32), parameters),
            parameter=np.tile(np.arange(parameters, dtype=np.int32), updates),
            value=values.ravel().astype(np.float32),
            gradient=gradients.ravel().astype(np.float32),
        )
        panels.append({"label": f"Panel {number}", "model": f"m{number}", "seed": number})
    return DRAWINGS[name](*declared_with_data(folder, {"name": name, "measure": "path", "panels": panels}))


def projected(points: Floats, every_panels: list[Floats]) -> tuple[Floats, Floats]:
    """Return the projections on the two main axes up to sign, and all shares of variance, from the covariance."""
    together = np.concatenate(every_panels)
    variances, axes = np.linalg.eigh(np.cov(together.T))
    return (points - together.mean(0)) @ axes[:, :-3:-1], variances[::-1] / variances.sum()


def unit(gradients: Floats) -> Floats:
    return gradients / np.linalg.norm(gradients, axis=1, keepdims=True)


def axis_labels(figure: Figure) -> list[str]:
    return [figure.get_supxlabel(), figure.get_supylabel()]


def test_all_panels_gradients_are_projected_on_the_same_axes_which_say_what_they_explain(tmp_path: Path) -> None:
    paths = [random_path(0), random_path(1)]
    drawn = drawn_from(tmp_path, "training_gradients", *paths)
    directions = [unit(gradients) for _, gradients in paths]
    for axis, (_, gradients), direction in zip(drawn.axes, paths, directions, strict=False):
        (points,) = (each for each in axis.collections if isinstance(each, PathCollection))
        expected, shares = projected(direction, directions)
        assert np.abs(np.asarray(points.get_offsets())) == pytest.approx(np.abs(expected), abs=1e-5)
        assert np.asarray(points.get_array()) == pytest.approx(np.linalg.norm(gradients, axis=1), rel=1e-5)
    assert axis_labels(drawn) == [
        f"first component: {shares[0]:.0%} of the variance of all unit gradients",
        f"second component: {shares[1]:.0%}",
    ]
    assert drawn.get_suptitle().startswith("scale quick; seeds 0, 1; 12 updates a panel; R: ")


def test_a_panel_says_how_consistent_its_directions_are(tmp_path: Path) -> None:
    paths = [random_path(0), random_path(1)]
    drawn = drawn_from(tmp_path, "training_gradients", *paths)
    lengths = [np.sqrt(np.square(sum(unit(gradients)) / UPDATES).sum()) for _, gradients in paths]
    titles = [axis.get_title() for axis in drawn.axes[:2]]
    assert titles == [f"Panel {number}: R = {length:.2f}" for number, length in enumerate(lengths)]
    assert f"{lengths[0]:.2f}" != f"{lengths[1]:.2f}"


@pytest.mark.parametrize(("degrees", "length"), [(0, 1.0), (90, 0.5**0.5), (120, 0.5), (180, 0.0)])
def test_the_mean_resultant_length_of_two_directions_is_the_cosine_of_half_their_angle(
    degrees: float, length: float
) -> None:
    angles = np.radians([10, 10 + degrees])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert mean_resultant_length(directions) == pytest.approx(length, abs=1e-12)


def test_a_gradient_of_length_zero_has_no_direction(tmp_path: Path) -> None:
    values, gradients = random_path(0)
    gradients[4:6] = 0
    drawn = drawn_from(tmp_path, "training_gradients", (values, gradients), random_path(1))
    length = np.linalg.norm(unit(np.delete(gradients, [4, 5], axis=0)).mean(0))
    assert drawn.axes[0].get_title() == f"Panel 0: R = {length:.2f}"
    assert "10 to 12 updates a panel" in drawn.get_suptitle()


def test_a_path_leads_through_its_projected_parameters_and_its_arrows_point_down_the_gradient(tmp_path: Path) -> None:
    paths = [random_path(0), random_path(1)]
    drawn = drawn_from(tmp_path, "training_paths", *paths)
    every = [values for values, _ in paths]
    for axis, (values, gradients) in zip(drawn.axes, paths, strict=False):
        expected, shares = projected(values, every)
        line = np.stack(axis.lines[0].get_data(), axis=1)
        assert np.abs(line) == pytest.approx(np.abs(expected), abs=1e-4)
        sign = np.sign(line[0] / expected[0])
        descent = sign * (projected(-gradients, every)[0] - projected(0 * gradients, every)[0])
        (arrows,) = (each for each in axis.collections if isinstance(each, Quiver))
        assert np.stack([arrows.U, arrows.V], axis=1) == pytest.approx(unit(descent), abs=1e-4)
        assert np.asarray(arrows.get_offsets()) == pytest.approx(line, abs=1e-6)
        assert np.asarray(arrows.get_array()).tolist() == (EVERY * np.arange(UPDATES)).tolist()
    assert axis_labels(drawn) == [
        f"first component: {shares[0]:.0%} of the variance of all parameters",
        f"second component: {shares[1]:.0%}",
    ]


def test_a_long_path_has_no_more_arrows_than_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_paths, "ARROWS", 4)
    drawn = drawn_from(tmp_path, "training_paths", random_path(0))
    (arrows,) = (each for each in drawn.axes[0].collections if isinstance(each, Quiver))
    assert np.asarray(arrows.get_array()).tolist() == [0, 9, 21, 33]  # the first and the last update among them


@pytest.mark.parametrize("name", DRAWINGS)
def test_an_empty_path_is_no_figure(tmp_path: Path, name: str) -> None:
    empty = np.empty((0, PARAMETERS)), np.empty((0, PARAMETERS))
    with pytest.raises(UserError, match=r"figure, panel Panel 1: .*/m1/seed1\.parquet: no update was recorded"):
        drawn_from(tmp_path, name, random_path(0), empty)


@pytest.mark.parametrize("name", DRAWINGS)
def test_models_of_different_sizes_share_no_axes(tmp_path: Path, name: str) -> None:
    values, gradients = random_path(1)
    with pytest.raises(UserError, match=r"panel Panel 1: .*/m1/seed1\.parquet: 4 parameters, but Panel 0 has 5"):
        drawn_from(tmp_path, name, random_path(0), (values[:, :4], gradients[:, :4]))


@pytest.mark.parametrize("length", [0.0, 1.0])
def test_gradients_without_two_directions_are_no_figure(tmp_path: Path, length: float) -> None:
    values, gradients = random_path(1)
    gradients[:] = length
    with pytest.raises(UserError, match=r"panel Panel 1: .*/m1/seed1\.parquet: its (0|12) gradients .* show no two"):
        drawn_from(tmp_path, "training_gradients", random_path(0), (values, gradients))


def test_parameters_that_never_change_are_no_figure(tmp_path: Path) -> None:
    values, gradients = random_path(1)
    values[:] = values[0]
    with pytest.raises(UserError, match=r"panel Panel 1: .*/m1/seed1\.parquet: the parameters never change"):
        drawn_from(tmp_path, "training_paths", random_path(0), (values, gradients))

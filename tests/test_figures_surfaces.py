"""Figures of surfaces: contours, the decision boundary, the way there, and what is no surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, write
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from mpl_toolkits.mplot3d import Axes3D

from robustrepro.errors import UserError
from robustrepro.figures.surfaces import draw, nearest_zero

STEPS = np.linspace(-1, 1, 5)
X, Y = (axis.ravel() for axis in np.meshgrid(STEPS, STEPS))


def plane(folder: Path, value: np.ndarray, *, function: str = "margin", **columns: Any) -> None:
    """Write one surface of the model ``a``."""
    count = len(value)
    write(folder, "s", "a", 0, function=[function] * count, x=X[:count], y=Y[:count], value=value, **columns)


def drawn(folder: Path, *panels: dict[str, Any], **options: Any) -> Figure:
    shown = [{"label": "A", "model": "a", "measure": "s", "function": "margin", **panel} for panel in panels or ({},)]
    return draw(*declared_with_data(folder, {"name": "surfaces", "panels": shown, **options}))


def arrows(figure: Figure) -> list[tuple[float, float]]:
    return [text.xy for text in figure.findobj(Annotation) if text.arrow_patch is not None]


def test_arrows_go_to_the_boundary_along_both_axes(tmp_path: Path) -> None:
    plane(tmp_path, 1 - 2 * Y + X / 0.8)  # L = 0 at y = 0.5 and x = -0.8
    figure = drawn(tmp_path)
    ends = arrows(figure)
    assert ends == [pytest.approx((-0.8, 0)), pytest.approx((0, 0.5))]
    assert "scale quick; seed 0; red: L = 0" in figure.get_suptitle().replace("\n", " ")


def test_without_a_boundary_there_is_no_arrow_and_no_red_line(tmp_path: Path) -> None:
    plane(tmp_path, 5 - Y)
    figure = drawn(tmp_path)
    assert arrows(figure) == []
    assert figure.get_suptitle() == "scale quick; seed 0"


def test_a_loss_has_contours_alone(tmp_path: Path) -> None:
    plane(tmp_path, X + Y, function="cross_entropy")
    figure = drawn(tmp_path, {"function": "cross_entropy"}, axes=["α (random)", "β (C&W)"])
    assert arrows(figure) == []
    assert "red" not in figure.get_suptitle()
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("α (random)", "β (C&W)")


def test_a_surface_is_seen_from_the_side_beside_its_contours(tmp_path: Path) -> None:
    plane(tmp_path, 1 - Y)
    figure = drawn(tmp_path, {"view": "3d"}, {"label": "B"}, {"label": "C"}, columns=2)
    assert [isinstance(axis, Axes3D) for axis in figure.axes] == [True, False, False]
    assert [axis.get_title() for axis in figure.axes] == ["A", "B", "C"]
    assert figure.axes[0].get_subplotspec().get_gridspec().get_geometry() == (2, 2)


def test_the_image_is_chosen_where_there_are_several(tmp_path: Path) -> None:
    write(
        tmp_path,
        *("s", "a", 0),
        function=["margin"] * 50,
        index=np.repeat([4, 9], 25),
        x=np.tile(X, 2),
        y=np.tile(Y, 2),
        value=np.concatenate([1 - 2 * Y, 1 - 4 * Y]),
    )
    assert arrows(drawn(tmp_path, {"image": 9})) == [pytest.approx((0, 0.25))]
    with pytest.raises(UserError, match=r"panel A: .*there are surfaces around several images; name one under 'image'"):
        drawn(tmp_path)
    with pytest.raises(UserError, match=r"panel A: .*there is no surface of margin around image 5"):
        drawn(tmp_path, {"image": 5})


def test_what_is_flat_or_missing_is_no_surface(tmp_path: Path) -> None:
    plane(tmp_path, np.ones(25))
    with pytest.raises(UserError, match=r"figure, panel A: .*seed0.parquet: margin is the same everywhere"):
        drawn(tmp_path)
    with pytest.raises(UserError, match="there is no surface of confidence"):
        drawn(tmp_path, {"function": "confidence"})
    with pytest.raises(UserError, match="there is no surface of margin around image 1"):
        drawn(tmp_path, {"image": 1})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5, 3, 1, -1, -3], 0.25),
        ([-3, 1, 1, 1, -1], -0.625),
        ([5, 4, 3, 2, 1], None),
        ([-5, -4, -3, -2, -1], None),  # wrong already
        ([1, 1, 1, 0, 0], 0.5),
    ],
)
def test_the_nearest_zero_of_a_line_is_interpolated(values: list[float], expected: float | None) -> None:
    found = nearest_zero(STEPS, np.array(values, dtype=float))
    assert found == (expected if expected is None else pytest.approx(expected))

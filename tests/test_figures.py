"""Figures from measurements: as many panels as declared, never an empty or constant one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from robustrepro.errors import UserError
from robustrepro.figures.decision_boundaries import draw
from robustrepro.figures.step import figure_step
from robustrepro.measurements.store import write_measurement

SIDE = 20
POINTS = np.array([[-1.0, 0.0], [1.0, 0.0], [0.5, 1.0]])
LABELS = np.array([0, 1, 0])  # the last point lies where the model says 1


def measure(path: Path, *, slope: float = 1.0, points: int = 3) -> str:
    """Write a model whose probability of class 1 grows with x, on a grid and on its training points."""
    axis = np.linspace(-2, 2, SIDE)
    y, x = (values.ravel() for values in np.meshgrid(axis, axis, indexing="ij"))
    x, y = np.concatenate([x, POINTS[:points, 0]]), np.concatenate([y, POINTS[:points, 1]])
    probability = 1 / (1 + np.exp(-slope * x))
    columns = {
        "part": np.array(["grid"] * SIDE**2 + ["train"] * points),
        "x": x,
        "y": y,
        "label": np.concatenate([np.full(SIDE**2, -1), LABELS[:points]]),
        "prediction": (probability > 0.5).astype(np.int64),
        "probability": probability,
    }
    write_measurement(path, columns, {})
    return str(path)


def spec_of(*measurements: str, columns: int | None = None) -> dict[str, Any]:
    panels = [
        {"label": f"Panel {number}", "model": f"model-{number}", "seed": 3, "measurement": path}
        for number, path in enumerate(measurements)
    ]
    figure = {"name": "decision_boundaries", "resolution": SIDE, "columns": columns, "panels": panels}
    return {"id": "figure2", "scale": "quick", "figure": figure}


@pytest.mark.parametrize("panels", [1, 3])
def test_every_declared_panel_is_drawn_and_counts_what_its_model_ignores(tmp_path: Path, panels: int) -> None:
    paths = [measure(tmp_path / f"{number}.parquet", slope=number + 1) for number in range(panels)]
    drawn = draw(spec_of(*paths))
    assert [axis.get_title() for axis in drawn.axes] == [f"Panel {n}: ignores 1 of 3" for n in range(panels)]
    assert drawn.get_suptitle().startswith("scale quick; seed 3; ")


def test_panels_stand_in_as_many_columns_as_declared(tmp_path: Path) -> None:
    path = measure(tmp_path / "0.parquet")
    drawn = draw(spec_of(path, path, path, columns=2))
    places = [axis.get_subplotspec() for axis in drawn.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places if place] == [(0, 0), (0, 1), (1, 0)]


def test_a_panel_has_the_regions_the_right_way_up_and_every_point_in_its_place(tmp_path: Path) -> None:
    (axis,) = draw(spec_of(measure(tmp_path / "0.parquet"))).axes
    mesh, *_, zeros, ones, ignored = axis.collections
    regions = np.asarray(mesh.get_array()).reshape(SIDE, SIDE)
    assert (np.diff(regions, axis=1) > 0).all()  # grows to the right
    assert (np.diff(regions, axis=0) == 0).all()
    assert np.asarray(zeros.get_offsets()).tolist() == POINTS[LABELS == 0].tolist()
    assert np.asarray(ones.get_offsets()).tolist() == POINTS[LABELS == 1].tolist()
    assert np.asarray(ignored.get_offsets()).tolist() == [POINTS[2].tolist()]


def test_a_model_that_says_the_same_everywhere_is_no_figure(tmp_path: Path) -> None:
    paths = [measure(tmp_path / "0.parquet"), measure(tmp_path / "1.parquet", slope=0.0)]
    message = f"figure2, panel Panel 1: {paths[1]}: the model model-1 says the same everywhere"
    with pytest.raises(UserError, match=message):
        draw(spec_of(*paths))


def test_a_panel_without_points_is_no_figure(tmp_path: Path) -> None:
    path = measure(tmp_path / "0.parquet", points=0)
    with pytest.raises(UserError, match=f"figure2, panel Panel 0: {path}: there are no training points"):
        draw(spec_of(path))


def test_a_figure_is_a_png_and_a_pdf_of_the_same_bytes_every_time(tmp_path: Path) -> None:
    spec = spec_of(measure(tmp_path / "0.parquet"), measure(tmp_path / "1.parquet", slope=3.0))
    for folder in ("first", "second"):
        figure_step(spec, tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["figure2.pdf", "figure2.png"]
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    with Image.open(tmp_path / "first/figure2.png") as image:
        assert image.format == "PNG"
        assert image.width > image.height > 300
    assert (tmp_path / "first/figure2.pdf").read_bytes().startswith(b"%PDF")


def test_nothing_is_written_of_a_figure_that_fails(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        figure_step(spec_of(measure(tmp_path / "0.parquet", slope=0.0)), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()

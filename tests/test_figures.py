"""Decision regions, and the step that writes a figure: never an empty or constant panel, always the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, figure_spec, write
from matplotlib.figure import Figure
from PIL import Image

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.decision_boundaries import draw
from robustrepro.figures.step import run
from robustrepro.steps import Work

SIDE = 20
POINTS = np.array([[-1.0, 0.0], [1.0, 0.0], [0.5, 1.0]])
LABELS = np.array([0, 1, 0])  # the last point lies where the model says 1


def measure(folder: Path, number: int, *, slope: float = 1.0, points: int = 3) -> str:
    """Write a model whose probability of class 1 grows with x, on a grid and on its training points."""
    axis = np.linspace(-2, 2, SIDE)
    y, x = (values.ravel() for values in np.meshgrid(axis, axis, indexing="ij"))
    x, y = np.concatenate([x, POINTS[:points, 0]]), np.concatenate([y, POINTS[:points, 1]])
    probability = 1 / (1 + np.exp(-slope * x))
    return write(
        folder,
        "grid",
        f"model-{number}",
        3,
        part=np.array(["grid"] * SIDE**2 + ["train"] * points),
        x=x,
        y=y,
        label=np.concatenate([np.full(SIDE**2, -1), LABELS[:points]]),
        prediction=(probability > 0.5).astype(np.int64),
        probability=probability,
    )


def boundaries(panels: int, **changed: Any) -> dict[str, Any]:
    drawn = [{"label": f"Panel {number}", "model": f"model-{number}", "seed": 3} for number in range(panels)]
    return {"name": "decision_boundaries", "measure": "grid", "panels": drawn, **changed}


def drawn_from(folder: Path, panels: int, **changed: Any) -> Figure:
    return draw(*declared_with_data(folder, boundaries(panels, **changed)))


@pytest.mark.parametrize("panels", [1, 3])
def test_every_declared_panel_is_drawn_and_counts_what_its_model_ignores(tmp_path: Path, panels: int) -> None:
    for number in range(panels):
        measure(tmp_path, number, slope=number + 1)
    drawn = drawn_from(tmp_path, panels)
    assert [axis.get_title() for axis in drawn.axes] == [f"Panel {n}: ignores 1 of 3" for n in range(panels)]
    assert drawn.get_suptitle().startswith("scale quick; seed 3; ")


def test_panels_stand_in_as_many_columns_as_declared(tmp_path: Path) -> None:
    for number in range(3):
        measure(tmp_path, number)
    places = [axis.get_subplotspec() for axis in drawn_from(tmp_path, 3, columns=2).axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places if place] == [(0, 0), (0, 1), (1, 0)]


def test_a_panel_has_the_regions_the_right_way_up_and_every_point_in_its_place(tmp_path: Path) -> None:
    measure(tmp_path, 0)
    (axis,) = drawn_from(tmp_path, 1).axes
    mesh, *_, zeros, ones, ignored = axis.collections
    regions = np.asarray(mesh.get_array()).reshape(SIDE, SIDE)
    assert (np.diff(regions, axis=1) > 0).all()  # grows to the right
    assert (np.diff(regions, axis=0) == 0).all()
    assert np.asarray(zeros.get_offsets()).tolist() == POINTS[LABELS == 0].tolist()
    assert np.asarray(ones.get_offsets()).tolist() == POINTS[LABELS == 1].tolist()
    assert np.asarray(ignored.get_offsets()).tolist() == [POINTS[2].tolist()]


def test_a_model_that_says_the_same_everywhere_is_no_figure(tmp_path: Path) -> None:
    measure(tmp_path, 0)
    file = measure(tmp_path, 1, slope=0.0)
    with pytest.raises(UserError, match=f"figure, panel Panel 1: {file}: the model model-1 says the same everywhere"):
        drawn_from(tmp_path, 2)


def test_a_panel_without_points_is_no_figure(tmp_path: Path) -> None:
    file = measure(tmp_path, 0, points=0)
    with pytest.raises(UserError, match=f"figure, panel Panel 0: {file}: there are no training points"):
        drawn_from(tmp_path, 1)


def lines(folder: Path) -> dict[str, Any]:
    """Return a figure of two series of three seeds, so that there is an interval to bootstrap."""
    generator = np.random.default_rng(0)
    for model in ("a", "b"):
        for seed in range(3):
            write(folder, "history", model, seed, epoch=np.arange(5), loss=generator.normal(size=5))
    series = [{"model": model, "measure": "history", "label": model} for model in ("a", "b")]
    x, y = {"column": "epoch", "label": "epoch"}, {"column": "loss", "label": "loss"}
    return {"name": "lines", "x": x, "y": y, "series": series}


def regions(folder: Path) -> dict[str, Any]:
    measure(folder, 0)
    measure(folder, 1, slope=3.0)
    return boundaries(2)


@pytest.mark.parametrize("figure", [regions, lines])
def test_a_figure_is_a_png_and_a_pdf_of_the_same_bytes_every_time(tmp_path: Path, figure: Any) -> None:
    spec = figure_spec(tmp_path / "results", figure(tmp_path / "results"))
    for folder in ("first", "second"):
        outputs = [tmp_path / folder / f"figure{suffix}" for suffix in (".png", ".pdf")]
        run(Work(spec, code="", inputs={}, outputs=outputs))
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["figure.pdf", "figure.png"]
    for name in ("figure.png", "figure.pdf"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    with Image.open(tmp_path / "first/figure.png") as image:
        assert image.format == "PNG"
        assert image.width > image.height > 300
    assert (tmp_path / "first/figure.pdf").read_bytes().startswith(b"%PDF")


def test_nothing_is_written_of_a_figure_that_fails(tmp_path: Path) -> None:
    measure(tmp_path, 0, slope=0.0)
    outputs = [tmp_path / "figures/figure.png", tmp_path / "figures/figure.pdf"]
    with pytest.raises(UserError):
        run(Work(figure_spec(tmp_path, boundaries(1)), code="", inputs={}, outputs=outputs))
    assert not (tmp_path / "figures").exists()


def test_a_missing_measurement_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "measurements/grid/model-0/seed3.parquet"
    with pytest.raises(UserError, match=f"{file}: there is no such measurement; run snakemake"):
        drawn_from(tmp_path, 1)


def test_a_wrapped_title_keeps_a_number_with_its_name() -> None:
    lines = style.wrapped("PGD, 20 steps, ε = 8/255", 1.2, style.TITLE).splitlines()
    assert len(lines) > 1
    assert "ε = 8/255" in lines[-1]

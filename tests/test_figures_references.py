"""Figures of lines over epochs: numbers to compare with, and shares of examples of which something is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Declarations
from figure_cases import declared_with_data, write
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.lines import draw

EPOCHS = (1, 2, 3)
EPOCH = {"column": "epoch", "label": "epoch"}
SHARE = {"column": "accuracy", "label": "images", "unit": "%", "factor": 100, "limits": [0, 100]}
PRINTED = [
    {"y": 24.55, "label": "as printed", "hue": "ERM", "panel": "accuracy"},
    {"y": 71.4, "label": "as printed", "hue": "HRM", "panel": "accuracy"},
]


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Two models over three epochs, of ten images: ever fewer resist, and ever more lack a gradient; of `b`, none."""
    for model, lost in (("a", 1), ("b", 0)):
        epoch, index = np.repeat(EPOCHS, 10), np.tile(np.arange(10), 3)
        label = np.zeros_like(index)
        wrong = (index < 2 * epoch).astype(int)
        write(
            tmp_path,
            "over",
            model,
            0,
            epoch=epoch,
            label=label,
            clean_prediction=label,
            prediction=wrong,
            without_gradient=index < lost * epoch,
        )
    return tmp_path


def series(model: str, label: str, panel: str, **changed: Any) -> dict[str, Any]:
    return {"model": model, "measure": "over", "label": label, "columns": {"shown": panel}, **changed}


PANELS = [
    series("a", "ERM", "accuracy"),
    series("b", "HRM", "accuracy"),
    series("a", "ERM", "without a gradient", y="without_gradient"),
    series("b", "HRM", "without a gradient", y="without_gradient"),
]


def drawn(folder: Path, **figure: Any) -> Figure:
    declared = {"name": "lines", "x": EPOCH, "y": SHARE, "panels": "shown", "series": PANELS, **figure}
    return draw(*declared_with_data(folder, declared))


def heights(axis: Axes) -> list[list[float]]:
    """Return y of each line of measurements."""
    return [np.asarray(line.get_ydata()).tolist() for line in axis.lines if not is_reference(line)]


def is_reference(line: Line2D) -> bool:
    return len(np.asarray(line.get_xdata())) == 2


def references(axis: Axes) -> list[tuple[float, str]]:
    """Return height and colour of each reference."""
    return [(line.get_ydata()[0], to_hex(line.get_color())) for line in axis.lines if is_reference(line)]  # type: ignore[index]


def test_a_panel_may_show_the_share_of_which_something_is_true_beside_accuracies(measured: Path) -> None:
    left, right = drawn(measured).axes
    assert heights(left) == [[80, 60, 40]] * 2
    assert heights(right) == [[10, 20, 30], [0, 0, 0]]
    assert (left.get_title(), right.get_title()) == ("accuracy", "without a gradient")
    assert left.get_ylabel() == "images (%)"


def test_a_share_that_is_the_same_everywhere_is_shown_and_said(measured: Path) -> None:
    _, right = drawn(measured, series=[*PANELS[:2], PANELS[3]]).axes
    assert heights(right) == [[0, 0, 0]]
    assert right.get_title() == "without a gradient: all 0%"
    share = {**SHARE, "column": "without_gradient"}
    (axis,) = drawn(measured, y=share, panels=None, series=PANELS[1:2]).axes
    assert axis.get_title() == "all 0%"


def test_an_accuracy_that_is_the_same_everywhere_is_said_in_the_unit_of_its_axis(measured: Path) -> None:
    same = {"column": "accuracy", "label": "accuracy"}
    (axis,) = drawn(measured, y=same, panels=None, series=[{**PANELS[0], "rows": {"epoch": 1}}]).axes
    assert axis.get_title() == "all 0.8"


def test_only_accuracies_are_shown_without_attack(measured: Path) -> None:
    left, right = drawn(measured, clean_at=0).axes
    assert heights(left)[0] == [100, 80, 60, 40]
    assert heights(right)[0] == [10, 20, 30]


def test_a_reference_has_the_colour_of_its_hue_and_lies_in_its_panel(measured: Path) -> None:
    figure = drawn(measured, references=PRINTED)
    left, right = figure.axes
    colours = style.colours_of(["ERM", "HRM"])
    assert references(left) == [(24.55, colours["ERM"].lower()), (71.4, colours["HRM"].lower())]
    assert references(right) == []
    thin = [line for line in left.lines if is_reference(line)]
    lines = [line for line in left.lines if not is_reference(line)]
    assert {line.is_dashed() for line in thin} == {True}
    assert max(line.get_linewidth() for line in thin) < min(line.get_linewidth() for line in lines)
    assert max(line.get_zorder() for line in thin) < min(line.get_zorder() for line in lines)


def test_references_of_one_label_are_named_once_in_grey_and_others_in_their_colour(measured: Path) -> None:
    more = [{"y": 10, "label": "chance"}, {"y": 50, "label": "ours, HRM", "hue": "HRM"}]
    figure = drawn(measured, references=[*PRINTED, *more])
    assert [len(references(axis)) for axis in figure.axes] == [4, 2]
    (legend,) = figure.legends
    named = {handle.get_label(): to_hex(handle.get_color()) for handle in legend.legend_handles}  # type: ignore[union-attr]
    colours = {name: colour.lower() for name, colour in style.colours_of(["ERM", "HRM"]).items()}
    grey = style.GREY.lower()
    assert named == {**colours, "as printed": grey, "chance": grey, "ours, HRM": colours["HRM"]}


def test_names_stand_in_a_legend_where_a_reference_would_run_through_them(measured: Path) -> None:
    alone = [PANELS[0], {**PANELS[3], "columns": {"shown": "accuracy"}}]
    figure = drawn(measured, panels=None, series=alone)
    assert len(figure.axes[0].texts) == 2
    figure = drawn(measured, panels=None, series=alone, references=[{"y": 10, "label": "chance"}])
    assert not figure.axes[0].texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ERM", "HRM", "chance"]


def test_no_tick_lies_between_two_epochs(measured: Path) -> None:
    figure = drawn(measured)
    figure.draw_without_rendering()
    for axis in figure.axes:
        assert set(axis.get_xticks()) >= set(EPOCHS)
        assert all(tick % 1 == 0 for tick in axis.get_xticks())
    between = {**EPOCH, "factor": 1.25}
    assert any(tick % 1 for tick in drawn(measured, x=between).axes[0].get_xticks())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"hue": 9}, "unknown hue of a reference in figure: '9'"),
        ({"panel": 4}, "unknown panel of a reference in figure: '4'"),
    ],
)
def test_a_reference_to_what_no_measurement_has_is_named(measured: Path, changed: dict[str, Any], message: str) -> None:
    reference = {"y": 10, "label": "chance", **changed}
    one = [{"model": "a", "measure": "over", "label": "ERM"}]
    x = {"column": "without_gradient", "label": "x"}
    with pytest.raises(UserError, match=message):
        drawn(measured, x=x, hue="epoch", panels="epoch", series=one, references=[reference])


# -- printed numbers -----------------------------------------------------------------------------------------


def refer_to(declarations: Declarations, y: Any) -> None:
    """Declare a figure over the epochs with one reference."""
    paper = declarations.paper
    paper["models"]["image-erm"]["checkpoints"] = [1, 2]
    paper["measures"]["over"] = {"over_epochs": {"attack": {"name": "fgsm", "epsilon": 0.3}}}
    figure = {
        "name": "lines",
        "x": {"column": "epoch", "label": "epoch"},
        "series": [{"label": "ERM", "model": "image-erm", "measure": "over"}],
        "references": [{"y": y, "label": "as printed", "hue": "ERM"}],
    }
    paper["figures"]["over"] = {"where": "Figure 2", "caption": "Over the epochs", "figure": figure}


def test_a_reference_may_be_what_the_paper_prints_in_a_cell(declarations: Declarations) -> None:
    refer_to(declarations, {"printed": "accuracy[hrm, pgd]"})
    drawn = json.loads(declarations.plan().job("figure", paper="small", figure="over").spec)["figure"]
    assert drawn["references"][0]["y"] == 56.22


@pytest.mark.parametrize("cell", ["accuracy[hrm, nothing]", "nothing[hrm, pgd]", "distances[8, erm-hrm]", "hrm"])
def test_a_reference_to_what_the_paper_does_not_print_is_refused(declarations: Declarations, cell: str) -> None:
    refer_to(declarations, {"printed": cell})
    with pytest.raises(UserError, match=re.escape(f"figures.over: references: the paper prints no number in '{cell}'")):
        declarations.plan()


def test_a_printed_reference_beyond_the_axis_is_refused(declarations: Declarations) -> None:
    refer_to(declarations, {"printed": "accuracy[hrm, pgd]"})
    y = {"column": "accuracy", "label": "accuracy", "unit": "%", "factor": 100, "limits": [0, 50]}
    declarations.paper["figures"]["over"]["figure"]["y"] = y
    with pytest.raises(UserError, match=r"figures\.over\.figure: .*y is 56\.22, beyond the limits of the axis"):
        declarations.plan()

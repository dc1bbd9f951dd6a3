"""The specification curve: every reading's margin with its interval, in order, over the choices behind it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from report_sample_claims import condition
from report_sample_readings import PAPER, write_readings

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.specification_curve import draw
from robustrepro.figures.step import run
from robustrepro.spec.figures import SpecificationCurve
from robustrepro.steps import Work

DECLARED = SpecificationCurve(name="specification_curve", claim="gain")


def spec(folder: Path, paper: str = PAPER) -> dict[str, Any]:
    return {"id": "specification-gain", "paper": paper, "folder": str(folder), "scale": "quick"}


def reading(
    name: str, *margins: float, choices: dict[str, str] | None = None, unit: str = "%", printed: str | None = "50%"
) -> dict[str, Any]:
    """Return a claim under a reading: a condition per margin, each of an attacked cell and of a number."""
    version = "" if name == "plain" else f"@{name}"
    conditions = [
        condition(
            f"table{number}{version}[a, pgd] >= 20",
            "holds",
            margin,
            {f"table{number}{version}[a, pgd]": (margin + 20, printed)},
            interval=[margin - 2, margin + 1],
            unit=unit,
        )
        for number, margin in enumerate(margins)
    ]
    return {"reading": name, "choices": choices or {"loss": name}, "conditions": conditions}


def audited(of_reading: dict[str, Any], *margins: float, attacked: int = 1) -> dict[str, Any]:
    """Return how a reading fared: its conditions with other margins, of which the first so many are attacked."""
    conditions = [
        {**judged, "margin": margin, "interval": None}
        for judged, margin in zip(of_reading["conditions"], margins, strict=True)
    ]
    cells = [{"cell": judged["compared"][0]["cell"]} for judged in conditions[:attacked]]
    return {"claim": "gain", "reading": of_reading["reading"], "conditions": conditions, "cells": cells}


def drawn(folder: Path, readings: list[dict[str, Any]], audit: list[dict[str, Any]] | None = None) -> Figure:
    paper = folder / "papers/small"
    paper.mkdir(parents=True, exist_ok=True)
    (paper / "scorecard.json").write_text(json.dumps([{"claim": "gain", "reading": "plain", "readings": readings}]))
    (paper / "audit.json").write_text(json.dumps(audit or []))
    return draw(DECLARED, FigureData(spec(folder, "small")))


def points(axis: Axes, colour: str) -> list[tuple[float, float]]:
    """Where marks of a colour stand."""
    marks = [line for line in axis.lines if line.get_marker() == "o" and same_color(line.get_color(), colour)]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in marks]


def names(figure: Figure) -> list[str]:
    """The readings, from left to right."""
    return [label.get_text().split()[0] for label in figure.axes[-1].get_xticklabels()]


def test_readings_stand_by_the_smallest_of_their_margins(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [reading("plain", 5, 3), reading("clipped", 9, -4), reading("short", -9, 20)])
    assert names(figure) == ["short", "clipped", "plain"]
    first, second, _ = figure.axes
    assert points(first, style.BLUE) == [(0, -9), (1, 9), (2, 5)]
    assert points(second, style.BLUE) == [(0, 20), (1, -4), (2, 3)]


def test_every_margin_has_its_interval(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [reading("plain", 5), reading("clipped", 9)])
    ends = [segment[:, 1].tolist() for bars in figure.axes[0].collections for segment in bars.get_segments()]
    assert ends == [[3, 6], [7, 10]]


def test_a_comparison_stands_over_its_panel_as_declared_whatever_the_reading(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [reading("plain", 5, 1), reading("clipped", 9, 1)])
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "table0[a, pgd] ≥ 20",
        "table1[a, pgd] ≥ 20",
        "",
    ]


def test_bound_and_printed_margin_are_lines_with_their_names(tmp_path: Path) -> None:
    axis = drawn(tmp_path, [reading("plain", 5), reading("clipped", 9)]).axes[0]
    lines = {line.get_linestyle(): line.get_ydata()[0] for line in axis.lines if line.get_marker() != "o"}
    assert lines == {"-": 0, "--": 30}
    assert {text.get_text() for text in axis.texts} == {"bound", "printed"}


def test_a_margin_that_is_not_printed_has_no_line(tmp_path: Path) -> None:
    readings = [reading(name, 5, printed=None) for name in ("plain", "clipped")]
    axis = drawn(tmp_path, readings).axes[0]
    assert [text.get_text() for text in axis.texts] == ["bound"]


def test_the_worst_case_stands_beside_in_comparisons_that_rest_on_an_attack(tmp_path: Path) -> None:
    readings = [reading("plain", 5, 3), reading("clipped", 9, 4)]
    figure = drawn(tmp_path, readings, [audited(readings[0], -18, 3), audited(readings[1], -17, 4)])
    first, second, _ = figure.axes
    (plain, clipped) = points(first, style.VERMILLION)
    assert (plain[1], clipped[1]) == (-18, -17)
    own = points(first, style.BLUE)
    assert own[0][0] < 0 < plain[0] < 0.5 < own[1][0] < 1 < clipped[0]
    assert points(second, style.VERMILLION) == []
    assert points(second, style.BLUE) == [(0, 3), (1, 4)]
    assert [text.get_text() for text in figure.legends[0].texts] == [
        "under the paper's own attack, with 95% interval",
        "on the audit's worst case",
    ]


def test_every_choice_that_differs_is_marked_under_its_question(tmp_path: Path) -> None:
    readings = [
        reading("plain", 5, choices={"loss": "from logits", "epochs": "100", "norm": "ℓ∞"}),
        reading("clipped", 9, choices={"loss": "clipped"}),
        reading("short", 12, choices={"epochs": "12"}),
    ]
    axis = drawn(tmp_path, readings).axes[-1]
    labels = [(label.get_text(), label.get_fontweight()) for label in axis.get_yticklabels()]
    assert labels == [
        ("loss", "bold"),
        ("from logits", "normal"),
        ("clipped", "normal"),
        ("epochs", "bold"),
        ("100", "normal"),
        ("12", "normal"),
    ]
    chosen = [
        (int(place), int(row))
        for line in axis.lines
        if same_color(line.get_color(), "black")
        for place, row in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    # What a reading does not answer is as the default has it.
    assert sorted(chosen) == [(0, 1), (0, 4), (1, 2), (1, 4), (2, 1), (2, 5)]


def test_a_reading_that_was_not_measured_stands_last_and_says_so(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [reading("plain"), reading("clipped", 9), reading("short", -9)])
    assert names(figure) == ["short", "clipped", "plain"]
    assert "not measured" in {text.get_text() for text in figure.axes[0].texts}


def test_a_claim_that_was_measured_under_no_reading_has_a_figure_that_says_so(tmp_path: Path) -> None:
    figure = drawn(tmp_path, [reading("plain"), reading("clipped")])
    assert [text.get_text() for text in figure.axes[0].texts].count("not measured") == 2
    figure.draw_without_rendering()


def test_a_unit_other_than_percent_is_named(tmp_path: Path) -> None:
    readings = [reading(name, 5, unit="s") for name in ("plain", "clipped")]
    assert drawn(tmp_path, readings).axes[0].get_ylabel() == "margin (s)"
    assert drawn(tmp_path, [reading("plain", 5), reading("clipped", 5)]).axes[0].get_ylabel() == "margin (points)"


@pytest.mark.parametrize("comparisons", [1, 4])
def test_the_names_of_bound_and_printed_margin_stand_apart_however_near_these_are(
    tmp_path: Path, comparisons: int
) -> None:
    margins = [-20, 40, 5, 1][:comparisons]
    figure = drawn(tmp_path, [reading(name, *margins, printed="20.2%") for name in ("plain", "other")])
    figure.draw_without_rendering()
    for axis in figure.axes[:-1]:
        bound, printed = (
            text.get_window_extent() for name in ("bound", "printed") for text in axis.texts if text.get_text() == name
        )
        assert bound.y1 <= printed.y0


@pytest.mark.parametrize("comparisons", [1, 4])
@pytest.mark.parametrize("count", [2, 12])
def test_no_text_lies_over_another(tmp_path: Path, count: int, comparisons: int) -> None:
    readings = [reading("plain", *range(comparisons))]
    readings += [reading(f"a-reading-of-some-length-{place}", *range(comparisons)) for place in range(1, count)]
    figure = drawn(tmp_path, readings)
    figure.draw_without_rendering()
    choices = figure.axes[-1]
    boxes = [label.get_window_extent() for label in choices.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 2 for upper, lower in itertools.pairwise(boxes))
    across = [label.get_window_extent() for label in choices.get_xticklabels()]
    slanted = {label.get_rotation() for label in choices.get_xticklabels()} == {40}
    assert slanted or all(left.x1 < right.x0 for left, right in itertools.pairwise(across))
    below = [label.get_window_extent().y1 for label in choices.get_xticklabels()]
    assert max(below) <= choices.get_window_extent().y0
    assert figure.get_figwidth() <= style.WIDTH
    for upper, lower in zip(figure.axes, figure.axes[1:], strict=False):
        assert lower.get_tightbbox().y1 <= upper.get_window_extent().y0


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("alone", r"specification-gain: .*scorecard\.json: expected two readings of alone, found one"),
        ("gains", r"claim of specification-gain in .*scorecard\.json: 'gains'.*gain"),
    ],
)
def test_a_claim_that_has_no_curve_is_named(tmp_path: Path, claim: str, message: str) -> None:
    write_readings(tmp_path, curve=False)
    with pytest.raises(UserError, match=message):
        draw(DECLARED.model_copy(update={"claim": claim}), FigureData(spec(tmp_path)))


def test_verdicts_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"scorecard\.json: unreadable scorecard .*run snakemake"):
        draw(DECLARED, FigureData(spec(tmp_path)))


def test_the_step_draws_the_curve_from_verdicts_and_audit_alone(tmp_path: Path) -> None:
    write_readings(tmp_path, curve=False)
    outputs = (tmp_path / "curve.png", tmp_path / "curve.pdf")
    figure = {"figure": DECLARED.model_dump(), "declared_by": "robustrepro.spec.figures:SpecificationCurve"}
    run(Work({**spec(tmp_path), **figure}, "", {}, outputs))
    assert outputs[0].read_bytes().startswith(b"\x89PNG")
    assert outputs[1].read_bytes().startswith(b"%PDF")

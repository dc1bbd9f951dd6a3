"""A claim under each of its readings: margins above, the choices behind them below.

The form is that of Simonsohn, Simmons & Nelson, "Specification curve analysis", Nature Human Behaviour 4 (2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustrepro.errors import UserError, unknown_name
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.grammar import CELL, cell_of, parse_condition
from robustrepro.printed import parse_printed
from robustrepro.spec.figures import SpecificationCurve

SIGNS = {">=": "≥", "<=": "≤", "-": "−"}
DEFAULT = " (default)"
"""What stands behind the name of the default reading."""
BAND = "#f3f3f0"
"""Behind every second reading, so that the eye finds its choices."""
UNCHOSEN = "#cfcfca"

NARROWEST, BESIDE = 5.2, 1.1
COLUMN, ROW, CURVE, SINGLE_CURVE = 0.6, 0.19, 1.75, 2.6
APART = 0.08
"""In inches: the narrowest figure, what stands beside the readings but for the names of choices, a reading, a choice,
the panel of a comparison, or of the only one, and how far the two marks of a reading stand from its middle."""


class Margin(NamedTuple):
    """By how much a comparison holds, with its 95% interval; without one, both ends are the margin."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Specification:
    """A claim under one reading.

    Attributes
    ----------
    name
        The reading's, with a mark at the default.
    choices
        Its answer to every question.
    own
        The margin of each comparison under the paper's own attack; none of a reading that was not measured.
    worst
        The same on the worst case over every attack of the audit, of comparisons that rest on an attack.
    """

    name: str
    choices: Mapping[str, str]
    own: Mapping[str, Margin]
    worst: Mapping[str, Margin]


@dataclass(frozen=True)
class Curve:
    """What the figure shows.

    Attributes
    ----------
    specifications
        The readings, sorted by the claim's margin, which is the smallest over its comparisons (all of them have to
        hold), each held against its bound, so that it holds from 0 on. Those that were not measured stand last.
    units
        The unit of each comparison's margin.
    printed
        The margin of each comparison in the printed numbers, where the paper prints all of them.
    """

    specifications: Sequence[Specification]
    units: Mapping[str, str]
    printed: Mapping[str, float]


def draw(declared: SpecificationCurve, data: FigureData) -> Figure:
    """Draw a panel per comparison with the margin under each reading, and the choices of each reading below.

    Raises
    ------
    UserError
        If the claim was not judged, or under one reading only.
    """
    curve = _curve(declared, data)
    answers = _answers(curve.specifications)
    count, comparisons = len(curve.specifications), list(curve.units) or [""]
    heights = [SINGLE_CURVE if len(comparisons) == 1 else CURVE] * len(comparisons)
    rows = sum(1 + len(of_question) for of_question in answers.values())
    longest = max((len(text) for question in answers for text in (question, *answers[question])), default=0)
    labels = longest * style.CHARACTER * style.SMALL / 72
    width = min(style.WIDTH, max(NARROWEST, labels + BESIDE + COLUMN * count))
    column = (width - labels - BESIDE) / count
    figure = Figure(figsize=(width, sum(heights) + ROW * max(rows, 1) + 1.1), layout="constrained")
    axes = figure.subplots(
        len(heights) + 1, 1, sharex=True, squeeze=False, height_ratios=[*heights, ROW * max(rows, 1)]
    )[:, 0]
    for comparison, axis in zip(comparisons, axes, strict=False):
        _draw_margins(axis, curve, comparison, APART / column)
        title = style.wrapped(comparison, width - 1, style.LABEL)
        axis.set_title(title, fontsize=style.LABEL, loc="left")
    _draw_choices(axes[-1], curve.specifications, answers)
    _name_readings(axes[-1], [each.name for each in curve.specifications], column)
    figure.align_ylabels(axes[:-1])
    _legend(figure, curve)
    by = "the margin" if len(comparisons) == 1 else "the smallest of their margins"
    style.note(figure, data.scale, f"{count} readings, sorted by {by}")
    return figure


def _curve(declared: SpecificationCurve, data: FigureData) -> Curve:
    claims = {entry["claim"]: entry for entry in data.verdicts()}
    if declared.claim not in claims:
        raise unknown_name(f"claim of {data.figure} in {data.verdicts_file()}", declared.claim, claims)
    readings = claims[declared.claim]["readings"]
    if len(readings) < 2:
        raise UserError(f"{data.figure}: {data.verdicts_file()}: expected two readings of {declared.claim}, found one")
    audited = {entry["reading"]: entry for entry in data.audit() if entry["claim"] == declared.claim}
    default = readings[0]
    units: dict[str, str] = {}
    printed: dict[str, float] = {}
    specifications = []
    for reading in readings:
        for condition in reading["conditions"]:
            key = _without_versions(condition["condition"])
            units.setdefault(key, condition["unit"])
            if (margin := _printed_margin(condition)) is not None:
                printed.setdefault(key, margin)
        mark = DEFAULT if reading is default else ""
        survival = audited.get(reading["reading"], {"conditions": [], "cells": []})
        attacked = {cell["cell"] for cell in survival["cells"]}
        worst = [each for each in survival["conditions"] if attacked & {number["cell"] for number in each["compared"]}]
        specifications.append(
            Specification(
                reading["reading"] + mark,
                {**default["choices"], **reading["choices"]},
                _margins(reading["conditions"]),
                _margins(worst),
            )
        )
    return Curve(sorted(specifications, key=_place), units, printed)


def _place(specification: Specification) -> float:
    """Return what readings are sorted by: the smallest margin over the comparisons."""
    return min((margin.value for margin in specification.own.values()), default=np.inf)


def _margins(conditions: Sequence[Mapping[str, Any]]) -> dict[str, Margin]:
    return {
        _without_versions(condition["condition"]): Margin(
            condition["margin"], *(condition["interval"] or [condition["margin"]] * 2)
        )
        for condition in conditions
    }


def _without_versions(condition: str) -> str:
    """Return a comparison with its tables as declared, whatever reading they are of."""
    cells = CELL.sub(lambda match: str(_declared(match[0])), condition)
    return " ".join(SIGNS.get(word, word) for word in cells.split(" "))


def _declared(cell: str) -> Any:
    parts = cell_of(cell)
    return replace(parts, table=parts.table.partition("@")[0])


def _printed_margin(condition: Mapping[str, Any]) -> float | None:
    """Return the margin in the printed numbers; None where the paper does not print them all."""
    numbers = {}
    for compared in condition["compared"]:
        value = parse_printed(compared["printed"] or "").value
        if value is None:
            return None
        numbers[cell_of(compared["cell"])] = value
    return parse_condition(condition["condition"]).margin.value(numbers)


def _answers(specifications: Sequence[Specification]) -> dict[str, list[str]]:
    """Return the answers to every question that the readings answer differently; those of the default come first."""
    in_order = sorted(specifications, key=lambda each: not each.name.endswith(DEFAULT))
    answers: dict[str, dict[str, None]] = {}
    for specification in in_order:
        for question, answer in specification.choices.items():
            answers.setdefault(question, {})[answer] = None
    return {question: list(given) for question, given in answers.items() if len(given) > 1}


def _draw_margins(axis: Axes, curve: Curve, comparison: str, apart: float) -> None:
    """Draw one comparison's margin under each reading, with the bound and the printed margin as lines.

    Parameters
    ----------
    axis, curve
        Where, and what of.
    comparison
        One of the claim's; empty where none was measured.
    apart
        How far the two marks of a reading stand from its middle; 1 is from one reading to the next.
    """
    count = len(curve.specifications)
    _draw_bands(axis, count)
    if not any(comparison in each.worst for each in curve.specifications):
        apart = 0.0
    for place, specification in enumerate(curve.specifications):
        if comparison in specification.own:
            _draw_margin(axis, place - apart, specification.own[comparison], style.BLUE, "full")
        else:
            axis.annotate(
                "not measured",
                (place, 0.5),
                xycoords=("data", "axes fraction"),
                rotation=90,
                ha="center",
                va="center",
                fontsize=style.SMALL,
                color=style.GREY,
                bbox={"facecolor": "white" if place % 2 else BAND, "linewidth": 0, "pad": 2},
            )
        if comparison in specification.worst:
            _draw_margin(axis, place + apart, specification.worst[comparison], style.VERMILLION, "none")
    axis.axhline(0, color="black", linewidth=0.9, zorder=1)
    ends, colours = {"bound": 0.0}, {"bound": "black", "printed": style.GREY}
    if comparison in curve.printed:
        ends["printed"] = curve.printed[comparison]
        axis.axhline(ends["printed"], color=style.GREY, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)
    axis.margins(y=0.08)
    axis.set_ylim(axis.get_ylim())
    style.label_ends(axis, count - 0.5, ends, colours, gap=1.4 * style.LABEL / 72 / CURVE)
    unit = {"%": "points", "": ""}.get(curve.units.get(comparison, ""), curve.units.get(comparison, ""))
    axis.set_ylabel(f"margin ({unit})" if unit else "margin", fontsize=style.SMALL)
    style.without_frame(axis)
    axis.tick_params(axis="x", length=0, labelbottom=False)


def _draw_margin(axis: Axes, place: float, margin: Margin, colour: str, fill: str) -> None:
    axis.vlines(place, margin.low, margin.high, color=colour, linewidth=1.3, zorder=2)
    axis.plot(
        place,
        margin.value,
        "o",
        color=colour,
        markersize=5.5,
        markerfacecolor=colour if fill == "full" else "white",
        markeredgewidth=1.3,
        zorder=3,
    )


def _draw_choices(axis: Axes, specifications: Sequence[Specification], answers: Mapping[str, Sequence[str]]) -> None:
    """Mark what each reading chooses: a row per answer, under its question."""
    _draw_bands(axis, len(specifications))
    names: list[tuple[str, bool]] = []
    for question, given in answers.items():
        names.append((question, True))
        for answer in given:
            row = len(names)
            names.append((answer, False))
            chosen = [each.choices.get(question) == answer for each in specifications]
            places = np.arange(len(specifications))
            axis.plot(places, np.full(len(places), row), "o", color=UNCHOSEN, markersize=2.2)
            axis.plot(places[chosen], np.full(sum(chosen), row), "o", color="black", markersize=5)
    axis.set_ylim(max(len(names), 1) - 0.4, -0.6)
    axis.set_yticks(range(len(names)), [name for name, _ in names], fontsize=style.SMALL)
    for label, (_, is_question) in zip(axis.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if is_question else "normal")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _draw_bands(axis: Axes, count: int) -> None:
    axis.set_xlim(-0.5, count - 0.5)
    for place in range(0, count, 2):
        axis.axvspan(place - 0.5, place + 0.5, color=BAND, linewidth=0, zorder=0)


def _name_readings(axis: Axes, names: Sequence[str], room: float) -> None:
    """Write the names below, each in a line of its own column, or slanted where ``room``, in inches, is too small."""
    stacked = [name.replace(DEFAULT, f"\n{DEFAULT.strip()}") for name in names]
    longest = max(len(line) for name in stacked for line in name.split("\n"))
    fits = longest * style.CHARACTER * style.SMALL / 72 <= room
    slant: dict[str, Any] = {} if fits else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axis.set_xticks(range(len(names)), stacked if fits else names, fontsize=style.SMALL, **slant)


def _legend(figure: Figure, curve: Curve) -> None:
    marks = {"under the paper's own attack, with 95% interval": (style.BLUE, style.BLUE)}
    if any(each.worst for each in curve.specifications):
        marks["on the audit's worst case"] = (style.VERMILLION, "white")
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=5.5, markerfacecolor=face, linewidth=1.3, label=label)
        for label, (colour, face) in marks.items()
    ]
    columns = len(handles) if figure.get_figwidth() > 1.3 * NARROWEST else 1
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=style.SMALL)

"""From a claim's conditions and the tables' numbers to a verdict that uses the interval, never the bare point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from robustrepro.spec.claims import Cell, Condition, parse_condition
from robustrepro.tables.statistics import over_seeds

Outcome = Literal["holds", "fails", "crosses"]
Tables = Mapping[str, Mapping[str, Any]]
"""The tables of one paper as their JSON has them, by id."""


@dataclass(frozen=True)
class Judged:
    """One condition, brought to the form margin ≥ 0, as measured.

    Attributes
    ----------
    outcome
        Whether the margin's 95% interval lies above 0, below it, or across it.
    margin, interval
        In the table's unit; the interval is None when one seed of a number that has none was measured.
    seeds
        How many seeds the margin is over.
    text
        What was measured, in words.
    """

    outcome: Outcome
    margin: float
    interval: tuple[float, float] | None
    seeds: int
    text: str


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict, what was measured, and why it came to this."""

    verdict: str
    measured: str
    why: str


def judge_claim(conditions: Sequence[str], tables: Tables) -> Verdict:
    """Return the verdict on a claim: all its conditions must hold.

    A claim about training from one seed is ``inconclusive`` at best; on stand-in data the verdict is only indicative.

    Parameters
    ----------
    conditions
        The claim's comparisons.
    tables
        The paper's tables by id. A table that was not made makes the claim ``not measured``.
    """
    parsed = [parse_condition(text) for text in conditions]
    used = {cell.table for condition in parsed for _, cell in condition.terms}
    missing = sorted(used - set(tables))
    if missing:
        return Verdict("not measured", "", f"{', '.join(missing)} was not made at this scale")
    judged = [judge_condition(condition, tables) for condition in parsed]
    measured = "; ".join(one.text for one in judged)
    seeds = min(one.seeds for one in judged)
    verdict, why = _combine(judged, seeds)
    stand_ins = sorted({tables[name]["stand_in_note"] for name in used if tables[name]["stand_in"]})
    if stand_ins:
        words = {"reproduced": "holds", "not reproduced": "does not", "inconclusive": "inconclusive"}
        return Verdict(f"indicative: {words[verdict]}", measured, f"{why}; {', '.join(stand_ins)}: no verdict")
    return Verdict(verdict, measured, why)


def _combine(judged: Sequence[Judged], seeds: int) -> tuple[str, str]:
    """Return verdict and reason from all conditions of a claim."""
    failed = [one for one in judged if one.outcome == "fails"]
    crossing = [one for one in judged if one.outcome == "crosses"]
    over = f"over {seeds} seeds" if seeds > 1 else "over the test images of one seed"
    if failed:
        return "not reproduced", f"{len(failed)} of {len(judged)} conditions fail with their whole 95% interval {over}"
    if crossing:
        return (
            "inconclusive",
            f"the 95% interval {over} crosses the bound in {len(crossing)} of {len(judged)} conditions",
        )
    if seeds == 1:
        return "inconclusive", "every condition holds, but one seed cannot carry a claim about training"
    return "reproduced", f"every condition holds with its whole 95% interval {over}"


def judge_condition(condition: Condition, tables: Tables) -> Judged:
    """Return a condition's margin with its interval.

    With several seeds the margin is taken seed by seed (models that share a seed share initialisation and data order)
    and the interval is over seeds. With one, the cells' own intervals are added up at their worst.
    """
    cells = [(factor, cell, _found(cell, tables)) for factor, cell in condition.terms]
    by_seed = [{value["seed"]: value["value"] for value in found["values"]} for _, _, found in cells]
    seeds = sorted(set.intersection(*(set(values) for values in by_seed)))
    margins = [
        sum(factor * values[seed] for (factor, _, _), values in zip(cells, by_seed, strict=True)) + condition.constant
        for seed in seeds
    ]
    interval: tuple[float, float] | None
    if len(margins) > 1:
        estimate = over_seeds(margins)
        margin, interval = estimate.mean, estimate.interval
    else:
        margin, interval = margins[0], _added_up(cells, condition.constant)
    outcome: Outcome = "crosses"
    if interval is not None and interval[0] >= 0:
        outcome = "holds"
    elif interval is not None and interval[1] < 0:
        outcome = "fails"
    decimals = max(tables[cell.table]["decimals"] for _, cell, _ in cells)
    values = ", ".join(f"{cell} = {found['mean']:.{decimals}f}{_printed(found)}" for _, cell, found in cells)
    spread = f" [95%: {interval[0]:+.{decimals}f}, {interval[1]:+.{decimals}f}]" if interval else ""
    text = f"{condition.text}: {values}; margin {margin:+.{decimals}f}{spread}"
    return Judged(outcome, margin, interval, len(seeds), text)


def _printed(found: Mapping[str, Any]) -> str:
    """Return what the paper prints in a cell, in brackets, if it does."""
    return f" (printed {found['printed']})" if found.get("printed") else ""


def _found(cell: Cell, tables: Tables) -> Mapping[str, Any]:
    table = tables[cell.table]
    return next(found for found in table["cells"] if (found["row"], found["column"]) == (cell.row, cell.column))


def _added_up(cells: Sequence[tuple[float, Cell, Mapping[str, Any]]], constant: float) -> tuple[float, float] | None:
    """Return the margin's interval from the cells' own, each at its worst."""
    low = high = constant
    for factor, _, found in cells:
        if found["interval"] is None:
            return None
        ends = sorted(factor * end for end in found["interval"])
        low, high = low + ends[0], high + ends[1]
    return low, high

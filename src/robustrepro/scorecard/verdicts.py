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


FLOOR = 5.0
"""Below this accuracy in percent, half of what guessing reaches on ten classes, there is no robustness to compare."""


@dataclass(frozen=True)
class Compared:
    """One number of a comparison: the cell as the claim writes it, its mean, and what the paper prints there."""

    cell: str
    value: float
    printed: str | None


@dataclass(frozen=True)
class Judged:
    """One condition, brought to the form margin ≥ 0, as measured.

    Attributes
    ----------
    condition
        The comparison as declared.
    outcome
        Whether the margin's 95% interval lies above 0, below it, or across it.
    margin, interval
        In the table's unit; the interval is None when one seed of a number that has none was measured.
    seeds
        How many seeds the margin is over.
    compared
        The numbers, each cell once.
    decimals, unit
        As the table prints them.
    on_the_floor
        Whether every accuracy in it is below ``FLOOR``, so that a margin missed is no lead of another model.
    """

    condition: str
    outcome: Outcome
    margin: float
    interval: tuple[float, float] | None
    seeds: int
    compared: tuple[Compared, ...]
    decimals: int
    unit: str
    on_the_floor: bool

    @property
    def text(self) -> str:
        """What was measured, in one line."""
        values = ", ".join(
            f"{one.cell} = {one.value:.{self.decimals}f}" + (f" (printed {one.printed})" if one.printed else "")
            for one in self.compared
        )
        spread = ""
        if self.interval:
            low, high = self.interval
            spread = f" [95%: {low:+.{self.decimals}f}, {high:+.{self.decimals}f}]"
        return f"{self.condition}: {values}; margin {self.margin:+.{self.decimals}f}{spread}"


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict, why it came to this, and its conditions as measured."""

    verdict: str
    why: str
    conditions: tuple[Judged, ...] = ()

    @property
    def measured(self) -> str:
        """What was measured, in one line."""
        return "; ".join(one.text for one in self.conditions)

    @property
    def on_the_floor(self) -> bool:
        """Whether every accuracy in the comparisons that decide against the claim is next to nothing."""
        return _on_the_floor(self.conditions)


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
        return Verdict("not measured", f"{', '.join(missing)} was not made at this scale")
    judged = tuple(judge_condition(condition, tables) for condition in parsed)
    verdict, why = _combine(judged)
    stand_ins = sorted({tables[name]["stand_in_note"] for name in used if tables[name]["stand_in"]})
    if stand_ins:
        words = {"reproduced": "holds", "not reproduced": "does not", "inconclusive": "inconclusive"}
        return Verdict(f"indicative: {words[verdict]}", f"{why}; {', '.join(stand_ins)}: no verdict", judged)
    return Verdict(verdict, why, judged)


def _combine(judged: Sequence[Judged]) -> tuple[str, str]:
    """Return verdict and reason from all conditions of a claim."""
    seeds = min(one.seeds for one in judged)
    failed = [one for one in judged if one.outcome == "fails"]
    crossing = [one for one in judged if one.outcome == "crosses"]
    over = f"over {seeds} seeds" if seeds > 1 else "over the test images of one seed"
    if failed:
        fail = "fails with its" if len(failed) == 1 else "fail with their"
        why = f"{len(failed)} of {_comparisons(judged)} {fail} whole 95% interval {over}"
        return "not reproduced", why + _floor(judged)
    if crossing:
        why = f"the 95% interval {over} crosses the bound in {len(crossing)} of {_comparisons(judged)}"
        return "inconclusive", why + _floor(judged)
    if seeds == 1:
        return "inconclusive", "every comparison holds, but one seed cannot carry a claim about training"
    return "reproduced", f"every comparison holds with its whole 95% interval {over}"


def _comparisons(judged: Sequence[Judged]) -> str:
    return f"{len(judged)} comparison{'' if len(judged) == 1 else 's'}"


def _on_the_floor(judged: Sequence[Judged]) -> bool:
    """Tell whether the conditions that decide against a claim, if any, compare accuracies next to nothing."""
    failed = [one for one in judged if one.outcome == "fails"]
    decisive = failed or [one for one in judged if one.outcome == "crosses"]
    return bool(decisive) and all(one.on_the_floor for one in decisive)


def _floor(judged: Sequence[Judged]) -> str:
    if not _on_the_floor(judged):
        return ""
    return (
        f"; every accuracy that decides is below {FLOOR:g}%: no model here is robust, and which of them is more so "
        "cannot be told"
    )


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
    compared = {
        str(cell): Compared(str(cell), float(found["mean"]), found.get("printed") or None) for _, cell, found in cells
    }
    unit = tables[cells[0][1].table].get("unit", "")
    return Judged(
        condition.text,
        outcome,
        margin,
        interval,
        len(seeds),
        tuple(compared.values()),
        max(tables[cell.table]["decimals"] for _, cell, _ in cells),
        unit,
        unit == "%" and all(one.value < FLOOR for one in compared.values()),
    )


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

"""From a claim's conditions and the tables' numbers to a verdict that uses the interval, never the bare point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from robustrepro.grammar import Cell, Condition, parse_condition
from robustrepro.scorecard.judged import FLOOR, Compared, Judged, Outcome, Verdict
from robustrepro.tables.statistics import over_seeds
from robustrepro.words import plural

ON_THE_FLOOR = (
    f"every accuracy that decides is below {FLOOR:g}%: no model here is robust, and which of them is more so cannot be "
    "told"
)

Tables = Mapping[str, Mapping[str, Any]]
"""The tables of one paper as their JSON has them, by id."""


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
    found = _combined(tuple(judge_condition(condition, tables) for condition in parsed))
    if found.on_the_floor:
        found = replace(found, why=f"{found.why}; {ON_THE_FLOOR}")
    stand_ins = sorted({tables[name]["stand_in_note"] for name in used if tables[name]["stand_in"]})
    if not stand_ins:
        return found
    words = {"reproduced": "holds", "not reproduced": "does not", "inconclusive": "inconclusive"}
    why = f"{found.why}; {', '.join(stand_ins)}: no verdict"
    return replace(found, verdict=f"indicative: {words[found.verdict]}", why=why)


def _combined(judged: tuple[Judged, ...]) -> Verdict:
    """Return the verdict that all conditions of a claim come to on the paper's own data."""
    seeds = min(one.seeds for one in judged)
    failed = [one for one in judged if one.outcome == "fails"]
    crossing = [one for one in judged if one.outcome == "crosses"]
    over = f"over {seeds} seeds" if seeds > 1 else "over the test images of one seed"
    comparisons = plural(len(judged), "comparison")
    if failed:
        fail = "fails with its" if len(failed) == 1 else "fail with their"
        why = f"{len(failed)} of {comparisons} {fail} whole 95% interval {over}"
        return Verdict("not reproduced", why, judged)
    if crossing:
        why = f"the 95% interval {over} crosses the bound in {len(crossing)} of {comparisons}"
        return Verdict("inconclusive", why, judged)
    if seeds == 1:
        why = "every comparison holds, but one seed cannot carry a claim about training"
        return Verdict("inconclusive", why, judged)
    return Verdict("reproduced", f"every comparison holds with its whole 95% interval {over}", judged)


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
    unit = tables[cells[0][1].table]["unit"]
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

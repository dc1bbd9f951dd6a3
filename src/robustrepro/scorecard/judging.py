"""From a claim's conditions and the tables' numbers to a verdict that uses the interval, never the bare point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from robustrepro.grammar import Condition, parse_condition
from robustrepro.scorecard.cells import TableCells
from robustrepro.scorecard.judged import FLOOR, Compared, Judged, Judgement, Outcome
from robustrepro.tables.statistics import over_seeds
from robustrepro.verdicts import Verdict
from robustrepro.words import plural

ON_THE_FLOOR = (
    f"every accuracy that decides is below {FLOOR:g}%: no model here is robust, and which of them is more so cannot be "
    "told"
)


def judge_claim(conditions: Sequence[str], tables: TableCells) -> Judgement:
    """Return the verdict on a claim: all its conditions must hold.

    A claim about training from one seed is ``inconclusive`` at best; on stand-in data the verdict is only indicative.

    Parameters
    ----------
    conditions
        The claim's comparisons.
    tables
        The cells of the paper's tables. A table that was not made, or a cell that was not measured, makes the claim
        ``not measured``.
    """
    parsed = [parse_condition(text) for text in conditions]
    cells = list(dict.fromkeys(cell for condition in parsed for _, cell in condition.terms))
    if reasons := tables.why_not_measured(cells):
        return Judgement(Verdict.NOT_MEASURED, "; ".join(reasons))
    judgement = _combined(tuple(judge_condition(condition, tables) for condition in parsed))
    if judgement.on_the_floor:
        judgement = replace(judgement, why=f"{judgement.why}; {ON_THE_FLOOR}")
    stand_ins = sorted({tables.stand_ins[cell.table] for cell in cells if cell.table in tables.stand_ins})
    if not stand_ins:
        return judgement
    why = f"{judgement.why}; {', '.join(stand_ins)}: no verdict"
    return replace(judgement, verdict=judgement.verdict.indicative, why=why)


def _combined(judged: tuple[Judged, ...]) -> Judgement:
    """Return the verdict that all conditions of a claim come to on the paper's own data."""
    seeds = min(condition.seeds for condition in judged)
    failed = [condition for condition in judged if condition.outcome == "fails"]
    crossing = [condition for condition in judged if condition.outcome == "crosses"]
    over = f"over {seeds} seeds" if seeds > 1 else "over the test images of one seed"
    comparisons = plural(len(judged), "comparison")
    if failed:
        fail = "fails with its" if len(failed) == 1 else "fail with their"
        why = f"{len(failed)} of {comparisons} {fail} whole 95% interval {over}"
        return Judgement(Verdict.NOT_REPRODUCED, why, judged)
    if crossing:
        why = f"the 95% interval {over} crosses the bound in {len(crossing)} of {comparisons}"
        return Judgement(Verdict.INCONCLUSIVE, why, judged)
    if seeds == 1:
        why = "every comparison holds, but one seed cannot carry a claim about training"
        return Judgement(Verdict.INCONCLUSIVE, why, judged)
    return Judgement(Verdict.REPRODUCED, f"every comparison holds with its whole 95% interval {over}", judged)


def judge_condition(condition: Condition, tables: TableCells) -> Judged:
    """Return a condition's margin with its interval.

    With several seeds the margin is taken seed by seed (models that share a seed share initialisation and data order)
    and the interval is over seeds. With one, the cells' own intervals are added up at their worst.

    Parameters
    ----------
    condition
        Of cells that were measured.
    tables
        Holds these cells.
    """
    terms = [factor * tables.samples_of(cell) for factor, cell in condition.terms]
    paired = pd.concat(terms, axis="columns", join="inner")
    margins = (paired.sum(axis="columns", skipna=False) + condition.constant).tolist()
    if len(margins) > 1:
        estimate = over_seeds(margins)
        margin, interval = estimate.mean, estimate.interval
    else:
        margin, interval = margins[0], _added_up(condition, tables)
    cells = list(dict.fromkeys(cell for _, cell in condition.terms))
    compared = [
        Compared(str(cell), float(tables.of(cell, "mean")), tables.of(cell, "printed") or None) for cell in cells
    ]
    return Judged(
        condition.text,
        _outcome(interval),
        margin,
        interval,
        len(margins),
        tuple(compared),
        max(int(tables.of(cell, "decimals")) for cell in cells),
        tables.of(cells[0], "unit"),
        all(tables.of(cell, "accuracy") for cell in cells) and all(number.value < FLOOR for number in compared),
    )


def _outcome(interval: tuple[float, float] | None) -> Outcome:
    """Return on which side of 0 an interval lies; without an interval nothing is told."""
    if interval is None:
        return "crosses"
    low, high = interval
    return "holds" if low >= 0 else "fails" if high < 0 else "crosses"


def _added_up(condition: Condition, tables: TableCells) -> tuple[float, float] | None:
    """Return the margin's interval from the cells' own, each at its worst."""
    low = high = condition.constant
    for factor, cell in condition.terms:
        interval = tables.interval(cell)
        if interval is None:
            return None
        ends = sorted(factor * end for end in interval)
        low, high = low + ends[0], high + ends[1]
    return low, high

"""From a claim's conditions and the tables' numbers to a verdict that uses the interval, never the bare point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from robustrepro.grammar import Cell, Condition, Linear, parse_condition
from robustrepro.scorecard.cells import TableCells
from robustrepro.scorecard.judged import FLOOR, Compared, Judged, Judgement, Outcome
from robustrepro.tables.statistics import (
    MOST_SEEDS,
    PERCENTAGES,
    Interval,
    over_seeds,
    seeds_to_decide,
)
from robustrepro.verdicts import Verdict
from robustrepro.words import plural

ON_THE_FLOOR = (
    f"every accuracy that decides is below {FLOOR:g}%: no model here is robust, and which of them is more so cannot be "
    "told"
)
NOT_THE_PAPERS = "no verdict, since not all is as in the paper"


def judge_claim(conditions: Sequence[str], tables: TableCells, differs: Sequence[str] = ()) -> Judgement:
    """Return the verdict on a claim: all its conditions must hold.

    A claim about training from one seed is ``inconclusive`` at best; where something differs from the paper, the
    verdict is only indicative.

    Parameters
    ----------
    conditions
        The claim's comparisons.
    tables
        The cells of the paper's tables. A table that was not made, or a cell that was not measured, makes the claim
        ``not measured``.
    differs
        What of the models and measures compared is not the paper's, in words.
    """
    parsed = [parse_condition(text) for text in conditions]
    if reasons := tables.why_not_measured(dict.fromkeys(cell for condition in parsed for cell in condition.cells)):
        return Judgement(Verdict.NOT_MEASURED, "; ".join(reasons))
    judgement = _combined(tuple(judge_condition(condition, tables) for condition in parsed))
    if judgement.on_the_floor:
        judgement = replace(judgement, why=f"{judgement.why}; {ON_THE_FLOOR}")
    if not differs:
        return judgement
    return replace(judgement, verdict=judgement.verdict.indicative, why=f"{judgement.why}; {NOT_THE_PAPERS}")


def _combined(judged: tuple[Judged, ...]) -> Judgement:
    """Return the verdict that all conditions of a claim come to where nothing differs from the paper."""
    seeds = min(condition.seeds for condition in judged)
    by_outcome: dict[Outcome, list[Judged]] = {}
    for condition in judged:
        by_outcome.setdefault(condition.outcome, []).append(condition)
    over = f"over {seeds} seeds" if seeds > 1 else "over the test images of one seed"
    comparisons = plural(len(judged), "comparison")
    if failed := by_outcome.get("fails"):
        fail = "fails with its" if len(failed) == 1 else "fail with their"
        why = f"{len(failed)} of {comparisons} {fail} whole 95% interval {over}"
        return Judgement(Verdict.NOT_REPRODUCED, why, judged)
    if beyond := by_outcome.get("beyond"):
        asked = ", ".join(f"'{condition.condition}' asks for {condition.bound:.2f}%" for condition in beyond)
        return Judgement(Verdict.CANNOT_BE_ASKED, f"{asked}, which no accuracy can be", judged)
    if crossing := by_outcome.get("crosses"):
        why = f"the 95% interval {over} crosses the bound in {len(crossing)} of {comparisons}"
        return Judgement(Verdict.INCONCLUSIVE, f"{why}; {_what_would_decide(crossing)}", judged)
    if seeds == 1:
        why = "every comparison holds, but one seed cannot carry a claim about training"
        return Judgement(Verdict.INCONCLUSIVE, why, judged)
    return Judgement(Verdict.REPRODUCED, f"every comparison holds with its whole 95% interval {over}", judged)


def _what_would_decide(crossing: Sequence[Judged]) -> str:
    """Return how many seeds would decide, at the same means and spreads."""
    if any(condition.seeds == 1 for condition in crossing):
        return "how many seeds would decide, two or more would tell"
    needed = [condition.seeds_to_decide for condition in crossing]
    if any(seeds is None for seeds in needed):
        return f"more than {MOST_SEEDS:,} seeds would have to decide at this mean and spread"
    return f"at this mean and spread {max(seeds for seeds in needed if seeds is not None):,} seeds would decide"


def judge_condition(condition: Condition, tables: TableCells) -> Judged:
    """Return a condition's margin with its interval, both from the seeds that all of its cells have.

    With several seeds the margin is taken seed by seed (models that share a seed share initialisation and data order)
    and the interval is over seeds. With one, the intervals that this seed's rows give are added up at their worst.

    Parameters
    ----------
    condition
        Of cells that were measured.
    tables
        Holds these cells.
    """
    cells = condition.cells
    samples = {cell: tables.samples_of(cell) for cell in cells}
    values = pd.DataFrame({cell: of_cell["value"] for cell, of_cell in samples.items()}).loc[_common_seeds(samples)]
    accuracies = all(tables.of(cell, "accuracy") for cell in cells)
    bounds = condition.margin.reach(*PERCENTAGES) if accuracies else None
    margins = [condition.margin.value(dict(row)) for _, row in values.iterrows()]
    means = {cell: float(np.mean(values[cell])) for cell in cells}
    needed = None
    if len(margins) > 1:
        estimate = over_seeds(margins, bounds)
        margin, interval, std = estimate.mean, estimate.interval, estimate.std or 0.0
        if _outcome(interval) == "crosses":
            needed = seeds_to_decide(margin, std, len(margins), bounds)
    else:
        margin, interval = margins[0], _added_up(condition.margin, samples, values.index[0])
    bound = _unreachable(condition, means) if accuracies else None
    compared = [Compared(str(cell), means[cell], tables.of(cell, "printed") or None) for cell in cells]
    return Judged(
        condition.text,
        _outcome(interval) if bound is None else "beyond",
        margin,
        interval,
        len(margins),
        tuple(compared),
        max(int(tables.of(cell, "decimals")) for cell in cells),
        tables.of(cells[0], "unit"),
        accuracies and all(number.value < FLOOR for number in compared),
        needed if bound is None else None,
        bound,
    )


def _common_seeds(samples: dict[Cell, pd.DataFrame]) -> list[int]:
    """Return the seeds that all of these cells have, in order."""
    return sorted(set.intersection(*(set(of_cell.index) for of_cell in samples.values())))


def _outcome(interval: Interval | None) -> Outcome:
    """Return on which side of 0 an interval lies; without an interval nothing is told."""
    if interval is None:
        return "crosses"
    low, high = interval
    return "holds" if low >= 0 else "fails" if high < 0 else "crosses"


def _added_up(margin: Linear, samples: dict[Cell, pd.DataFrame], seed: int) -> Interval | None:
    """Return the margin's interval from those of one seed's cells, each at its worst; None where one has none."""
    low = high = margin.constant
    for factor, cell in margin.terms:
        ends = sorted(factor * float(samples[cell].at[seed, end]) for end in ("low", "high"))
        low, high = low + ends[0], high + ends[1]
    return None if np.isnan([low, high]).any() else (low, high)


def _unreachable(condition: Condition, means: dict[Cell, float]) -> float | None:
    """Return what the bound comes to where no accuracies can meet it: ERM + 20 points where ERM is at 92.23%."""
    bound = condition.bound.value(means)
    low, high = condition.subject.reach(*PERCENTAGES)
    return bound if (bound > high if condition.at_least else bound < low) else None

"""From a claim's conditions and the tables' numbers to a verdict that uses the interval, never the bare point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

Samples = Mapping[Cell, pd.DataFrame]
"""The samples of cells, indexed by seed."""

ON_THE_FLOOR = (
    f"every accuracy that decides is below {FLOOR:g}%: no model here is robust, so none can be called more robust than "
    "another"
)
ROUNDING = 1e-9
"""What is nearer to 0 than this is 0: sums of percentages are off by as much as floats are."""
NOT_THE_PAPERS = "no verdict, because something differs from the paper"


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
    for condition in parsed:
        if not _common_seeds({cell: tables.samples_of(cell) for cell in condition.cells}):
            return Judgement(Verdict.NOT_MEASURED, f"'{condition.text}' compares cells that have no seed in common")
    judgement = _combined(tuple(judge_condition(condition, tables) for condition in parsed))
    if judgement.on_the_floor:
        judgement = replace(judgement, why=f"{judgement.why}; {ON_THE_FLOOR}")
    if not differs:
        return judgement
    return replace(judgement, verdict=judgement.verdict.indicative, why=f"{judgement.why}; {NOT_THE_PAPERS}")


def _combined(judged: tuple[Judged, ...]) -> Judgement:
    """Return the verdict that all conditions of a claim come to where nothing differs from the paper."""
    by_outcome: dict[Outcome, list[Judged]] = {}
    for condition in judged:
        by_outcome.setdefault(condition.outcome, []).append(condition)
    comparisons = plural(len(judged), "comparison")
    if failed := by_outcome.get("fails"):
        fail = "fails" if len(failed) == 1 else "fail"
        why = f"{len(failed)} of {comparisons} {fail}: the whole 95% interval {_over(failed)} misses the bound"
        return Judgement(Verdict.NOT_REPRODUCED, why, judged)
    if beyond := by_outcome.get("beyond"):
        asked = ", ".join(
            f"'{condition.condition}' asks for {condition.bound:.2f}%, which no accuracy can reach: the limit is "
            f"{condition.limit:.2f}%"
            for condition in beyond
        )
        return Judgement(Verdict.CANNOT_BE_ASKED, asked, judged)
    if crossing := by_outcome.get("crosses"):
        why = f"the 95% interval {_over(crossing)} crosses the bound in {len(crossing)} of {comparisons}"
        return Judgement(Verdict.INCONCLUSIVE, f"{why}; {_what_would_decide(crossing)}", judged)
    if any(condition.ranks_what_is_broken for condition in judged):
        return Judgement(Verdict.INCONCLUSIVE, f"every comparison holds, but {ON_THE_FLOOR}", judged)
    if any(condition.seeds == 1 and not condition.given for condition in judged):
        why = "every comparison holds, but one seed is not enough for a claim about training"
        return Judgement(Verdict.INCONCLUSIVE, why, judged)
    return Judgement(
        Verdict.REPRODUCED, f"every comparison holds: the whole 95% interval {_over(judged)} meets the bound", judged
    )


def _over(judged: Sequence[Judged]) -> str:
    """Return what the intervals of these comparisons are over."""
    seeds = min(condition.seeds for condition in judged)
    if not any(condition.over_images for condition in judged):
        return f"over {seeds} seeds"
    return f"over the test images of one seed{' (all seeds agree)' if seeds > 1 else ''}"


def _what_would_decide(crossing: Sequence[Judged]) -> str:
    """Return how many seeds would decide, at the same means and spreads."""
    if any(condition.seeds == 1 and not condition.given for condition in crossing):
        return "one seed does not tell how many would decide"
    if any(condition.over_images for condition in crossing):
        return "more test images would decide, more seeds would not"
    needed = [condition.seeds_to_decide for condition in crossing]
    if any(seeds is None for seeds in needed):
        return f"at this mean and spread it would take more than {MOST_SEEDS:,} seeds"
    return f"at this mean and spread {max(seeds for seeds in needed if seeds is not None):,} seeds would decide"


def judge_condition(condition: Condition, tables: TableCells) -> Judged:
    """Return a condition's margin with its interval, both from the seeds that all of its cells have.

    With several seeds the margin is taken seed by seed (models that share a seed share initialisation and data order)
    and the interval is over seeds (see :class:`_SumOverSeeds`).

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
    margins = _SumOverSeeds(condition.margin, values, samples, accuracies=accuracies)
    beyond = _beyond(condition, values, samples) if accuracies else None
    means = {cell: float(np.mean(values[cell])) for cell in cells}
    compared = [Compared(str(cell), means[cell], tables.of(cell, "printed") or None) for cell in cells]
    return Judged(
        condition.text,
        "beyond" if beyond else _outcome(margins.interval),
        margins.mean,
        margins.interval,
        len(values),
        tuple(compared),
        max(int(tables.of(cell, "decimals")) for cell in cells),
        tables.of(cells[0], "unit"),
        accuracies and all(number.value < FLOOR for number in compared),
        None if beyond else margins.seeds_to_decide,
        margins.over_images,
        all(tables.of(cell, "given") for cell in cells),
        *(beyond or (None, None)),
    )


class _SumOverSeeds:
    """A sum of cells over the seeds that all of them have: its mean, and its 95% interval.

    With several seeds the interval is over seeds. With one, and where accuracies come to the same with every seed and
    so tell nothing of a spread, those that one seed's rows give are added up at their worst.

    Parameters
    ----------
    linear
        The sum.
    values
        The cells' values, a row per seed.
    samples
        The cells' samples, with the intervals of each seed.
    accuracies
        Whether all cells are accuracies in percent.
    """

    def __init__(self, linear: Linear, values: pd.DataFrame, samples: Samples, *, accuracies: bool) -> None:
        of_seeds = [linear.value(dict(row)) for _, row in values.iterrows()]
        self.seeds_to_decide: int | None = None
        bounds = linear.reach(*PERCENTAGES) if accuracies else None
        estimate = over_seeds(of_seeds, bounds) if len(of_seeds) > 1 else None
        self.mean = estimate.mean if estimate else of_seeds[0]
        self.over_images = not estimate or (accuracies and estimate.std == 0)
        if estimate and not self.over_images:
            self.interval = estimate.interval
            if _outcome(self.interval) == "crosses":
                self.seeds_to_decide = seeds_to_decide(self.mean, estimate.std or 0.0, len(of_seeds), bounds)
        else:
            self.interval = _added_up(linear, samples, values.index[0])


def _common_seeds(samples: Samples) -> list[int]:
    """Return the seeds that all of these cells have, in order."""
    return sorted(set.intersection(*(set(of_cell.index) for of_cell in samples.values())))


def _outcome(interval: Interval | None) -> Outcome:
    """Return on which side of 0 an interval lies; without an interval nothing is told."""
    if interval is None:
        return "crosses"
    low, high = interval
    return "holds" if low >= -ROUNDING else "fails" if high < -ROUNDING else "crosses"


def _added_up(margin: Linear, samples: Samples, seed: int) -> Interval | None:
    """Return the margin's interval from those of one seed's cells, each at its worst; None where one has none."""
    low = high = margin.constant
    for factor, cell in margin.terms:
        ends = sorted(factor * float(samples[cell].at[seed, end]) for end in ("low", "high"))
        low, high = low + ends[0], high + ends[1]
    return None if np.isnan([low, high]).any() else (low, high)


def _beyond(condition: Condition, values: pd.DataFrame, samples: Samples) -> tuple[float, float] | None:
    """Return what the bound comes to, and how near to it accuracies can come, where its whole interval is out of reach.

    So ERM + 20 points is, where ERM is at 92.23%.
    """
    bound = _SumOverSeeds(condition.bound, values, samples, accuracies=True)
    lowest, highest = condition.subject.reach(*PERCENTAGES)
    low, high = bound.interval or (bound.mean, bound.mean)
    if condition.at_least:
        return (bound.mean, highest) if low > highest else None
    return (bound.mean, lowest) if high < lowest else None

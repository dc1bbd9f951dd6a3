"""A claim about robustness judged again: the same comparison, on the worst case an image over all attacks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from robustrepro.audit.worst_case import WorstCase
from robustrepro.scorecard.judged import Judged, Verdict
from robustrepro.scorecard.verdicts import Tables, judge_claim
from robustrepro.tables.statistics import of_accuracy
from robustrepro.words import epsilon_in_words

SURVIVAL = {"reproduced": "survives", "not reproduced": "does not survive", "inconclusive": "inconclusive"}
INDICATIVE = {"indicative: holds": "indicative: survives", "indicative: does not": "indicative: does not survive"}
ALL_BROKEN = 1.0
"""A model counts as at 0 when less than this share of its images resists, in percent."""

Cells = Mapping[str, Mapping[int, WorstCase]]
"""The worst cases of a claim's cells, as it writes them, by seed."""


@dataclass(frozen=True)
class TakenDown:
    """What took a claim down, and the comparison that it leaves; none where there was nothing to take down."""

    by: str
    left: Verdict | None = None

    def __str__(self) -> str:
        return f"{self.by}: {self.left.measured}" if self.left else self.by


@dataclass(frozen=True)
class AtSmaller:
    """The comparison at a smaller ε; several ε where the cells' own differ."""

    epsilons: tuple[float, ...]
    found: Verdict

    def __str__(self) -> str:
        epsilons = ", ".join(map(epsilon_in_words, self.epsilons))
        return f"at ε = {epsilons}: {self.found.verdict} ({self.found.measured})"


@dataclass(frozen=True)
class Survival:
    """Whether a claim survives the audit.

    Attributes
    ----------
    verdict
        ``survives``, ``does not survive``, ``inconclusive`` or ``vacuous``; on stand-in data only indicative.
    why
        The reason, in words.
    conditions
        The comparison on the worst case.
    taken_down
        The attack that alone, with the paper's own, takes the claim down furthest, and to what; None where none does.
    smaller
        What the comparison says at smaller ε, where every side is at 0.
    """

    verdict: str
    why: str
    conditions: tuple[Judged, ...] = ()
    taken_down: TakenDown | None = None
    smaller: tuple[AtSmaller, ...] = ()


def judge_survival(
    conditions: Sequence[str], tables: Tables, cells: Cells, keys: Mapping[str, tuple[str, ...]]
) -> Survival:
    """Judge a claim again on the worst case an image over all attacks on each model in the comparison.

    Parameters
    ----------
    conditions
        The claim's comparisons.
    tables
        The paper's tables by id, as measured.
    cells
        The worst cases of those of the claim's cells that are under attack.
    keys
        Table, row and column of each of these cells.
    """
    if any(seed.constant for cell in cells.values() for seed in cell.values()):
        constant = {name: sum(case.constant for case in cases.values()) for name, cases in cells.items()}
        named = ", ".join(f"{name} in {count} of {len(cells[name])} seeds" for name, count in constant.items() if count)
        indicative = any(tables[key[0]]["stand_in_note"] for key in keys.values())
        return Survival(f"{'indicative: ' if indicative else ''}vacuous", f"one class for all images: {named}")

    def judged(accuracy: Callable[[WorstCase], float]) -> Verdict:
        return judge_claim(conditions, with_accuracies(tables, cells, keys, accuracy))

    final = judged(lambda case: case.accuracy())
    if final.verdict == "not measured":
        return Survival(final.verdict, final.why)
    verdict = SURVIVAL.get(final.verdict) or INDICATIVE.get(final.verdict, final.verdict)
    return Survival(verdict, final.why, final.conditions, _taken_down(cells, judged), _at_smaller(cells, judged))


def with_accuracies(
    tables: Tables,
    cells: Cells,
    keys: Mapping[str, tuple[str, ...]],
    accuracy: Callable[[WorstCase], float],
) -> Tables:
    """Return the tables with the accuracies of these cells replaced, seed by seed."""
    replaced = {name: copy.deepcopy(dict(table)) for name, table in tables.items()}
    for name, cases in cells.items():
        table, row, column = keys[name]
        cell = next(cell for cell in replaced[table]["cells"] if (cell["row"], cell["column"]) == (row, column))
        values: list[dict[str, Any]] = [
            {"seed": seed, "value": accuracy(case), "count": case.images} for seed, case in cases.items()
        ]
        estimate = of_accuracy([value["value"] for value in values], values[0]["count"])
        cell |= {"mean": estimate.mean, "std": estimate.std, "interval": estimate.interval, "values": values}
        cell["printed"] = None  # the paper prints nothing of the worst case
    return replaced


def _taken_down(cells: Cells, judged: Callable[[Callable[[WorstCase], float]], Verdict]) -> TakenDown | None:
    """Return the most harmful attack that takes the claim down by itself, or all of them where none does."""
    holding = {"reproduced", "indicative: holds"}
    everyone = [case for cases in cells.values() for case in cases.values()]
    before = judged(lambda case: case.accuracy(case.own))
    if before.verdict not in holding:
        state = "undecided" if before.verdict.endswith("inconclusive") else "false"
        return TakenDown(
            f"it did not hold before: on the audit's {min(case.images for case in everyone)} images the comparison is "
            f"{state} under the paper's own attack"
        )
    names = dict.fromkeys(name for case in everyone for name in case.resisted)

    def left_by(name: str, case: WorstCase) -> float:
        """Return what resists the paper's own attack and this one, if it was run on this model."""
        return case.accuracy(case.own, name) if name in case.resisted else case.accuracy(case.own)

    # The library's attacks come last: they are credited with what the others have broken before them.
    by_harm = sorted(names, key=lambda name: ("autoattack" in name, sum(left_by(name, case) for case in everyone)))
    for name in by_harm:
        found = judged(partial(left_by, name))
        if found.verdict not in holding:
            return TakenDown(name, found)
    found = judged(lambda case: case.accuracy())
    return None if found.verdict in holding else TakenDown("all attacks together", found)


def _at_smaller(cells: Cells, judged: Callable[[Callable[[WorstCase], float]], Verdict]) -> tuple[AtSmaller, ...]:
    """Return what the comparison says at each smaller ε, where every side is at 0 in the whole ball."""
    everyone = [case for cases in cells.values() for case in cases.values()]
    if any(case.accuracy() >= ALL_BROKEN for case in everyone):
        return ()
    found = []
    for place in range(min(len(case.smaller) for case in everyone)):
        epsilons = sorted({sorted(case.smaller, reverse=True)[place] for case in everyone})

        def accuracy(case: WorstCase, place: int = place) -> float:
            return 100 * float(case.smaller[sorted(case.smaller, reverse=True)[place]].mean())

        found.append(AtSmaller(tuple(epsilons), judged(accuracy)))
    return tuple(found)

"""A claim about robustness judged again: the same comparison, on the worst case an image over all attacks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from robustrepro.audit.worst_case import WorstCase
from robustrepro.scorecard.verdicts import Tables, Verdict, judge_claim
from robustrepro.tables.statistics import of_accuracy

SURVIVAL = {"reproduced": "survives", "not reproduced": "does not survive", "inconclusive": "inconclusive"}
INDICATIVE = {"indicative: holds": "indicative: survives", "indicative: does not": "indicative: does not survive"}
ALL_BROKEN = 1.0
"""A model counts as at 0 when less than this share of its images resists, in percent."""

Cells = Mapping[str, Mapping[int, WorstCase]]
"""The worst cases of a claim's cells, as it writes them, by seed."""


@dataclass(frozen=True)
class Survival:
    """Whether a claim survives the audit.

    Attributes
    ----------
    verdict
        ``survives``, ``does not survive``, ``inconclusive`` or ``vacuous``; on stand-in data only indicative.
    measured, why
        The comparison on the worst case, in words.
    taken_down_by
        The attack that alone, with the paper's own, takes the claim down furthest, and to what; empty where none does.
    smaller
        What the comparison says at smaller ε, where every side is at 0.
    """

    verdict: str
    measured: str
    why: str
    taken_down_by: str
    smaller: str


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
        named = ", ".join(name for name, cell in cells.items() if any(seed.constant for seed in cell.values()))
        indicative = any(tables[key[0]]["stand_in_note"] for key in keys.values())
        return Survival(
            f"{'indicative: ' if indicative else ''}vacuous", "", f"{named}: one class for all images", "", ""
        )

    def judged(accuracy: Callable[[WorstCase], float]) -> Verdict:
        return judge_claim(conditions, with_accuracies(tables, cells, keys, accuracy))

    final = judged(lambda case: case.accuracy())
    if final.verdict == "not measured":
        return Survival(final.verdict, final.measured, final.why, "", "")
    verdict = SURVIVAL.get(final.verdict) or INDICATIVE.get(final.verdict, final.verdict)
    return Survival(verdict, final.measured, final.why, _taken_down_by(cells, judged), _at_smaller(cells, judged))


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


def _taken_down_by(cells: Cells, judged: Callable[[Callable[[WorstCase], float]], Verdict]) -> str:
    """Return the most harmful attack that takes the claim down by itself, or all of them where none does."""
    holding = {"reproduced", "indicative: holds"}
    before = judged(lambda case: case.accuracy(case.own))
    if before.verdict not in holding:
        state = "undecided" if before.verdict.endswith("inconclusive") else "false"
        return f"nothing to take down: the comparison is {state} under the paper's own attack already"
    everyone = [case for cases in cells.values() for case in cases.values()]
    names = dict.fromkeys(name for case in everyone for name in case.resisted)

    def left_by(name: str, case: WorstCase) -> float:
        """Return what resists the paper's own attack and this one, if it was run on this model."""
        return case.accuracy(case.own, name) if name in case.resisted else case.accuracy(case.own)

    # The library's attacks come last: they are credited with what the others have broken before them.
    by_harm = sorted(names, key=lambda name: ("autoattack" in name, sum(left_by(name, case) for case in everyone)))
    for name in by_harm:
        found = judged(partial(left_by, name))
        if found.verdict not in holding:
            return f"{name}: {found.measured}"
    found = judged(lambda case: case.accuracy())
    return "" if found.verdict in holding else f"all attacks together: {found.measured}"


def _at_smaller(cells: Cells, judged: Callable[[Callable[[WorstCase], float]], Verdict]) -> str:
    """Return what the comparison says at each smaller ε, where every side is at 0 in the whole ball."""
    everyone = [case for cases in cells.values() for case in cases.values()]
    if any(case.accuracy() >= ALL_BROKEN for case in everyone):
        return ""
    said = []
    for place in range(min(len(case.smaller) for case in everyone)):
        epsilons = sorted({sorted(case.smaller, reverse=True)[place] for case in everyone})

        def accuracy(case: WorstCase, place: int = place) -> float:
            return 100 * float(case.smaller[sorted(case.smaller, reverse=True)[place]].mean())

        found = judged(accuracy)
        said.append(f"at ε = {', '.join(f'{epsilon:.3g}' for epsilon in epsilons)}: {found.verdict} ({found.measured})")
    return "; ".join(said)

"""A claim about robustness judged again: the same comparison, on the per-image worst case over all attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import pandas as pd

from robustrepro.audits.worst_case import WorstCase
from robustrepro.grammar import Cell, Expression
from robustrepro.scorecard.cells import TableCells
from robustrepro.scorecard.judged import Judged, Judgement
from robustrepro.scorecard.judging import judge_claim
from robustrepro.tables.statistics import accuracy_interval
from robustrepro.verdicts import Tone, Verdict
from robustrepro.words import epsilon_in_words

ALL_BROKEN = 1.0
"""A model counts as at 0 when less than this share of its images resists, in percent."""

WorstCases = Mapping[Cell, Mapping[int, WorstCase]]
"""The worst cases of the cells of a claim that are under attack, by seed."""
Accuracy = Callable[[WorstCase], float]
"""An accuracy in percent, under some of the attacks on a model."""


@dataclass(frozen=True)
class TakenDown:
    """What took a claim down, and the comparison that it leaves; none where there was nothing to take down."""

    by: str
    left: Judgement | None = None

    def __str__(self) -> str:
        return f"{self.by}: {self.left.measured}" if self.left else self.by


@dataclass(frozen=True)
class AtSmaller:
    """What was found at a smaller ε; several ε where the cells' own differ."""

    epsilons: tuple[float, ...]
    found: Judgement

    def __str__(self) -> str:
        epsilons = ", ".join(map(epsilon_in_words, self.epsilons))
        return f"at ε = {epsilons}: {self.found.verdict} ({self.found.measured})"


@dataclass(frozen=True)
class Survival:
    """Whether a claim survives the audit.

    Attributes
    ----------
    verdict
        What the audit says: one of ``robustrepro.verdicts.OF_AUDITS``.
    why
        The reason, in words.
    conditions
        The comparison on the worst case.
    taken_down
        The attack that alone, with the paper's own, takes the claim down furthest, and to what; of a claim that
        survives, None.
    smaller
        What the comparison says at smaller ε, where every side is at 0.
    """

    verdict: Verdict
    why: str
    conditions: tuple[Judged, ...] = ()
    taken_down: TakenDown | None = None
    smaller: tuple[AtSmaller, ...] = ()


def judge_survival(
    conditions: Sequence[str],
    tables: TableCells,
    worst_cases: WorstCases,
    differs: Sequence[str] = (),
    values: Mapping[Cell, Expression] = MappingProxyType({}),
) -> Survival:
    """Judge a claim again on the per-image worst case over all attacks on each model in the comparison.

    Parameters
    ----------
    conditions
        The claim's comparisons.
    tables
        The cells of the paper's tables, as measured.
    worst_cases
        Those of the claim's cells that are under attack, one cell or more.
    differs
        What of the models and measures compared is not the paper's, in words.
    values
        The claim's cells that are computed from others, each behind those that it is computed from.
    """
    constant = {
        cell: [case.one_class for case in cases.values() if case.one_class] for cell, cases in worst_cases.items()
    }
    if any(constant.values()):
        named = ", ".join(
            f"{cell} in {len(shares)} of {len(worst_cases[cell])} seeds" for cell, shares in constant.items() if shares
        )
        least = min(share for shares in constant.values() for share in shares)
        verdict = Verdict.VACUOUS.indicative if differs else Verdict.VACUOUS
        images = "all images" if least == 1 else f"{100 * least:.0f}% of the images or more"
        return Survival(verdict, f"one class for {images}: {named}")

    def judged(accuracy: Accuracy) -> Judgement:
        return judge_claim(conditions, with_accuracies(tables, worst_cases, accuracy).recomputed(values), differs)

    final = judged(WorstCase.accuracy)
    if final.verdict is Verdict.NOT_MEASURED:
        return Survival(final.verdict, final.why)
    all_cases = [case for cases in worst_cases.values() for case in cases.values()]
    ringing = [cell for cell, cases in worst_cases.items() if any(case.rings for case in cases.values())]
    if ringing:
        at_zero = judged(lambda case: 0.0 if case.rings else case.accuracy())
        if at_zero.verdict is not final.verdict:
            verdict = Verdict.INCONCLUSIVE.indicative if differs else Verdict.INCONCLUSIVE
            return Survival(verdict, _hidden(ringing, worst_cases), final.conditions)
    return Survival(
        final.verdict.of_audit,
        final.why,
        final.conditions,
        _taken_down(all_cases, final, judged),
        _at_smaller(all_cases, judged),
    )


def _hidden(ringing: Sequence[Cell], worst_cases: WorstCases) -> str:
    """Return why a claim is undecided some of whose models nothing could attack in earnest."""

    def of_cell(cell: Cell) -> str:
        cases = worst_cases[cell].values()
        names = dict.fromkeys(alarm["name"] for case in cases for alarm in case.alarms if alarm.get("still_goes_off"))
        return f"{cell} ({', '.join(names)})"

    named = "; ".join(map(of_cell, ringing))
    return f"alarms still go off after every attack, so the true accuracy lies between 0 and what was measured: {named}"


def with_accuracies(tables: TableCells, worst_cases: WorstCases, accuracy: Accuracy) -> TableCells:
    """Return the tables with the accuracies of these cells replaced, seed by seed."""

    def sample(case: WorstCase) -> dict[str, float]:
        low, high = accuracy_interval(accuracy(case), case.images)
        return {"value": accuracy(case), "low": low, "high": high}

    return tables.with_samples(
        {
            cell: pd.DataFrame({seed: sample(case) for seed, case in cases.items()}).T
            for cell, cases in worst_cases.items()
        }
    )


def _taken_down(
    cases: Sequence[WorstCase], final: Judgement, judged: Callable[[Accuracy], Judgement]
) -> TakenDown | None:
    """Return the most harmful attack that takes the claim down by itself, or all of them where none does.

    None of a claim that holds on the worst case: there every model is as weak as it gets, under one attack only some.

    Parameters
    ----------
    cases
        The worst cases of all cells and seeds.
    final
        The verdict on them.
    judged
        Returns the verdict on the claim under some of the attacks.
    """
    if final.verdict.holds:
        return None
    before = judged(lambda case: case.accuracy(case.own))
    if not before.verdict.holds:
        already = f"under the paper's own attack, on the audit's {min(case.images for case in cases)} images"
        if before.verdict is Verdict.CANNOT_BE_ASKED:
            return TakenDown(f"cannot be asked {already}: no accuracy can meet the bound")
        if before.verdict.tone is Tone.OPEN:
            return TakenDown(f"undecided {already}: the interval crosses the bound")
        return TakenDown(f"already fails {already}")

    def left_by(attack: str, case: WorstCase) -> float:
        """Return what resists the paper's own attack and this one, if it was run on this model."""
        return case.accuracy(case.own, attack) if attack in case.resisted else case.accuracy(case.own)

    attacks = dict.fromkeys(attack for case in cases for attack in case.resisted)
    # The library's attacks come last: they are credited with what the others have broken before them.
    last = frozenset[str]().union(*(case.ran_last for case in cases))
    by_harm = sorted(attacks, key=lambda attack: (attack in last, sum(left_by(attack, case) for case in cases)))
    for attack in by_harm:
        left = judged(partial(left_by, attack))
        if not left.verdict.holds:
            return TakenDown(attack, left)
    return TakenDown("all attacks together", final)


def _at_smaller(cases: Sequence[WorstCase], judged: Callable[[Accuracy], Judgement]) -> tuple[AtSmaller, ...]:
    """Return what the comparison says at each smaller ε, where every side is at 0 in the whole ball."""
    if any(case.accuracy() >= ALL_BROKEN for case in cases):
        return ()

    def accuracy_at(place: int, case: WorstCase) -> float:
        return case.accuracy_within(case.smaller_epsilons[place])

    return tuple(
        AtSmaller(tuple(sorted({case.smaller_epsilons[place] for case in cases})), judged(partial(accuracy_at, place)))
        for place in range(min(len(case.smaller_epsilons) for case in cases))
    )

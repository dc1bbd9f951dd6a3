"""What became of a paper, in a few sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from robustrepro.grammar import cell_of
from robustrepro.report.claims import AuditedCell, Claim
from robustrepro.report.comparison import with_names
from robustrepro.report.content import Paper
from robustrepro.report.displays import DeclaredTable
from robustrepro.report.presentation import distance, number
from robustrepro.scorecard.combined import tried_in_words
from robustrepro.scorecard.judged import FLOOR
from robustrepro.verdicts import HERE, Verdict, counted
from robustrepro.words import ball_in_words, plural

OPEN: frozenset[Verdict] = frozenset({Verdict.INCONCLUSIVE, Verdict.UNDECIDED})


def in_short(paper: Paper) -> list[str]:
    """Return what became of the paper's claims, whether they survive, and how robust the best of its models is.

    Where tables were read in several ways: also under which reading the printed numbers return, and what attacks leave
    of them there.
    """
    sentences = [*_reproduced(paper), *_returned(paper)]
    survivals = [reading.survival for claim in paper.claims for reading in claim.readings if reading.survival]
    cells = [cell for survival in survivals for cell in survival.cells]
    audited = Counter(claim.audit for claim in paper.claims if claim.survival)
    if audited:
        about = f"{plural(audited.total(), 'claim')} {'is' if audited.total() == 1 else 'are'} about robustness"
        sentences.append(f"{about}: {counted(audited)}.")
        downs = [claim.survival.taken_down for claim in paper.claims if claim.survival]
        taken = sum(bool(down and down.conditions) for down in downs)
        held = sum(claim.verdict.holds for claim in paper.claims if claim.survival)
        if taken or held:
            sentences.append(f"Of those that held under the paper's own attack, the audit took down {taken or 'none'}.")
        else:
            sentences.append("None of them held under the paper's own attack, so the audit had nothing left to test.")
    if cells:
        best = "; ".join(_most_robust(cells))
        sentences.append(f"Highest accuracy of any audited model under all attacks together: {best}.")
    return sentences


def outcome_of(verdicts: Iterable[Verdict]) -> str:
    """Return what became of some claims, in a sentence; empty where there are none."""
    counts = Counter(verdicts)
    return f"Of {plural(counts.total(), 'claim')}, {counted(counts)}." if counts else ""


def _reproduced(paper: Paper) -> Iterator[str]:
    if not paper.claims:
        return
    verdicts = [claim.verdict for claim in paper.claims]
    yield _over_readings(paper.claims) if any(claim.has_readings for claim in paper.claims) else outcome_of(verdicts)
    if any(verdict.is_indicative for verdict in verdicts):
        yield HERE
    floor = sum(claim.on_the_floor for claim in paper.claims)
    if floor:
        yield (
            f"In {floor} of the {len(paper.claims)}, every accuracy that decides is below {FLOOR:g}%: no model "
            "there is robust, so a claim that fails does not show that another model is better."
        )


def _over_readings(claims: Sequence[Claim]) -> str:
    """Return what became of the claims of a paper that is read in several ways, and whether any of them survives.

    Many tries find something, so that the sentence says how many there were.
    """
    verdicts = [claim.verdict for claim in claims]
    held = Counter(verdict for verdict in verdicts if verdict.holds)
    failed = Counter(verdict for verdict in verdicts if verdict.fails)
    undecided = Counter(verdict for verdict in verdicts if verdict in OPEN)
    others = Counter(verdicts) - held - failed - undecided
    tried = f"({tried_in_words(claim.tried for claim in claims)} were tried)"
    parts = [f"{counted(held)} under some reading {tried}"] if held else [f"none holds under any reading {tried}"]
    parts += [f"{counted(failed)} under any"] if failed else []
    parts += [f"{counted(undecided)} at best"] if undecided else []
    parts += [counted(others)] if others else []
    judged = [reading.judged for claim in claims for reading in claim.readings]
    if any(each.audit.is_measured for each in judged):
        surviving = sum(any(each.judged.audit.survives for each in claim.readings) for claim in claims)
        survives = "survives" if surviving < 2 else "survive"
        parts += [f"{surviving or 'none'} {survives} the audit under {'some' if surviving else 'any'}"]
    return f"Of {plural(len(claims), 'claim')}, {'; '.join(parts)}."


def _returned(paper: Paper) -> Iterator[str]:
    """Yield under which reading each table is nearest to print, and what the audit leaves of it there."""
    nearest = [
        (versions.declared, next(version for version in versions.all if version.id in versions.closest))
        for versions in paper.table_versions
        if versions.closest
    ]
    if not nearest:
        return
    places = []
    for declared, version in nearest:
        assert version.table is not None
        away = f"{distance(version.table)} away on average"
        if version is not declared and declared.table and declared.distance is not None:
            away += f", {distance(declared.table)} under {declared.under}"
        places.append(f"{declared.label} under {version.under} ({away})")
    yield f"Closest to the printed numbers: {'; '.join(places)}."
    left = [text for _, version in nearest if (text := _left_of(version, paper))]
    if left:
        yield f"What all attacks together leave of the most robust audited cell there: {'; '.join(left)}."


def _left_of(version: DeclaredTable, paper: Paper) -> str:
    """Return what the audit leaves of a table's most robust cell, in words; empty where none was audited."""
    cells = {
        cell.cell: cell
        for claim in paper.claims
        for reading in claim.readings
        if reading.survival
        for cell in reading.survival.cells
        if cell_of(cell.cell).table == version.id and cell.own in cell.accuracies
    }
    if not cells:
        return ""
    best = max(cells.values(), key=lambda cell: cell.accuracies[cell.own])
    before, after = (number(value, 1, "%") for value in (best.accuracies[best.own], best.worst_case))
    return f"{with_names(best.cell, paper)} from {before} to {after}"


def _most_robust(cells: list[AuditedCell]) -> Iterator[str]:
    """Yield the largest accuracy in the worst case in each ball, with its model."""
    balls: dict[tuple[str, float, bool], list[AuditedCell]] = {}
    for cell in cells:
        balls.setdefault((cell.norm, cell.epsilon, cell.clipped), []).append(cell)
    for (norm, epsilon, clipped), inside in sorted(balls.items()):
        best = max(inside, key=lambda cell: cell.worst_case)
        kept = number(best.worst_case, 1, "%")
        whose = f" ({best.model})" if best.worst_case > 0 else ""
        yield f"{kept} in {ball_in_words(norm, epsilon, clipped=clipped)}{whose}"

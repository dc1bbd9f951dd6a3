"""The answer that a run ends with: what became of each paper, on one screen of a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from robustrepro.layout import Layout
from robustrepro.scorecard.combined import read_scorecard
from robustrepro.scorecard.headlines import Headline, read_headlines
from robustrepro.verdicts import Verdict
from robustrepro.words import plural

LINES, COLUMNS = 23, 80
"""A terminal's screen, but for the line in which a run says how long it took."""
FRAME = 3
"""Lines that are not about one paper: the first, and the last two."""
TELLING = ("dataset", "network", "epochs", "examples")
"""How those differences from a paper begin that tell most of them, in this order."""


def brief(folder: Path) -> list[str]:
    """Return what became of each paper at a scale: at most ``LINES`` lines of at most ``COLUMNS`` characters.

    Of every paper: how many of its claims hold, over how many seeds that was decided and how many survive the audit,
    what makes verdicts indicative, and where its report is. Many papers have fewer lines each.

    Parameters
    ----------
    folder
        The scale's folder, ``results/<scale>``.

    Raises
    ------
    UserError
        If the scale has not run to its end.
    """
    rows = read_scorecard(folder / "scorecard.csv")
    papers = {paper: list(group) for paper, group in groupby(rows, key=lambda row: row["paper"])}
    layout = Layout(str(folder))
    lines = [f"Scale {folder.name}: {plural(len(rows), 'claim')} of {plural(len(papers), 'paper')}"]
    room = LINES - FRAME
    for place, (paper, of_paper) in enumerate(papers.items()):
        share = room // (len(papers) - place)
        if room == 1 and place < len(papers) - 1:
            lines.append(f"and {plural(len(papers) - place, 'paper')} more, which the report shows")
            break
        told = list(_of_paper(layout, paper, read_headlines(folder, of_paper)))[: max(1, share)]
        lines += told
        room -= len(told)
    first = next(iter(papers), "hrm")
    lines.append(f"Report: {layout.report}")
    lines.append(f"Claim by claim: make verdicts PAPER={first} SCALE={folder.name}")
    return [_cut(line) for line in lines]


def _of_paper(layout: Layout, paper: str, claims: Sequence[Headline]) -> Iterator[str]:
    """Yield what became of a paper, the most important line first."""
    counts = Counter(map(_kind, claims))
    rest = [f"{counts[kind]} {kind}" for kind in ("do not", "undecided", "not measured") if counts[kind]]
    yield ", ".join([f"{paper}: {counts['hold']} of {plural(len(claims), 'claim')} hold", *rest])
    yield _fitting("  ", "; ", [*_decided(claims), *_audited(claims)] or ["nothing was measured"])
    indicative = [claim for claim in claims if claim.verdict.is_indicative]
    if indicative:
        yield _fitting(f"  indicative: {len(indicative)} of {len(claims)}; ", ", ", _differences(indicative))
    yield f"  {layout.page(paper)}"


def _kind(claim: Headline) -> str:
    verdict = claim.verdict
    if verdict.holds or verdict.fails:
        return "hold" if verdict.holds else "do not"
    return "not measured" if verdict is Verdict.NOT_MEASURED else "undecided"


def _decided(claims: Sequence[Headline]) -> Iterator[str]:
    """Yield what the verdicts rest on: ``decided over 5 to 30 seeds (8), one seed (2)``."""
    seeds: list[int] = []
    one_seed = 0
    for claim in claims:
        if not claim.verdict.is_measured or not claim.decisive:
            continue
        if all(condition.over_images or condition.seeds < 2 for condition in claim.decisive):
            one_seed += 1
        else:
            seeds.append(max(condition.seeds for condition in claim.decisive))
    parts = []
    if seeds:
        numbers = " to ".join(map(str, dict.fromkeys([min(seeds), max(seeds)])))
        parts.append(f"{numbers} seeds ({len(seeds)})")
    if one_seed:
        parts.append(f"one seed ({one_seed})")
    if parts:
        yield f"decided over {', '.join(parts)}"


def _audited(claims: Sequence[Headline]) -> Iterator[str]:
    """Yield how many claims survive the audit, of those that it judged, and which attack took most of them down."""
    audited = [claim.audit for claim in claims if claim.audit.is_measured]
    if audited:
        yield f"audit: {sum(audit.survives for audit in audited)} of {len(audited)} survive"
    down = Counter(claim.taken_down_by for claim in claims if claim.taken_down_by)
    if down:
        attack, count = down.most_common(1)[0]
        yield f"{count} fall{'s' if count == 1 else ''} to {attack.removeprefix('audit: ')}"


def _differences(claims: Iterable[Headline]) -> list[str]:
    """Return what differs from the paper, each with the number of claims that it concerns, the most telling first."""
    settings = Counter(words for claim in claims for words in claim.differences)

    def rank(entry: tuple[str, int]) -> tuple[int, int]:
        first = (place for place, begin in enumerate(TELLING) if entry[0].startswith(begin))
        return next(first, len(TELLING)), -entry[1]

    return [f"{words} ({count})" for words, count in sorted(settings.items(), key=rank)]


def _fitting(begin: str, between: str, parts: Sequence[str]) -> str:
    """Return a line of as many parts as fit, the first of them always."""
    line = begin + parts[0]
    for part in parts[1:]:
        if len(line) + len(between) + len(part) > COLUMNS:
            return line if len(line) + len(between) > COLUMNS - 1 else f"{line}{between.rstrip()} …"
        line += between + part
    return line


def _cut(line: str) -> str:
    """Return a line that fits, cut where it does not."""
    return line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"

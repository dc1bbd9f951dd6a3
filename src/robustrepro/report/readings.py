"""The readings of a paper: what it leaves unsaid, each answer that was tried, and what holds under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from robustrepro.report.base import Content
from robustrepro.report.claims import Claim


class Reading(Content):
    """One way to read what a paper leaves unsaid, as declared.

    Attributes
    ----------
    unsaid, where, why
        What the paper leaves unsaid, the place, and why this reading is plausible.
    choices
        What it answers, by question.
    differs
        What of it contradicts the paper, in words: verdicts under it are indicative.
    concerns
        The tables and claims that it is limited to, in words; empty where these are all.
    searched
        How its values were searched for, in words; empty where it is a plain alternative.
    """

    name: str
    unsaid: str = ""
    where: str = ""
    why: str = ""
    choices: dict[str, str] = Field(default_factory=dict)
    differs: tuple[str, ...] = ()
    concerns: str = ""
    searched: str = ""


class Candidate(Content):
    """What a candidate came to on held-out images; one that was not ``allowed`` says ``why``, and may have no value."""

    candidate: str
    value: float | None
    cells: int | None = None
    allowed: bool
    why: str = ""


class SearchOutcome(Content):
    """Which candidate a search chose, and what all of them came to."""

    chosen: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class ReadingOutcome:
    """A reading with how many claims were measured under it, how many of these hold, rest on an attack, and survive.

    ``search`` is what its search came to, where it was searched.
    """

    reading: Reading
    measured: int
    hold: int
    audited: int
    survive: int
    search: SearchOutcome | None = None


def outcomes_of(
    readings: Iterable[Reading], claims: Sequence[Claim], searches: Mapping[str, SearchOutcome]
) -> list[ReadingOutcome]:
    """Return what holds and survives under each reading, over the claims that have a verdict under it.

    Parameters
    ----------
    readings, claims
        The paper's.
    searches
        What the searches came to, by reading.
    """
    outcomes = []
    for reading in readings:
        judged = [each.judged for claim in claims for each in claim.readings if each.name == reading.name]
        measured = [each for each in judged if each.verdict.is_measured]
        outcomes.append(
            ReadingOutcome(
                reading,
                measured=len(measured),
                hold=sum(each.verdict.holds for each in measured),
                audited=sum(each.audit.is_measured for each in measured),
                survive=sum(each.audit.survives for each in measured),
                search=searches.get(reading.name),
            )
        )
    return outcomes

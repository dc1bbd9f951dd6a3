"""What the report shows: what was asked, and papers with their claims, tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pydantic import Field

from robustrepro.report.base import Content
from robustrepro.report.claims import Claim
from robustrepro.report.displays import Declared, DeclaredFigure, DeclaredTable, TableVersions, with_versions
from robustrepro.report.readings import Reading, ReadingOutcome, SearchOutcome, outcomes_of
from robustrepro.report.table import NOT_RECORDED, Source
from robustrepro.scorecard.combined import ClaimOverScales
from robustrepro.verdicts import Verdict


class Departure(Content):
    """Where the reproduction does something other than the paper says, and why."""

    where: str
    paper: str
    ours: str
    why: str


class Term(Content):
    """A word of the paper's own, explained."""

    term: str
    meaning: str


class PaperSpec(Content):
    """A paper as declared: what it is called, its own words, how it is read, and what is regenerated of it."""

    id: str
    title: str
    authors: str = ""
    summary: str = ""
    terms: tuple[Term, ...] = ()
    readings: tuple[Reading, ...] = ()
    departures: tuple[Departure, ...] = ()
    tables: tuple[Declared, ...] = ()
    figures: tuple[Declared, ...] = ()


class PaperName(Content):
    """A paper that another page links to."""

    id: str
    title: str


class DifferenceNote(Content):
    """Something that is not as the papers have it, or not as the scale has it.

    Attributes
    ----------
    words
        ``epochs: 12 instead of 100``.
    what, names
        ``models`` or ``measures``, and which of them it touches; none of a data set.
    overridden
        Whether the user changed it, and not the scale.
    from_paper
        Whether the paper has it otherwise.
    """

    words: str
    what: str = "models"
    names: tuple[str, ...] = ()
    overridden: bool = False
    from_paper: bool = True

    @property
    def setting(self) -> str:
        """What is set otherwise; empty where the words do not begin with it."""
        setting, colon, _ = self.words.partition(": ")
        return setting if colon else ""

    @property
    def values(self) -> str:
        """Its value here, and the other one."""
        return self.words.removeprefix(f"{self.setting}: ")

    @property
    def change(self) -> str:
        """Its words where it is said beside them that it was changed in config.yaml."""
        return self.words.removesuffix(" (config.yaml)")


class Asked(Content):
    """What was asked for: a scale, its data, and what differs from the papers.

    ``stand_ins`` maps a paper's data set to the one used instead, and ``sources`` says what that is.
    """

    scale: str
    scale_description: str = ""
    stand_ins: dict[str, str] = Field(default_factory=dict)
    sources: dict[str, str] = Field(default_factory=dict)
    unverified: tuple[str, ...] = ()
    differences: tuple[DifferenceNote, ...] = ()

    @property
    def changes(self) -> list[DifferenceNote]:
        """What the user changed in config.yaml."""
        return [note for note in self.differences if note.overridden]

    @property
    def scale_differences(self) -> dict[str, list[DifferenceNote]]:
        """What the scale changes, by setting."""
        by_setting: dict[str, list[DifferenceNote]] = {}
        for note in self.differences:
            if note.from_paper and not note.overridden:
                by_setting.setdefault(note.setting, []).append(note)
        return by_setting

    def is_change(self, words: str) -> bool:
        """Tell whether a difference, with or without the names that it touches, is the user's own."""
        return any(words.startswith(note.words) for note in self.changes)


class ReportSpec(Asked):
    """What the report's first page is asked to show; ``scales`` has the most faithful first.

    ``kept`` has the papers that an earlier run has made, each with the digest of its files.
    """

    kept: dict[str, str] = Field(default_factory=dict)
    scales: tuple[str, ...] = ()
    papers: tuple[PaperSpec, ...] = ()


class PageSpec(Asked):
    """What a paper's page is asked to show, and the papers that it links to."""

    paper: PaperSpec
    papers: tuple[PaperName, ...] = ()


@dataclass(frozen=True)
class Paper:
    """A paper with its regenerated tables and figures, and its claims.

    ``searches`` has what the searches of readings came to; ``has_scorecard`` and ``has_audit`` are false while no claim
    was judged by them yet.
    """

    spec: PaperSpec
    tables: list[DeclaredTable]
    figures: list[DeclaredFigure]
    claims: list[Claim]
    searches: dict[str, SearchOutcome]
    has_scorecard: bool
    has_audit: bool

    @cached_property
    def table_versions(self) -> list[TableVersions]:
        """Each declared table with its versions under other readings."""
        return with_versions(self.tables)

    @cached_property
    def has_readings(self) -> bool:
        """Whether it declares readings, or a claim of it was judged under several."""
        return bool(self.spec.readings) or any(claim.has_readings for claim in self.claims)

    @cached_property
    def default_reading(self) -> str:
        """The name of the reading that lays nothing over the paper; every claim has it first."""
        return next((claim.readings[0].name for claim in self.claims), "")

    @cached_property
    def reading_outcomes(self) -> list[ReadingOutcome]:
        """Each declared reading with what holds and survives under it."""
        return outcomes_of(self.spec.readings, self.claims, self.searches)

    @cached_property
    def sources(self) -> list[Source]:
        """Every source of every number in its tables."""
        tables = [declared.table for declared in self.tables if declared.table]
        return [source for table in tables for cell in table.cells for source in cell.sources]

    @cached_property
    def verdict_counts(self) -> dict[Verdict, int]:
        """How many claims have each verdict that occurs, in their order."""
        return counted(claim.verdict for claim in self.claims)

    @cached_property
    def audit_counts(self) -> dict[Verdict, int]:
        """How many claims have each of the audit's verdicts that occurs, in their order."""
        return counted(claim.audit for claim in self.claims)


@dataclass(frozen=True)
class PageContents:
    """Everything that a paper's page shows."""

    spec: PageSpec
    paper: Paper


@dataclass(frozen=True)
class ListedClaim:
    """A claim as the report's first page lists it.

    Attributes
    ----------
    claim
        As this scale has it.
    paper
        Its paper, as this scale has it.
    over_scales
        As every scale has it, the one that says most about the paper first.
    """

    claim: Claim
    paper: Paper
    over_scales: ClaimOverScales


@dataclass(frozen=True)
class ReportContents:
    """Everything that the report's first page shows.

    Attributes
    ----------
    spec
        What was asked.
    papers
        Without their figures.
    claims
        Every claim of every paper.
    unreadable
        Why the verdicts of some other scales are left out.
    """

    spec: ReportSpec
    papers: list[Paper]
    claims: list[ListedClaim]
    unreadable: list[str]

    @property
    def scales(self) -> list[str]:
        """The scales that have judged some claim, the most faithful first."""
        judged = {scale for listed in self.claims for scale in listed.over_scales.by_scale}
        return [scale for scale in dict.fromkeys((*self.spec.scales, self.spec.scale)) if scale in judged]

    @property
    def has_scorecard(self) -> bool:
        """Whether the claims of some paper were judged."""
        return any(paper.has_scorecard for paper in self.papers)

    def of_paper(self, paper: str) -> list[ListedClaim]:
        """Return the claims of a paper."""
        return [listed for listed in self.claims if listed.claim.paper == paper]

    @cached_property
    def paper_counts(self) -> dict[str, int]:
        """How many claims each paper has."""
        return {paper.spec.id: len(self.of_paper(paper.spec.id)) for paper in self.papers}

    @cached_property
    def verdict_counts(self) -> dict[Verdict, int]:
        """How many claims have each verdict that occurs, in their order."""
        return counted(listed.over_scales.verdict for listed in self.claims)

    @cached_property
    def audit_counts(self) -> dict[Verdict, int]:
        """How many claims have each of the audit's verdicts that occurs, in their order."""
        return counted(listed.over_scales.audit for listed in self.claims)


def counted(verdicts: Iterable[Verdict]) -> dict[Verdict, int]:
    """Return how often each verdict occurs that does, in their order."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}


def commits_of(papers: Iterable[Paper]) -> list[str]:
    """Return the commits whose code made the numbers."""
    return sorted({source.commit for paper in papers for source in paper.sources if source.commit})


def machines_of(papers: Iterable[Paper]) -> list[str]:
    """Return the kinds of machine, by device and processor, that weights and numbers were computed on."""
    sources = (source for paper in papers for source in paper.sources)
    used = [machine for source in sources for machine in (source, source.made_on) if machine]
    return sorted({name for machine in used for name in machine.names})


def known_machines(machines: Iterable[str]) -> list[str]:
    """Return those of them whose processor is known: older results do not name theirs."""
    return [name for name in machines if not name.endswith(NOT_RECORDED)]

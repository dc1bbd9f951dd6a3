"""What the report shows: papers with their claims, tables and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pydantic import Field

from robustrepro.report.base import Content
from robustrepro.report.claims import Claim
from robustrepro.report.table import NOT_RECORDED, Source, Table
from robustrepro.verdicts import Verdict


class Declared(Content):
    """A table or figure that the paper declares; ``where`` is what the paper calls it."""

    id: str
    where: str
    caption: str = ""


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
    """A paper as declared: what it is called, what its own words mean, and what is regenerated of it."""

    id: str
    title: str
    authors: str = ""
    summary: str = ""
    terms: tuple[Term, ...] = ()
    departures: tuple[Departure, ...] = ()
    tables: tuple[Declared, ...] = ()
    figures: tuple[Declared, ...] = ()


class ReportSpec(Content):
    """What the report is asked to show.

    ``stand_ins`` maps a paper's data set to the one used instead, ``sources`` says what that is, and ``instead`` what
    else is not the paper's.
    """

    scale: str
    scale_description: str = ""
    stand_ins: dict[str, str] = Field(default_factory=dict)
    sources: dict[str, str] = Field(default_factory=dict)
    unverified: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    papers: tuple[PaperSpec, ...] = ()


@dataclass(frozen=True)
class DeclaredTable:
    """A declared table: ``table`` is None, and ``path`` says what is missing, where it was not measured."""

    label: str
    anchor: str
    path: str
    caption: str
    table: Table | None


@dataclass(frozen=True)
class DeclaredFigure:
    """A declared figure: ``uri`` is None, and ``path`` says what is missing, where it was not drawn."""

    label: str
    anchor: str
    path: str
    caption: str
    uri: str | None
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Paper:
    """A paper with its regenerated tables and figures, and its claims.

    ``has_scorecard`` and ``has_audit`` are false while no claim was judged by them yet.
    """

    spec: PaperSpec
    tables: list[DeclaredTable]
    figures: list[DeclaredFigure]
    claims: list[Claim]
    has_scorecard: bool
    has_audit: bool


@dataclass(frozen=True)
class ReportContents:
    """Everything that the report of a scale shows."""

    spec: ReportSpec
    papers: list[Paper]

    @cached_property
    def claims(self) -> list[Claim]:
        """The claims of every paper."""
        return [claim for paper in self.papers for claim in paper.claims]

    @property
    def has_scorecard(self) -> bool:
        """Whether the claims of some paper were judged."""
        return any(paper.has_scorecard for paper in self.papers)

    @cached_property
    def verdict_counts(self) -> dict[Verdict, int]:
        """How many claims have each verdict that occurs, in their order."""
        return _counted(claim.verdict for claim in self.claims)

    @cached_property
    def audit_counts(self) -> dict[Verdict, int]:
        """How many claims have each of the audit's verdicts that occurs, in their order."""
        return _counted(claim.audit for claim in self.claims)

    @property
    def tables(self) -> list[DeclaredTable]:
        """Every declared table, measured or not."""
        return [declared for paper in self.papers for declared in paper.tables]

    @property
    def figures(self) -> list[DeclaredFigure]:
        """Every declared figure, drawn or not."""
        return [declared for paper in self.papers for declared in paper.figures]

    @cached_property
    def sources(self) -> list[Source]:
        """Every source of every number on the page."""
        tables = [declared.table for declared in self.tables if declared.table]
        return [source for table in tables for cell in table.cells for source in cell.sources]

    @cached_property
    def commits(self) -> list[str]:
        """The commits whose code made the numbers."""
        return sorted({source.commit for source in self.sources if source.commit})

    @cached_property
    def machines(self) -> list[str]:
        """The kinds of machine, by device and processor, that weights and numbers were computed on."""
        used = [machine for source in self.sources for machine in (source, source.made_on) if machine]
        return sorted({name for machine in used for name in machine.names})

    @property
    def known_machines(self) -> list[str]:
        """Those of them whose processor is known: older results do not name theirs."""
        return [name for name in self.machines if not name.endswith(NOT_RECORDED)]


def _counted(verdicts: Iterable[Verdict]) -> dict[Verdict, int]:
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}

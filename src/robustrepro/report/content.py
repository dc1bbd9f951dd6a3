"""What the report shows: papers, tables, numbers with their sources, figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import Field

from robustrepro.report.base import Content
from robustrepro.report.claims import AUDIT_VERDICTS, VERDICTS, Claim


class Source(Content):
    """A model that a value was measured on, with the bytes, specs and code that made it."""

    model: str
    weights_sha256: str
    measurement: str
    training_spec: dict[str, Any] | None = None
    attack_spec: dict[str, Any] | None = None
    commit: str | None = None
    device: str | None = None


class SeedValue(Content):
    """The number from one seed, over ``count`` examples, in the unit of its table."""

    seed: int
    value: float | None = None
    count: int | None = None
    sources: tuple[Source, ...] = ()


class Cell(Content):
    """Our number beside the printed one; ``difference`` is ours less theirs."""

    row: str
    column: str
    mean: float | None = None
    std: float | None = None
    interval: tuple[float, float] | None = None
    interval_kind: str | None = None
    seeds: int | None = None
    printed: str | None = None
    printed_value: float | None = None
    difference: float | None = None
    values: tuple[SeedValue, ...] = ()

    @cached_property
    def sources(self) -> list[Source]:
        """Every source of every seed, in order."""
        return [source for value in self.values for source in value.sources]


class Heading(Content):
    """A row or column: the key that claims use and the label that the paper prints."""

    key: str
    label: str


class Table(Content):
    """A table of a paper, regenerated."""

    id: str
    caption: str
    where: str
    unit: str = ""
    decimals: int = 2
    row_header: str = ""
    stand_in: bool = False
    stand_in_note: str | None = None
    rows: tuple[Heading, ...]
    columns: tuple[Heading, ...]
    cells: tuple[Cell, ...]

    @cached_property
    def cell_at(self) -> dict[tuple[str, str], Cell]:
        """The cells by (row key, column key)."""
        return {(cell.row, cell.column): cell for cell in self.cells}

    @property
    def has_printed(self) -> bool:
        """Whether the paper prints some of its numbers."""
        return any(cell.printed for cell in self.cells)


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
    """A paper with its regenerated tables and figures, and its claims."""

    spec: PaperSpec
    tables: list[DeclaredTable]
    figures: list[DeclaredFigure]
    claims: list[Claim]


@dataclass(frozen=True)
class Contents:
    """Everything on the page. ``has_scorecard`` and ``has_audit`` are false while no claim was judged by them yet."""

    spec: ReportSpec
    papers: list[Paper]
    claims: list[Claim]
    has_scorecard: bool
    has_audit: bool

    @cached_property
    def verdict_counts(self) -> dict[str, int]:
        """How many claims have each verdict that occurs, in the order of ``VERDICTS``."""
        counts = Counter(claim.verdict for claim in self.claims)
        return {verdict: counts[verdict] for verdict in VERDICTS if counts[verdict]}

    @cached_property
    def audit_counts(self) -> dict[str, int]:
        """How many claims have each of the audit's verdicts that occurs, in the order of ``AUDIT_VERDICTS``."""
        counts = Counter(claim.audit for claim in self.claims)
        return {verdict: counts[verdict] for verdict in AUDIT_VERDICTS if counts[verdict]}

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
    def devices(self) -> list[str]:
        """The devices that the numbers were computed on."""
        return sorted({source.device for source in self.sources if source.device})

"""A paper as declared in ``papers/<paper>/paper.yaml``: models, measures, tables, figures, claims."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from robustrepro.spec.base import Declaration, Key, Name, OneLine
from robustrepro.spec.figures import Figure, Selected
from robustrepro.spec.readings import Reading
from robustrepro.spec.statistics import DeclaredStatistic


class Row(Declaration):
    """A row of a table: one model, several that the columns compare, or the printed numbers alone.

    A row that is there ``only_with`` another paper, whose models it shows, is measured where that is asked for, too. No
    claim can rest on it, and its models attack none of this paper's.
    """

    label: str
    model: Name | None = None
    models: dict[Key, Name] | None = Field(default=None, min_length=1)
    published_only: bool = False
    only_with: Name | None = None

    @model_validator(mode="after")
    def _has_one_of_them(self) -> Row:
        if (self.model is not None) + (self.models is not None) + self.published_only != 1:
            raise ValueError("expected one of 'model', 'models' and 'published_only: true'")
        return self

    @property
    def all_models(self) -> list[str]:
        """The row's models: none, one or several."""
        return [self.model] if self.model else list((self.models or {}).values())

    def subject(self, column: Column) -> str | None:
        """Return the one model that a column measures in this row; None where there is none, or a pair."""
        if column.of is None:
            return self.model
        return (self.models or {}).get(column.of[0]) if len(column.of) == 1 else None


class Column(Declaration):
    """A column of a table: a statistic of a measure, or an expression over other cells.

    Attributes
    ----------
    label, group
        As the paper prints them; columns of one group stand under a common header.
    measure
        What is shown of each row's model. Of several measures, an image counts if it resists all.
    statistic
        What is computed of it: the kind's own when not said.
    rows
        Which rows of the measurement, by the values of its columns, one or several of each: ``{epsilon: 8/255}`` of a
        curve.
    unit, decimals
        Of the numbers: the statistic's own, or the table's where it has one, when not said.
    of
        Which of the row's ``models``, by key: one, or two for a measurement of a pair.
    target, white_box
        For examples that are made for the row's model: on which model they are tried, and whether on the very network
        that they were made for.
    value
        An expression over the table's cells, ``row[column]``; ``this`` is the cell's own row.
    """

    label: str
    group: str | None = None
    measure: Name | Annotated[list[Name], Field(min_length=1)] | None = None
    statistic: DeclaredStatistic | None = None
    rows: dict[str, Selected | Annotated[list[Selected], Field(min_length=1)]] | None = None
    unit: str | None = None
    decimals: int | None = Field(default=None, ge=0, le=6)
    of: list[Key] | None = Field(default=None, min_length=1, max_length=2)
    target: Name | None = None
    white_box: bool = False
    value: OneLine | None = None

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Column:
        if (self.measure is None) == (self.value is None):
            raise ValueError("expected either 'measure' or 'value'")
        others = (self.statistic is not None, self.rows, self.of, self.target, self.white_box)
        if self.value is not None and any(others):
            raise ValueError("a column with a 'value' takes no 'statistic', 'rows', 'of', 'target' or 'white_box'")
        return self

    @property
    def measures(self) -> list[str]:
        """The names of its measures: none, one or several."""
        if self.measure is None:
            return []
        return [self.measure] if isinstance(self.measure, str) else self.measure

    @property
    def full_label(self) -> str:
        """The label with its group before it, as files with printed numbers have it."""
        return f"{self.group}: {self.label}" if self.group else self.label


class ReportedSeed(Declaration):
    """The one seed that a table reports in each row, for a paper that trains several models and reports the median one.

    Every cell shows the number of this seed, with the lowest and the highest of all seeds beside it, and is compared
    with the printed number by it; a computed cell has its value of this seed, whatever seeds other rows report. A cell
    shows its mean as ever where ``median_of`` is not measured in its row, or with one seed, and where it has no value
    of the reported seed, or of no other. Verdicts rest on all seeds all the same: on their mean and its interval.

    Attributes
    ----------
    median_of
        A column, by key: reported is the seed whose value there is the median of the row's seeds. Of an even number it
        is the lower of the two in the middle, of seeds with the same value the lowest.
    """

    median_of: Key


class Table(Declaration):
    """A table: as the paper prints it when ``published`` names its numbers, else one that the paper lacks.

    ``unit`` and ``decimals`` are those of every column that does not say its own; ``reports`` chooses one seed in each
    row, where the paper does so, too.
    """

    where: str
    caption: str
    unit: str | None = None
    decimals: int | None = Field(default=None, ge=0, le=6)
    published: Key | None = None
    row_header: str = ""
    reports: ReportedSeed | None = None
    rows: dict[Key, Row] = Field(min_length=1)
    columns: dict[Key, Column] = Field(min_length=1)


class Claim(Declaration):
    """A claim of the paper: its words, where it makes them, and the conditions under which it holds."""

    says: str
    where: str
    holds_if: list[OneLine] = Field(min_length=1)
    margins: str


class Departure(Declaration):
    """Where this reproduction does other than the paper says, or has to choose what it leaves unsaid."""

    where: str
    paper: str
    ours: str
    why: str


SECTIONS = ("audit", "departures")
"""What else the report has of a paper, beside tables and figures."""


class Paper(Declaration):
    """Everything that is asked for of one paper.

    ``terms`` are words of its own, explained in the report. Data sets, models and measures have names that are global,
    and are checked once the scale and the user's changes lie over them.
    """

    title: str
    authors: str
    summary: str
    terms: dict[str, str] = Field(default_factory=dict)
    departures: list[Departure] = Field(default_factory=list)
    datasets: dict[Key, dict[str, Any]] = Field(default_factory=dict)
    models: dict[Key, dict[str, Any]] = Field(default_factory=dict)
    measures: dict[Key, dict[str, Any]] = Field(default_factory=dict)
    tables: dict[Key, Table]
    figures: dict[Key, Figure] = Field(default_factory=dict)
    claims: dict[Key, Claim] = Field(default_factory=dict)
    readings: dict[Key, Reading] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _places_have_names_of_their_own(self) -> Paper:
        taken = {*self.tables} & {*self.figures} | {*self.tables, *self.figures} & {*SECTIONS}
        if taken:
            raise ValueError(f"'{min(taken)}' names two places of the report; give the table or figure another key")
        return self

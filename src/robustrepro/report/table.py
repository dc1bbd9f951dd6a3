"""A regenerated table as the report reads it: numbers beside the printed ones, with everything behind each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from pydantic import model_validator

from robustrepro.report.base import Content

NOT_RECORDED = "not recorded"


class Machine(Content):
    """What something was computed on; of shards on several machines each processor is named, with "; " between."""

    device: str | None = None
    processor: str | None = None

    @property
    def names(self) -> list[str]:
        """What the machine is called, or each of them."""
        processors = self.processor.split("; ") if self.processor else [NOT_RECORDED]
        return [f"{self.device}, processor {processor}" for processor in processors] if self.device else []


class Source(Machine):
    """A model that a value was measured on, with the bytes, specs and code that made it.

    Device and processor are those of the measurement; ``made_on`` is what the weights were computed on.
    """

    model: str
    weights_sha256: str
    measurement: str
    training_spec: dict[str, Any] | None = None
    attack_spec: dict[str, Any] | None = None
    commit: str | None = None
    made_on: Machine | None = None


class SeedValue(Content):
    """The number from one seed, over ``count`` examples, in the unit of its column."""

    seed: int
    value: float | None = None
    count: int | None = None
    sources: tuple[Source, ...] = ()


class ReportedSeed(Content):
    """The one seed that a cell's number is from, with the lowest and the highest number of any seed."""

    seed: int
    value: float
    low: float
    high: float


class Cell(Content):
    """Our number beside the printed one; ``difference`` is ours less theirs, ``why`` the reason for having none."""

    row: str
    column: str
    status: Literal["measured", "not measured", "published only"]
    why: str | None = None
    mean: float | None = None
    std: float | None = None
    interval: tuple[float, float] | None = None
    interval_kind: str | None = None
    seeds: int | None = None
    printed: str | None = None
    printed_value: float | None = None
    difference: float | None = None
    values: tuple[SeedValue, ...] = ()
    reported: ReportedSeed | None = None

    @model_validator(mode="after")
    def _has_a_number_where_measured(self) -> Cell:
        if (self.status == "measured") != (self.mean is not None):
            raise ValueError(f"status is '{self.status}', but mean is {self.mean}")
        return self

    @cached_property
    def sources(self) -> list[Source]:
        """Every source of every seed, in order."""
        return [source for value in self.values for source in value.sources]

    @property
    def ours(self) -> float | None:
        """The number that it shows of ours: the mean over seeds, or that of the one seed that the table reports."""
        return self.reported.value if self.reported else self.mean

    @property
    def sort_value(self) -> float | None:
        """The number that a column is sorted by: ours, or the printed one where the row is of printed ones only."""
        return self.printed_value if self.status == "published only" else self.ours


class Heading(Content):
    """The key that claims use and the label that the paper prints."""

    key: str
    label: str


class Row(Heading):
    """A row; ``differs`` has what the user changed of what it shows, in words."""

    differs: tuple[str, ...] = ()


class Column(Heading):
    """A column, with the label of the group that it stands under and how its numbers are written."""

    group: str | None = None
    unit: str
    decimals: int

    @property
    def name(self) -> str:
        """What the column is called outside its table, where no group stands above it."""
        return f"{self.group}, {self.label}" if self.group else self.label


@dataclass(frozen=True)
class ColumnGroup:
    """Neighbouring columns, by their place from 1 on, under one label; a column without a group stands by itself."""

    label: str | None
    columns: dict[int, Column]

    @property
    def first(self) -> int:
        """The place of its first column."""
        return min(self.columns)


class Distance(Content):
    """The mean over ``cells`` of |ours − printed|, those that are measured and printed; None where there are none."""

    mean_absolute_difference: float | None
    cells: int


class Reports(Content):
    """The column by whose median the seed is chosen that a table reports in each row."""

    median_of: str


class Table(Content):
    """A table of a paper, regenerated; ``differs`` has what is not the paper's of what it shows, in words.

    ``reading`` names the reading that it is of, where the paper declares readings; ``distance`` is how far it is from
    what the paper prints; ``reports`` is there where its cells show one seed instead of the mean over all.
    """

    id: str
    reading: str = ""
    distance: Distance | None = None
    caption: str
    where: str
    row_header: str = ""
    reports: Reports | None = None
    stand_in: bool = False
    stand_in_note: str | None = None
    differs: tuple[str, ...] = ()
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]

    @cached_property
    def cell_at(self) -> dict[tuple[str, str], Cell]:
        """The cells by (row key, column key)."""
        return {(cell.row, cell.column): cell for cell in self.cells}

    @cached_property
    def column_groups(self) -> list[ColumnGroup]:
        """The columns as the upper line of a two-level header has them."""

        def group_or_self(place_and_column: tuple[int, Column]) -> tuple[str | None, int]:
            place, column = place_and_column
            return column.group, 0 if column.group else place

        runs = groupby(enumerate(self.columns, start=1), key=group_or_self)
        return [ColumnGroup(label, dict(columns)) for (label, _), columns in runs]

    @property
    def has_groups(self) -> bool:
        """Whether the header has two levels."""
        return any(column.group for column in self.columns)

    @cached_property
    def group_starts(self) -> set[int]:
        """The places where a line parts the columns: before and after every group; none without groups."""
        return {group.first for group in self.column_groups[1:]} if self.has_groups else set()

    @property
    def has_printed(self) -> bool:
        """Whether the paper prints some of its numbers."""
        return any(cell.printed for cell in self.cells)

    @cached_property
    def published_only(self) -> set[str]:
        """The keys of rows of which nothing is measured here, only the printed numbers are shown."""
        statuses: dict[str, set[str]] = {}
        for cell in self.cells:
            statuses.setdefault(cell.row, set()).add(cell.status)
        return {row for row, of_row in statuses.items() if of_row == {"published only"}}

    @property
    def chosen_by(self) -> str:
        """The name of the column by whose median the shown seeds are chosen; empty where every number is a mean."""
        if self.reports is None or not any(cell.reported for cell in self.cells):
            return ""
        return next(column.name for column in self.columns if column.key == self.reports.median_of)

    @property
    def reasons(self) -> Counter[str]:
        """Why some numbers were not measured, with how many each reason is of."""
        return Counter(cell.why or "no reason was recorded" for cell in self.cells if cell.status == "not measured")

    @property
    def units_compared(self) -> dict[str, None]:
        """The units, in order, of columns in which ours and the printed numbers are compared."""
        units = {column.key: column.unit for column in self.columns}
        return dict.fromkeys(units[cell.column] for cell in self._compared())

    @property
    def compared_unit(self) -> str:
        """The unit of its distance: that of every column in which ours and the printed numbers are compared."""
        return next(iter(self.units_compared), "")

    @property
    def decimals_compared(self) -> int:
        """The fewest decimals of columns in which ours and the printed numbers are compared, but one at least."""
        decimals = {column.key: column.decimals for column in self.columns}
        return max(1, min((decimals[cell.column] for cell in self._compared()), default=1))

    def _compared(self) -> Iterator[Cell]:
        return (cell for cell in self.cells if cell.difference is not None)

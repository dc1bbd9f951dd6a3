"""What tables and figures are made from: the measurements behind each cell, panel and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustrepro.errors import UserError
from robustrepro.grammar import CELL, Cell, Place, cell_of, order_of_values, parse_condition, parse_value
from robustrepro.layout import PAIR, Layout
from robustrepro.printed import parse_printed, read_published
from robustrepro.spec.config import validated
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.figures import FigureKind, Lines, PrintedNumber, Source
from robustrepro.spec.jobs import spec_of
from robustrepro.spec.measurements import Transfer, runs_of
from robustrepro.spec.pairing import Pairing
from robustrepro.spec.paper import Column, Row, Table
from robustrepro.spec.statistics import Statistic, statistic_of
from robustrepro.spec.strict_yaml import Tree

Shown = tuple[str, str]
"""A model, and a measure of it."""


@dataclass
class TableContents:
    """A table's cells and the measurements behind them, as (measure, subject, seed)."""

    cells: list[Tree] = field(default_factory=list)
    statistics: list[Statistic] = field(default_factory=list)
    measurements: dict[tuple[str, str, int], None] = field(default_factory=dict)


class Contents:
    """The sources of what a plan shows.

    Parameters
    ----------
    declarations
        Everything that is declared.
    layout
        Where the measurements lie.
    """

    def __init__(self, declarations: Declarations, layout: Layout) -> None:
        self._declarations, self._layout = declarations, layout
        self.pairing = Pairing(declarations)
        """Who attacks whom by transfer."""

    # -- tables --------------------------------------------------------------------------------------------------

    def table(self, paper: str, name: str) -> TableContents:
        """Return a table's cells, row by row."""
        declared = self._declarations.table(paper, name)
        contents = TableContents()
        for row_key, row in declared.rows.items():
            for column_key, column in declared.columns.items():
                cell = {"row": row_key, "column": column_key, **self._cell(row, column, contents)}
                contents.cells.append(cell)
        return contents

    def _cell(self, row: Row, column: Column, contents: TableContents) -> Tree:
        """Return what a cell is computed from."""
        if row.published_only:
            return {"kind": "published_only"}
        if column.value is not None:
            return {"kind": "value", "value": column.value}
        if why := self._why_not_measured(row, column):
            return {"kind": "not_measured", "why": why}
        models, subject = self.cell_models(row, column)
        statistic = self.statistic(column)
        contents.statistics.append(statistic)
        samples = self.samples(row, column)
        for measure in column.measures:
            contents.measurements |= {(measure, subject, sample["subject_seed"]): None for sample in samples}
        return {
            "kind": "measured",
            "measures": column.measures,
            "subject": subject,
            "models": models,
            "statistic": statistic.model_dump(mode="json"),
            "samples": samples,
        }

    def is_left_out(self, shown: Shown) -> bool:
        """Tell whether a model, or what a measure of it needs, is left out."""
        model, measure = shown
        return self._declarations.left_out(model) or bool(self._left_out_of([measure]))

    def _left_out_of(self, measures: Iterable[str]) -> list[str]:
        """Return the models that are left out and that measures need, whatever they are of, each once."""
        of_each = (self._declarations.left_out_of(self._declarations.measure(measure)) for measure in measures)
        return list(dict.fromkeys(model for models in of_each for model in models))

    def cell_models(self, row: Row, column: Column) -> tuple[list[str], str]:
        """Return the models that a cell is about, and the subject of its measurements."""
        if column.of:
            pair = [(row.models or {})[key] for key in column.of]
            return pair, PAIR.join(pair)
        model = str(row.model)
        if self._is_transfer(column):
            source, target = self.pairing.pair(model, column)
            return list(dict.fromkeys([source, target])), source
        return [model], model

    def samples(self, row: Row, column: Column) -> list[Tree]:
        """Return which measurement each seed's value is from, and which of its rows."""
        if self._is_transfer(column):
            return self.pairing.samples(str(row.model), column)
        models, _ = self.cell_models(row, column)
        seeds = range(min(len(self._declarations.seeds(model)) for model in models))
        return [{"seed": seed, "subject_seed": seed, "rows": column.rows} for seed in seeds]

    def _is_transfer(self, column: Column) -> bool:
        return isinstance(self._declarations.measure(column.measures[0]), Transfer)

    def _why_not_measured(self, row: Row, column: Column) -> str | None:
        """Return why a cell with measures is not measured; None where it is."""
        if self._is_not_asked_for(row):
            return f"{row.only_with} is not asked for"
        models, _ = self.cell_models(row, column)
        absent = [model for model in models if self._declarations.left_out(model)]
        absent += [model for model in self._left_out_of(column.measures) if model not in absent]
        if absent:
            return f"{', '.join(absent)}: left out"
        lone = self.pairing.without_second_seed(str(row.model), column) if self._is_transfer(column) else None
        return f"needs two seeds or more of {lone}; it has one" if lone else None

    def _is_not_asked_for(self, row: Row) -> bool:
        """Tell whether a row is of another paper, which is not run."""
        return row.only_with is not None and row.only_with not in self._declarations.config.papers

    def measured(self, paper: str, name: str) -> set[Place]:
        """Return the cells of a table that a run measures, or computes from such cells."""
        table = self._declarations.table(paper, name)
        cells = {
            Place(row_key, column_key): (row, column)
            for row_key, row in table.rows.items()
            for column_key, column in table.columns.items()
            if not row.published_only
        }
        found = {
            place
            for place, (row, column) in cells.items()
            if column.measures and self._why_not_measured(row, column) is None
        }
        values = {
            place: parse_value(column.value, place.row)
            for place, (_, column) in cells.items()
            if column.value is not None
        }
        for place in order_of_values(values, cells):
            if found.issuperset(values[place].cells):
                found.add(place)
        return found

    def statistic(self, column: Column) -> Statistic:
        """Return a column's statistic: its own, or that of its kind of measurement."""
        return column.statistic or statistic_of(self._declarations.measure(column.measures[0]).statistic)

    def heading(self, table: Table, key: str) -> Tree:
        """Return a column's heading, with the unit and decimals of its numbers."""
        column = table.columns[key]
        statistic = self.statistic(column) if column.measures else None
        own_unit, own_decimals = (statistic.unit, statistic.decimals) if statistic else ("", 2)
        return {
            "key": key,
            "label": column.label,
            "group": column.group,
            "unit": _first(column.unit, table.unit, own_unit),
            "decimals": _first(column.decimals, table.decimals, own_decimals),
            "accuracy": bool(statistic and statistic.accuracy),
        }

    def table_models(self, paper: str, name: str) -> list[str]:
        """Return the models that a table shows."""
        return list(dict.fromkeys(model for model, _ in self.table_shows(paper, name)))

    def table_shows(self, paper: str, name: str) -> list[Shown]:
        """Return what a table shows, as (model, measure)."""
        rows = self._declarations.table(paper, name).rows
        return list(dict.fromkeys(shown for row in rows for shown in self.row_shows(paper, name, row)))

    def row_shows(self, paper: str, name: str, row: str) -> list[Shown]:
        """Return what a row of a table shows, as (model, measure)."""
        columns = self._declarations.table(paper, name).columns
        return [shown for column in columns for shown in self.cell_shows(paper, Cell(name, row, column))]

    def cell_shows(self, paper: str, cell: Cell) -> list[Shown]:
        """Return what a cell is measured on, as (model, measure); of a computed one, the cells that it is made of."""
        if self._declarations.under_readings[paper].is_not_made(cell.table):
            return []
        table = self._declarations.table(paper, cell.table)
        row, column = table.rows[cell.row], table.columns[cell.column]
        if row.published_only or self._is_not_asked_for(row):
            return []
        if column.value is not None:
            parts = parse_value(column.value, cell.row).cells
            return [shown for part in parts for shown in self.cell_shows(paper, Cell(cell.table, *part))]
        return [(model, measure) for model in self.cell_models(row, column)[0] for measure in column.measures]

    def claim_shows(self, paper: str, conditions: Iterable[str]) -> list[Shown]:
        """Return what the conditions of a claim rest on, as (model, measure)."""
        cells = dict.fromkeys(cell for text in conditions for cell in parse_condition(text).cells)
        return list(dict.fromkeys(shown for cell in cells for shown in self.cell_shows(paper, cell)))

    def table_spec(self, paper: str, name: str, changed: Mapping[str, list[str]], shared: Tree) -> str:
        """Return the spec of the job that makes a table.

        Parameters
        ----------
        paper, name
            The table.
        changed
            By row, what the user has changed of what it shows, in words.
        shared
            What every table and figure says of its models: stand-in and unverified data, and how they were trained.
        """
        declared = self._declarations.table(paper, name)
        contents = self.table(paper, name)
        of, reading = self._declarations.under_readings[paper].origins[name]
        return spec_of(
            runs_of(contents.statistics),
            id=name,
            of=of,
            reading=reading,
            paper=paper,
            where=declared.where,
            caption=declared.caption,
            row_header=declared.row_header,
            reports=declared.reports and declared.reports.model_dump(mode="json"),
            rows=[{"key": key, "label": row.label, "differs": changed[key]} for key, row in declared.rows.items()],
            columns=[self.heading(declared, key) for key in declared.columns],
            cells=contents.cells,
            printed=self.printed(paper, declared),
            **shared,
        )

    def printed(self, paper: str, table: Table) -> list[Tree]:
        """Return what the paper prints in each cell."""
        if table.published is None:
            return []
        for labels in ([row.label for row in table.rows.values()], [c.full_label for c in table.columns.values()]):
            if twice := [label for label in labels if labels.count(label) > 1]:
                raise UserError(
                    f"papers/{paper}/paper.yaml: two rows or columns are labelled '{twice[0]}', so that the numbers in "
                    f"{table.published} could be of either"
                )
        file = self._declarations.root / "papers" / paper / "published" / table.published
        rows = {row.label: key for key, row in table.rows.items()}
        columns = {column.full_label: key for key, column in table.columns.items()}
        measured = ((key, column) for key, column in table.columns.items() if column.measures)
        shares = [key for key, column in measured if self.statistic(column).unit == "%"]
        cells = read_published(file, rows, columns, shares)
        return [{"row": row, "column": column, "text": text} for (row, column), text in cells.items()]

    # -- figures -------------------------------------------------------------------------------------------------

    def drawing(self, paper: str, name: str) -> FigureKind:
        """Return a figure's declaration with the numbers that it refers to as the paper prints them.

        Raises
        ------
        UserError
            If the paper prints no number there, or it does not fit the figure.
        """
        drawn = self._declarations.figure(paper, name).figure
        if not isinstance(drawn, Lines):
            return drawn
        content = drawn.model_dump(mode="json")
        for reference, written in zip(drawn.references, content["references"], strict=True):
            if isinstance(reference.y, PrintedNumber):
                written["y"] = self._printed_number(paper, reference.y.printed, f"figures.{name}: references")
        return validated(Lines, content, f"papers/{paper}/paper.yaml: figures.{name}.figure")

    def _printed_number(self, paper: str, text: str, where: str) -> float:
        tables = self._declarations.papers[paper].tables
        cell = cell_of(text) if re.fullmatch(CELL, text) else None
        found = None
        if cell is not None and cell.table in tables:
            texts = {(each["row"], each["column"]): each["text"] for each in self.printed(paper, tables[cell.table])}
            found = parse_printed(texts.get((cell.row, cell.column), "")).value
        if found is None:
            raise UserError(
                f"papers/{paper}/paper.yaml: {where}: the paper prints no number in '{text}'; expected a cell such as "
                "table2[hrm, pgd]"
            )
        return found

    def figure_models(self, paper: str, name: str) -> list[str]:
        """Return the models that a figure is drawn from, those of a table that it shows included."""
        return list(dict.fromkeys(model for model, _ in self.figure_shows(paper, name)))

    def figure_files(self, paper: str, name: str) -> list[str]:
        """Return the measurements and tables that a figure is drawn from."""
        drawn = self._declarations.figure(paper, name).figure
        files = [
            self._layout.measurement(source.measure, source.model, seed)
            for source in drawn.sources()
            for seed in self._seeds_of(source)
        ]
        files += [self._layout.table(paper, table) for table in drawn.tables()]
        return list(dict.fromkeys(files))

    def is_not_run(self, paper: str, name: str) -> bool:
        """Tell whether a figure shows something under a reading that adds nothing to this run."""
        sources = self._declarations.figure(paper, name).figure.sources()
        return any(self._declarations.is_not_run(each) for source in sources for each in (source.model, source.measure))

    def is_drawn(self, paper: str, name: str) -> bool:
        """Tell whether a figure is drawn: none of its models is left out, and what it shows is measured."""
        if self.is_not_run(paper, name):
            return False
        drawn = self._declarations.figure(paper, name).figure
        needed = [(source.model, source.measure) for source in drawn.sources()]
        if not drawn.shows_rows_alone:
            needed = self.figure_shows(paper, name)
        if any(map(self.is_left_out, needed)):
            return False
        return all(map(self._has_rows, drawn.sources())) and all(
            drawn.can_show(self.measured(paper, table)) for table in drawn.tables()
        )

    def _has_rows(self, source: Source) -> bool:
        """Tell whether a figure's measurement has a row: one of transfer has none without a second seed to attack."""
        return not isinstance(self._declarations.measure(source.measure), Transfer) or all(
            self.pairing.targets(source.measure, source.model, seed) for seed in self._seeds_of(source)
        )

    def _seeds_of(self, source: Source) -> Iterable[int]:
        return self._declarations.seeds(source.model) if source.seed is None else [source.seed]

    def figure_shows(self, paper: str, name: str) -> list[Shown]:
        """Return what a figure is drawn from, those of a table that it shows included, as (model, measure)."""
        drawn = self._declarations.figure(paper, name).figure
        if self.is_not_run(paper, name):
            return []
        shown = [(source.model, source.measure) for source in drawn.sources()]
        for table in drawn.tables():
            shown += self.table_shows(paper, table)
        return list(dict.fromkeys(shown))


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def everything_shown(contents: Contents, declarations: Declarations, papers: Iterable[str]) -> list[Shown]:
    """Return what the tables and figures of these papers show, as (model, measure)."""
    shown: list[Shown] = []
    for name in papers:
        paper = declarations.papers[name]
        for table in paper.tables:
            shown += contents.table_shows(name, table)
        for figure in paper.figures:
            shown += contents.figure_shows(name, figure)
    return list(dict.fromkeys(shown))

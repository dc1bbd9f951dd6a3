"""What tables and figures are made from: the measurements behind each cell, panel and line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustrepro.errors import UserError
from robustrepro.grammar import Cell, parse_condition, parse_value
from robustrepro.layout import PAIR, Layout
from robustrepro.printed import read_published
from robustrepro.spec.config import Tree
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.jobs import Seeded, spec_of
from robustrepro.spec.measurements import Transfer, runs_of
from robustrepro.spec.paper import Column, Row, Table
from robustrepro.spec.statistics import Statistic, statistic_of

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
        models, subject = self.cell_models(row, column)
        absent = [model for model in models if self._declarations.left_out(model)] + self._data_left_out(
            column.measures
        )
        if absent:
            return {"kind": "not_measured", "why": f"{', '.join(absent)}: left out"}
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

    def _data_left_out(self, measures: Iterable[str]) -> list[str]:
        """Return the models that are left out and from which the data of measures would have to be made."""
        of_each = (self._declarations.data_left_out(self._declarations.measure(measure)) for measure in measures)
        return [model for model in of_each if model is not None]

    def cell_models(self, row: Row, column: Column) -> tuple[list[str], str]:
        """Return the models that a cell is about, and the subject of its measurements."""
        if column.of:
            pair = [(row.models or {})[key] for key in column.of]
            return pair, PAIR.join(pair)
        model = str(row.model)
        declared = self._declarations.measure(column.measures[0])
        if isinstance(declared, Transfer):
            source = declared.source or model
            target = model if declared.source else str(column.target)
            return list(dict.fromkeys([source, target])), source
        return [model], model

    def samples(self, row: Row, column: Column) -> list[Tree]:
        """Return which measurement each seed's value is from, and which of its rows."""
        models, subject = self.cell_models(row, column)
        declared = self._declarations.measure(column.measures[0])
        if not isinstance(declared, Transfer):
            seeds = range(min(len(self._declarations.seeds(model)) for model in models))
            return [{"seed": seed, "subject_seed": seed, "rows": column.rows} for seed in seeds]
        if declared.source:
            sources = len(self._declarations.seeds(subject))
            return [
                {"seed": seed, "subject_seed": (seed + 1) % sources, "rows": _target(str(row.model), seed, column)}
                for seed in self._declarations.seeds(str(row.model))
            ]
        target = str(column.target)
        return [
            {
                "seed": seed,
                "subject_seed": seed,
                "rows": _target(target, self._target_seed(subject, seed, column), column),
            }
            for seed in self._declarations.seeds(subject)
        ]

    def _target_seed(self, source: str, seed: int, column: Column) -> int:
        """Return the seed of the target that a source with this seed attacks: the next, unless it is the white box."""
        if column.white_box and source == column.target:
            return seed
        return (seed + 1) % len(self._declarations.seeds(str(column.target)))

    def transfer_targets(self, measure: str, source: str, seed: int) -> list[Seeded]:
        """Return the models, with their seeds, that the examples of a source are tried on under a declared measure."""
        declared = self._declarations.measure(measure)
        assert isinstance(declared, Transfer)
        targets = [target for target in declared.targets if not self._declarations.left_out(target)]
        if declared.source:
            sources = len(self._declarations.seeds(source))
            pairs = [
                (target, other)
                for target in targets
                for other in self._declarations.seeds(target)
                if (other + 1) % sources == seed
            ]
        else:
            pairs = [(target, (seed + 1) % len(self._declarations.seeds(target))) for target in targets]
        if declared.white_box and source in targets:
            pairs.append((source, seed))
        return sorted(set(pairs))

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
        table = self._declarations.table(paper, cell.table)
        row, column = table.rows[cell.row], table.columns[cell.column]
        if row.published_only:
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
        return spec_of(
            runs_of(contents.statistics),
            id=name,
            paper=paper,
            where=declared.where,
            caption=declared.caption,
            row_header=declared.row_header,
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
        cells = read_published(file, rows, columns)
        return [{"row": row, "column": column, "text": text} for (row, column), text in cells.items()]

    # -- figures -------------------------------------------------------------------------------------------------

    def figure_models(self, paper: str, name: str) -> list[str]:
        """Return the models that a figure is drawn from, those of a table that it shows included."""
        return list(dict.fromkeys(model for model, _ in self.figure_shows(paper, name)))

    def figure_files(self, paper: str, name: str) -> list[str]:
        """Return the measurements and tables that a figure is drawn from."""
        drawn = self._declarations.figure(paper, name).figure
        files = [
            self._layout.measurement(source.measure, source.model, seed)
            for source in drawn.sources()
            for seed in (self._declarations.seeds(source.model) if source.seed is None else [source.seed])
        ]
        files += [self._layout.table(paper, table) for table in drawn.tables()]
        return list(dict.fromkeys(files))

    def is_drawn(self, paper: str, name: str) -> bool:
        """Tell whether a figure is drawn: none of its models is left out."""
        shown = self.figure_shows(paper, name)
        return not any(map(self._declarations.left_out, self.figure_models(paper, name))) and not self._data_left_out(
            measure for _, measure in shown
        )

    def figure_shows(self, paper: str, name: str) -> list[Shown]:
        """Return what a figure is drawn from, those of a table that it shows included, as (model, measure)."""
        drawn = self._declarations.figure(paper, name).figure
        shown = [(source.model, source.measure) for source in drawn.sources()]
        for table in drawn.tables():
            shown += self.table_shows(paper, table)
        return list(dict.fromkeys(shown))


def _target(model: str, seed: int, column: Column) -> Tree:
    """Return which rows of a transfer's measurement a cell is about."""
    return {**(column.rows or {}), "target": model, "target_seed": seed}


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

"""What is checked of papers before anything runs: names, seeds, units, printed numbers, conditions of claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import parse_condition, parse_value, readable_key
from robustrepro.spec.contents import Contents
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.figures import Figure
from robustrepro.spec.measurements import Transfer
from robustrepro.spec.paper import Claim, Column, Paper, Row, Table

Named = TypeVar("Named")
THIS = "this"
"""A cell's own row, in an expression over cells."""


def check_papers(declarations: Declarations, contents: Contents) -> None:
    """Refuse what no run could make of the papers asked for.

    Raises
    ------
    UserError
        At the first mistake; the message names file and key.
    """
    for name, measure in declarations.measures.items():
        if measure.data is not None and measure.data not in declarations.datasets:
            raise unknown_name(f"data set in measures.{name}", measure.data, declarations.datasets)
        if isinstance(measure, Transfer):
            _check_transfer(f"measures.{name}", measure, declarations)
    for name, paper in declarations.papers.items():
        file = f"papers/{name}/paper.yaml"
        for key, table in paper.tables.items():
            _TableCheck(f"{file}: tables.{key}", table, declarations, contents).run()
            contents.printed(name, table)
        for key, figure in paper.figures.items():
            _check_figure(f"{file}: figures.{key}", figure, paper, declarations)
        for key, claim in paper.claims.items():
            _check_claim(f"{file}: claims.{key}", claim, paper, contents)


def _check_transfer(where: str, measure: Transfer, declarations: Declarations) -> None:
    for name in [*measure.targets, *([measure.source] if measure.source else [])]:
        if name not in declarations.models:
            raise unknown_name(f"model in {where}", name, declarations.models)
    datasets = {declarations.dataset_of(name) for name in (*measure.targets, measure.source or measure.targets[0])}
    if len(datasets) > 1:
        raise UserError(f"{where}: examples are transferred between models of one data set, not of {sorted(datasets)}")


class _TableCheck:
    """The check of one table, whose place is ``where``."""

    def __init__(self, where: str, table: Table, declarations: Declarations, contents: Contents) -> None:
        self._where, self._table = where, table
        self._declarations, self._contents = declarations, contents

    def run(self) -> None:
        for part, keys in (("rows", self._table.rows), ("columns", self._table.columns)):
            for key in keys:
                if not readable_key(key) or key == THIS:
                    raise UserError(
                        f"{self._where}.{part}.{key}: claims and expressions cannot name a key such as this"
                    )
        for row_key, row in self._table.rows.items():
            for model in row.all_models:
                if model not in self._declarations.models:
                    raise unknown_name(f"model in {self._where}.rows.{row_key}", model, self._declarations.models)
            if row.published_only and self._table.published is None:
                raise UserError(f"{self._where}.rows.{row_key}: published_only, but the table has no 'published' file")
        for key, column in self._table.columns.items():
            self._check_column(f"{self._where}.columns.{key}", column)
            for row_key, row in self._table.rows.items():
                if column.measures and not row.published_only:
                    self._check_cell(f"{self._where}.rows.{row_key}", row, f"{self._where}.columns.{key}", column)

    def _check_column(self, where: str, column: Column) -> None:
        for measure in column.measures:
            if measure not in self._declarations.measures:
                raise unknown_name(f"measure in {where}", measure, self._declarations.measures)
        if column.value is not None:
            self._check_value(where, column.value)
            return
        statistic = self._contents.statistic(column)
        if len(column.measures) > 1 and not statistic.accuracy:
            raise UserError(f"{where}: of several measures only an accuracy can be shown, not '{statistic.name}'")

    def _check_value(self, where: str, text: str) -> None:
        try:
            references = parse_value(text).cells
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        for row, column in references:
            if row != THIS and row not in self._table.rows:
                raise unknown_name(f"row in {where}: '{text}'", row, self._table.rows)
            if column not in self._table.columns:
                raise unknown_name(f"column in {where}: '{text}'", column, self._table.columns)
            if self._table.columns[column].value is not None:
                raise UserError(f"{where}: '{text}' names the column {column}, which is an expression itself")

    def _check_cell(self, row_where: str, row: Row, where: str, column: Column) -> None:
        declared = self._declarations.measure(column.measures[0])
        if declared.subjects == 2:
            self._check_pair(row_where, row, where, column)
            return
        if row.model is None or column.of:
            raise UserError(f"{row_where}: column {where.rpartition('.')[2]} measures one model; expected 'model'")
        if isinstance(declared, Transfer):
            self._check_target(where, row.model, column, declared)
        elif column.target:
            raise UserError(f"{where}: 'target' is for measures of kind transfer, which {column.measures[0]} is not")

    def _check_pair(self, row_where: str, row: Row, where: str, column: Column) -> None:
        if not column.of:
            raise UserError(
                f"{where}: {column.measures[0]} compares two models; expected 'of' with two keys of 'models'"
            )
        for key in column.of:
            if key not in (row.models or {}):
                raise unknown_name(f"model of {row_where} in {where}", key, row.models or {})
        first, second = ((row.models or {})[key] for key in column.of)
        if self._declarations.network(first) != self._declarations.network(second):
            raise UserError(f"{row_where}: {first} and {second} have different architectures, so no distance")

    def _check_target(self, where: str, model: str, column: Column, declared: Transfer) -> None:
        target = model if declared.source else column.target
        if declared.source and column.target:
            raise UserError(f"{where}: {column.measures[0]} has a source, so that the target is each row's own model")
        if target is None:
            raise UserError(
                f"{where}: expected 'target', one of {column.measures[0]}'s ({', '.join(declared.targets)})"
            )
        if target not in declared.targets:
            raise unknown_name(f"target of {column.measures[0]} in {where}", target, declared.targets)
        source = declared.source or model
        ours, theirs = self._declarations.dataset_of(source), self._declarations.dataset_of(target)
        if ours != theirs:
            raise UserError(
                f"{where}: examples are transferred between models of one data set; {source} is of {ours}, {target} of "
                f"{theirs}"
            )
        if column.white_box and not declared.white_box:
            raise UserError(f"{where}: white_box, but {column.measures[0]} does not try the source's own network")
        own = column.white_box and source == target
        other = source if declared.source else target
        if not own and len(self._declarations.seeds(other)) < 2:
            raise UserError(
                f"{where}: {other} has one seed; an independently trained {'source' if declared.source else 'target'} "
                "needs two or more (overrides in config.yaml: seeds)"
            )


def _check_figure(where: str, figure: Figure, paper: Paper, declarations: Declarations) -> None:
    for table in figure.figure.tables():
        if table not in paper.tables:
            raise unknown_name(f"table in {where}", table, paper.tables)
    for source in figure.figure.sources():
        if source.model not in declarations.models:
            raise unknown_name(f"model in {where}", source.model, declarations.models)
        if source.measure not in declarations.measures:
            raise unknown_name(f"measure in {where}", source.measure, declarations.measures)
        seeds = declarations.seeds(source.model)
        if source.seed is not None and source.seed not in seeds:
            raise UserError(f"{where}: {source.model} has no seed {source.seed} at this scale (it has {len(seeds)})")


def _check_claim(where: str, claim: Claim, paper: Paper, contents: Contents) -> None:
    for text in claim.holds_if:
        try:
            cells = [cell for _, cell in parse_condition(text).terms]
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        units = {}
        for cell in cells:
            table = _named(paper.tables, cell.table, f"table in {where}")
            _named(table.rows, cell.row, f"row of {cell.table} in {where}")
            _named(table.columns, cell.column, f"column of {cell.table} in {where}")
            units[contents.heading(table, cell.column)["unit"]] = cell
            if table.rows[cell.row].published_only:
                raise UserError(f"{where}: {cell} is a row of printed numbers alone, and nothing is measured there")
        if len(units) > 1:
            different = ", ".join(f"{cell} in '{unit}'" for unit, cell in units.items())
            raise UserError(f"{where}: condition '{text}' compares cells of different units: {different}")


def _named(known: Mapping[str, Named], name: str, what: str) -> Named:
    if name not in known:
        raise unknown_name(what, name, known)
    return known[name]

"""What is checked of papers before anything runs: names, seeds, units, printed numbers, conditions of claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import Expression, Place, order_of_values, parse_condition, parse_value
from robustrepro.keys import AT
from robustrepro.layout import CURVE
from robustrepro.spec.contents import Contents
from robustrepro.spec.datasets import HeldOutDataset
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.measurements import Measurement, Transfer
from robustrepro.spec.names import differing_in_case_alone
from robustrepro.spec.origins import kept_epochs
from robustrepro.spec.paper import Column, Paper, Row, Table
from robustrepro.spec.shown import check_columns, check_figure, check_history, check_one_row_per_image, check_rows
from robustrepro.spec.statistics import Accuracy, Statistic
from robustrepro.spec.subjects import check_measure, check_subject, check_target
from robustrepro.spec.under_readings import SearchUnder, UnderReadings
from robustrepro.spec.written import ONE_FILE

Named = TypeVar("Named")
Read = TypeVar("Read")


def check_papers(declarations: Declarations, contents: Contents) -> None:
    """Refuse what no run could make of the papers asked for.

    Raises
    ------
    UserError
        At the first mistake; the message names file and key.
    """
    for name in declarations.measures:
        check_measure(name, declarations)
    for name, paper in declarations.papers.items():
        file = f"papers/{name}/paper.yaml"
        for kind, names in (("tables", paper.tables), ("figures", paper.figures)):
            if same := differing_in_case_alone(names):
                raise UserError(f"{file}: {kind}.{same[1]}: {ONE_FILE.format(same[0])}")
        for key, table in paper.tables.items():
            _TableCheck(f"{file}: tables.{key}", table, declarations, contents).run()
            contents.printed(name, table)
        for key, figure in paper.figures.items():
            if key.casefold().startswith(CURVE):
                raise UserError(f"{file}: figures.{key}: names that begin with '{CURVE}' are those of claims' curves")
            check_figure(f"{file}: figures.{key}", figure, paper, declarations, contents)
            contents.drawing(name, key)
        under = declarations.under_readings[name]
        for key, claim in paper.claims.items():
            _check_claim(f"{file}: claims.{key}", claim.holds_if, paper, under, contents)
        for key, search in declarations.under_readings[name].searches.items():
            _SearchCheck(f"{file}: readings.{key}.search", name, search, declarations, contents).run()


class _TableCheck:
    """The check of one table, whose place is ``where``."""

    def __init__(self, where: str, table: Table, declarations: Declarations, contents: Contents) -> None:
        self._where, self._table = where, table
        self._declarations, self._contents = declarations, contents

    def run(self) -> None:
        for row_key, row in self._table.rows.items():
            for model in row.all_models:
                if model not in self._declarations.models:
                    raise unknown_name(f"model in {self._where}.rows.{row_key}", model, self._declarations.models)
            if row.only_with is not None and row.only_with not in self._declarations.every_paper:
                place = f"paper in {self._where}.rows.{row_key}.only_with"
                raise unknown_name(place, row.only_with, self._declarations.every_paper)
            if row.published_only and self._table.published is None:
                raise UserError(f"{self._where}.rows.{row_key}: published_only, but the table has no 'published' file")
        for key, column in self._table.columns.items():
            self._check_column(f"{self._where}.columns.{key}", column)
            for row_key, row in self._table.rows.items():
                if column.measures and not row.published_only:
                    self._check_cell(f"{self._where}.rows.{row_key}", row, f"{self._where}.columns.{key}", column)
        self._check_values()
        if self._table.reports is not None:
            self._check_reported(f"{self._where}.reports.median_of", self._table.reports.median_of)

    def _check_reported(self, where: str, column: str) -> None:
        """Refuse to choose the seed of a row by a column that is not there, where none is measured, or for several."""
        if column not in self._table.columns:
            raise unknown_name(f"column in {where}", column, self._table.columns)
        if all(row.published_only for row in self._table.rows.values()):
            raise UserError(f"{where}: every row is 'published_only', so that no seed has the median of {column}")
        for key, row in self._table.rows.items():
            trainings = [self._declarations.origin(model) for model in row.all_models]
            if any(training != trainings[0] for training in trainings):
                raise UserError(
                    f"{where}: row {key} shows several trainings ({', '.join(row.all_models)}), and no seed is the "
                    "median of each; expected rows of one training"
                )

    def _check_column(self, where: str, column: Column) -> None:
        for measure in column.measures:
            if measure not in self._declarations.measures:
                raise unknown_name(f"measure in {where}", measure, self._declarations.measures)
        if not column.measures:
            return
        statistic = self._contents.statistic(column)
        self._check_names_of_columns(where, column, statistic)
        if len(column.measures) < 2:
            return
        if not isinstance(statistic, Accuracy):
            raise UserError(f"{where}: of several measures only an accuracy can be shown, not '{statistic.name}'")
        declared = [self._declarations.measure(measure) for measure in column.measures]
        if len({_images(measure) for measure in declared}) > 1:
            raise UserError(f"{where}: {', '.join(column.measures)} are not of the same images, so none resists all")

    def _check_names_of_columns(self, where: str, column: Column, statistic: Statistic) -> None:
        """Refuse a statistic, or a choice of rows, of columns that the measurements will not have."""
        named = [*_named_columns(column, self._contents), *statistic.needs]
        named += ["index"] if len(column.measures) > 1 else []
        for name in column.measures:
            measure = self._declarations.measure(name)
            check_columns(where, name, named, self._declarations.known_columns(measure))
            self._check_chosen_rows(where, column, name)

    def _check_chosen_rows(self, where: str, column: Column, name: str, kept_epochs: Sequence[int] = ()) -> None:
        """Refuse rows that a measurement will not have, and an accuracy over several rows of each image."""
        values = self._declarations.measure(name).known_values(kept_epochs)
        in_paper = self._declarations.measure_in_paper(name).known_values(kept_epochs)
        known = {**values, **self._declarations.origin_values(name)}
        check_rows(where, name, column.rows or {}, known, in_paper)
        if self._contents.statistic(column).accuracy:
            check_one_row_per_image(where, name, {*(column.rows or {}), "target"}, values)

    def _check_values(self) -> None:
        """Refuse expressions that cannot be read, over cells that are not there or not computed, or in a circle."""
        values: dict[Place, Expression] = {}
        others: dict[Place, Row] = {}
        for row_key, row in self._table.rows.items():
            for key, column in self._table.columns.items():
                place = Place(row_key, key)
                if column.value is None or row.published_only:
                    others[place] = row
                else:
                    where = f"{self._where}.columns.{key}"
                    values[place] = _placed(where, parse_value, column.value, row_key)
                    self._check_references(where, values[place])
        for value in values.values():
            for cell in value.cells:
                if cell in others and others[cell].published_only:
                    raise UserError(f"{self._where}: value '{value.text}': {cell} is a row of printed numbers alone")
        _placed(self._where, order_of_values, values, others)

    def _check_references(self, where: str, value: Expression) -> None:
        for row, column in value.cells:
            if row not in self._table.rows:
                raise unknown_name(f"row in {where}: '{value.text}'", row, self._table.rows)
            if column not in self._table.columns:
                raise unknown_name(f"column in {where}: '{value.text}'", column, self._table.columns)

    def _check_cell(self, row_where: str, row: Row, where: str, column: Column) -> None:
        for measure in column.measures:
            declared = self._declarations.measure(measure)
            if declared.subjects == 2:
                self._check_pair(row_where, row, where, column)
                continue
            place = f"{row_where}: column {where.removeprefix(f'{self._where}.columns.')}"
            subject = self._require_subject(place, where, row, column)
            if isinstance(declared, Transfer):
                if column.of:
                    raise UserError(f"{place} is of a transfer; expected 'model' rather than 'of'")
                check_target(where, subject, column, measure, self._declarations)
                subject = declared.source or subject
            elif column.target or column.white_box:
                option = "target" if column.target else "white_box"
                raise UserError(f"{where}: '{option}' is for measures of kind transfer, which {measure} is not")
            check_subject(place, subject, measure, self._declarations)
            check_history(place, subject, measure, _named_columns(column, self._contents), self._declarations)
            self._check_chosen_rows(place, column, measure, kept_epochs(subject, self._declarations.models))

    def _require_subject(self, place: str, where: str, row: Row, column: Column) -> str:
        """Return the one model that a cell measures."""
        if column.of and len(column.of) == 1 and column.of[0] not in (row.models or {}):
            raise unknown_name(f"model of {place} in {where}", column.of[0], row.models or {})
        if (subject := row.subject(column)) is None:
            raise UserError(f"{place} measures one model; expected 'model', or 'of' with one key of 'models'")
        return subject

    def _check_pair(self, row_where: str, row: Row, where: str, column: Column) -> None:
        if column.target or column.white_box:
            raise UserError(f"{where}: 'target' and 'white_box' are for measures of kind transfer")
        if not column.of or len(column.of) < 2:
            raise UserError(
                f"{where}: {column.measures[0]} compares two models; expected 'of' with two keys of 'models'"
            )
        for key in column.of:
            if key not in (row.models or {}):
                raise unknown_name(f"model of {row_where} in {where}", key, row.models or {})
        first, second = ((row.models or {})[key] for key in column.of)
        if len({self._form(model) for model in (first, second)}) > 1:
            raise UserError(f"{row_where}: {first} and {second} have different architectures, so no distance")

    def _form(self, model: str) -> tuple[str, tuple[int, ...], int]:
        """Return what decides how many parameters a model has."""
        form = self._declarations.form(self._declarations.dataset_of(model))
        return self._declarations.network(model).model_dump_json(), form.input_shape, form.classes


def _named_columns(column: Column, contents: Contents) -> list[str]:
    """Return the columns of its measurements that a column of a table names."""
    options = contents.statistic(column).model_dump(include={"column", "count"}, exclude_none=True)
    return [*options.values(), *(column.rows or {})]


def _images(measure: Measurement) -> tuple[Any, ...]:
    """Return of which images a measure is, as far as that can be seen beforehand, and for which source if any."""
    transfer = (measure.source, tuple(measure.targets)) if isinstance(measure, Transfer) else None
    return measure.data, getattr(measure, "split", None), measure.subjects, transfer


def _placed(where: str, read: Callable[..., Read], *arguments: Any) -> Read:
    """Return what a function reads; its error says where the text stands."""
    try:
        return read(*arguments)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


class _SearchCheck:
    """The check of how a reading is tuned, whose place is ``where``."""

    def __init__(
        self, where: str, paper: str, search: SearchUnder, declarations: Declarations, contents: Contents
    ) -> None:
        self._where, self._paper, self._search = where, paper, search
        self._declarations, self._contents = declarations, contents

    def run(self) -> None:
        declared, paper = self._search.declared, self._declarations.papers[self._paper]
        if declared.closest_to and paper.tables[declared.closest_to].published is None:
            raise UserError(f"{self._where}.closest_to: {declared.closest_to} has no 'published' numbers to be near")
        largest = [f"{declared.largest} >= 0"] if declared.largest else []
        under = self._declarations.under_readings[self._paper]
        _check_claim(self._where, [*largest, *declared.among], paper, under, self._contents)
        if len({str(tables) for tables in self._search.tables.values()}) == 1:
            compared = ", ".join(self._search.table_names)
            raise UserError(f"{self._where}: no candidate changes what is compared, {compared}")
        self._check_images()
        self._check_networks()

    def _check_images(self) -> None:
        """Refuse to decide on any other images than those that are held out of the training images."""
        for table in self._search.table_names:
            for model, measure in self._contents.table_shows(self._paper, table):
                data = self._declarations.dataset_of_measure(self._declarations.measure(measure), model)
                if not isinstance(self._declarations.dataset(data), HeldOutDataset):
                    raise UserError(
                        f"{self._where}.data: {measure} of {model} would be decided on {data}; expected a data set "
                        "that is held out of training images"
                    )

    def _check_networks(self) -> None:
        """Refuse candidates that differ in more than how they are trained: one is to stand for the other."""
        networks: dict[str, set[str]] = {}
        for table in self._search.table_names:
            for model in self._contents.table_models(self._paper, table):
                content = self._declarations.network(model).model_dump_json()
                networks.setdefault(model.partition(AT)[0], set()).add(content)
        if different := [model for model, found in networks.items() if len(found) > 1]:
            raise UserError(f"{self._where}: the candidates give {different[0]} different networks; expected one")


def _check_claim(where: str, conditions: Iterable[str], paper: Paper, under: UnderReadings, contents: Contents) -> None:
    for text in conditions:
        cells = _placed(where, parse_condition, text).cells
        units = {}
        for cell in cells:
            of = cell.table.partition(AT)[0] if under.is_not_made(cell.table) else cell.table
            table = _named(paper.tables, of, f"table in {where}")
            _named(table.rows, cell.row, f"row of {cell.table} in {where}")
            _named(table.columns, cell.column, f"column of {cell.table} in {where}")
            units[contents.heading(table, cell.column)["unit"]] = cell
            if table.rows[cell.row].published_only:
                raise UserError(f"{where}: {cell} is a row of printed numbers alone, and nothing is measured there")
            if table.rows[cell.row].only_with is not None:
                raise UserError(f"{where}: {cell} is measured only with another paper, so that no claim can rest on it")
        if len(units) > 1:
            different = ", ".join(f"{cell} in '{unit}'" for unit, cell in units.items())
            raise UserError(f"{where}: condition '{text}' compares cells of different units: {different}")


def _named(known: Mapping[str, Named], name: str, what: str) -> Named:
    if name not in known:
        raise unknown_name(what, name, known)
    return known[name]

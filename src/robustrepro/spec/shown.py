"""What tables and figures may show of measurements: columns, rows and kinds that these will have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.contents import Contents
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.figures import Comparison, Figure, HeatMap, Lines, Series, TableScatter
from robustrepro.spec.measurements import History, Transfer
from robustrepro.spec.models import TrainedModel
from robustrepro.spec.origins import kept_epochs
from robustrepro.spec.paper import Paper
from robustrepro.spec.subjects import check_subject

TEST_ACCURACY = "test_accuracy"
"""The column of a history, and the key of a model that asks for it."""


def check_columns(where: str, measure: str, names: Iterable[str], known: Collection[str] | None) -> None:
    """Refuse the name of a column that a measure will not have; nothing is refused where they are not known.

    Raises
    ------
    UserError
        Which names the column and the measure.
    """
    if known is not None and (unknown := set(names) - set(known)):
        raise unknown_name(f"column of {measure} in {where}", min(unknown), known)


def check_rows(
    where: str,
    measure: str,
    rows: Mapping[str, Any],
    known: Mapping[str, Collection[Any]],
    in_paper: Mapping[str, Collection[Any]],
) -> None:
    """Refuse a choice of rows that a measure will not have, as far as the values of its columns are known.

    Of several values it needs to have one at least, and the others as its paper declares it: a scale may measure less.

    Parameters
    ----------
    where
        Where the rows are chosen.
    measure, rows
        The measure, and the chosen value of each column, or values.
    known, in_paper
        The values that its columns will have, and those that they would have without the scale's changes.

    Raises
    ------
    UserError
        Which names the column, the value and the measure.
    """
    for column, chosen in ((column, chosen) for column, chosen in rows.items() if column in known):
        several = isinstance(chosen, list)
        allowed = {*known[column], *in_paper.get(column, ())} if several else known[column]
        unknown = [value for value in (chosen if several else [chosen]) if value not in allowed]
        if not unknown and several and not any(value in known[column] for value in chosen):
            unknown = chosen
        if unknown:
            values, first = ", ".join(map(str, known[column])), unknown[0]
            shown = f"{first:g}" if isinstance(first, float) else first
            raise UserError(f"{where}: {measure} has no rows of {column} {shown}; expected one of {values}")


def check_one_row_per_image(
    where: str, measure: str, chosen: Collection[str], known: Mapping[str, Collection[Any]]
) -> None:
    """Refuse an accuracy over rows that are several for each image, such as those of a curve.

    Parameters
    ----------
    where, measure
        The column of a table, and its measure.
    chosen
        The columns of the measure by whose values rows are chosen.
    known
        The values that its columns will have.

    Raises
    ------
    UserError
        Which names the measure's column.
    """
    for column, values in known.items():
        if len(values) > 1 and column not in chosen:
            listed = ", ".join(map(str, values))
            raise UserError(f"{where}: {measure} has a row per {column}; expected 'rows' with one {column} of {listed}")


def check_history(where: str, model: str, measure: str, names: Collection[str], declarations: Declarations) -> None:
    """Refuse the accuracy on test images of a training that does not look at them.

    Raises
    ------
    UserError
        Which names the model.
    """
    origin = declarations.origin(model)
    records = isinstance(origin, TrainedModel) and origin.test_accuracy
    if isinstance(declarations.measure(measure), History) and TEST_ACCURACY in names and not records:
        raise UserError(
            f"{where}: {measure} has no {TEST_ACCURACY} of {model}; add '{TEST_ACCURACY}: true' to the model"
        )


def check_figure(where: str, figure: Figure, paper: Paper, declarations: Declarations, contents: Contents) -> None:
    """Refuse a figure of what is not there, or of what it cannot show.

    Raises
    ------
    UserError
        Which names the figure.
    """
    drawn = figure.figure
    if any(declarations.is_not_run(each) for source in drawn.sources() for each in (source.model, source.measure)):
        return
    for table in drawn.tables():
        if table not in paper.tables:
            raise unknown_name(f"table in {where}", table, paper.tables)
    _check_sources(where, figure, declarations)
    if isinstance(drawn, HeatMap):
        declared = paper.tables[drawn.table]
        units = {key: contents.heading(declared, key)["unit"] for key in declared.columns}
        if other := next((key for key, unit in units.items() if unit != "%"), None):
            raise UserError(
                f"{where}: a heat map shows percentages; the unit of column {other} of {drawn.table} is "
                f"'{units[other]}'"
            )
    if isinstance(drawn, TableScatter):
        for axis in (drawn.x, drawn.y):
            if axis not in paper.tables[drawn.table].columns:
                raise unknown_name(f"column of {drawn.table} in {where}", axis, paper.tables[drawn.table].columns)
    if isinstance(drawn, Comparison):
        for number, series in enumerate(drawn.series):
            _check_series(f"{where}.figure.series[{number}]", series, drawn, declarations)


def _check_sources(where: str, figure: Figure, declarations: Declarations) -> None:
    for source in figure.figure.sources():
        if source.model not in declarations.models:
            raise unknown_name(f"model in {where}", source.model, declarations.models)
        if source.measure not in declarations.measures:
            raise unknown_name(f"measure in {where}", source.measure, declarations.measures)
    for source in figure.figure.sources():
        measure = declarations.measure(source.measure)
        if measure.subjects != 1:
            raise UserError(f"{where}: {source.measure} compares two models; expected a measure of one")
        expected = figure.figure.kinds().get(source.measure, measure.kind)
        if measure.kind != expected:
            raise UserError(f"{where}: {source.measure} is of kind {measure.kind}; expected kind {expected}")
        if isinstance(measure, Transfer) and source.model != (measure.source or source.model):
            raise UserError(f"{where}: {source.measure} has the source {measure.source}, and nothing of {source.model}")
        check_subject(where, source.model, source.measure, declarations)
        seeds = declarations.seeds(source.model)
        if source.seed is not None and source.seed not in seeds:
            raise UserError(f"{where}: {source.model} has no seed {source.seed} at this scale (it has {len(seeds)})")


def _check_series(where: str, series: Series, figure: Comparison, declarations: Declarations) -> None:
    measure = declarations.measure(series.measure)
    own = declarations.known_columns(measure)
    if replaced := sorted((own or set()) & series.columns.keys()):
        raise UserError(
            f"{where}: columns.{replaced[0]}: {series.measure} has a column '{replaced[0]}' itself; expected 'rows', "
            "which selects by it"
        )
    # A series has its label, a seed for each of its rows, and columns of its own.
    known = None if own is None else own | series.columns.keys() | {"label", "seed"}
    if known is not None and isinstance(figure, Lines) and known >= {"label", "prediction"}:
        known |= {Lines.ACCURACY}
    names = [*figure.column_names(series), *series.rows]
    check_columns(where, series.measure, names, known)
    check_history(where, series.model, series.measure, names, declarations)
    kept = kept_epochs(series.model, declarations.models)
    values = {**measure.known_values(kept), **{column: [value] for column, value in series.columns.items()}}
    in_paper = declarations.measure_in_paper(series.measure).known_values(kept)
    check_rows(where, series.measure, series.rows, values, in_paper)

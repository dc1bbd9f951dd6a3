"""The points of figures that compare series, as one data frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from robustrepro.errors import unknown_name
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import Comparison, Quantity, Series

Transform = Callable[[pd.DataFrame, Series], pd.DataFrame]


def points_of(
    declared: Comparison, data: FigureData, roles: Mapping[str, str | None], located: Transform
) -> pd.DataFrame:
    """Return the points of all series.

    Parameters
    ----------
    declared
        The figure.
    data
        Its measurements.
    roles
        What ``hue``, ``panel`` and the like are: the name of a column for each, or None.
    located
        Adds the columns ``x`` and, where the figure has one, ``y`` to the rows of a series.

    Returns
    -------
    One row per point, with ``x``, ``y``, ``seed``, a column for each role (an empty text where it is None), the number
    of its ``series``, and its ``file``.

    Raises
    ------
    UserError
        If a measurement lacks a column, a series has no rows, or a value is not finite.
    """
    parts = []
    for number, series in enumerate(declared.series):
        file = data.file(series.model, series.measure, series.seed or 0)
        rows = _selected(series, data, file)
        try:
            rows = located(rows, series)
            values = {role: _values(series, name, rows) for role, name in roles.items()}
        except KeyError as error:
            raise unknown_name(f"column in {data.figure}, {file}", error.args[0], rows.columns) from None
        places = rows[[axis for axis in ("x", "y") if axis in rows]].astype(float)
        if not np.isfinite(places).all(axis=None):
            raise data.unusable(series.label, file, "some values are not finite")
        parts.append(places.assign(seed=rows["seed"], series=number, file=file, **values))
    return pd.concat(parts, ignore_index=True)


def _selected(series: Series, data: FigureData, file: str) -> pd.DataFrame:
    """Return a series' rows of the seeds that it shows, with the columns that the series adds."""
    if series.seed is None:
        rows = data.frames(series.model, series.measure)
    else:
        rows = data.frame(series.model, series.measure, series.seed).assign(seed=series.seed)
    rows = rows.assign(**series.columns)
    for column, value in series.rows.items():
        if column not in rows:
            raise unknown_name(f"column in {data.figure}, {file}", column, rows.columns)
        rows = rows[rows[column].isin(value if isinstance(value, list) else [value])]
    if rows.empty:
        selection = ", ".join(f"{column} = {value}" for column, value in series.rows.items())
        raise data.unusable(series.label, file, f"no row has {selection}" if selection else "there are no rows")
    return rows


def _values(series: Series, name: str | None, rows: pd.DataFrame) -> Any:
    """Return what a series has under a name; ``label`` is its own, not its examples'."""
    if name is None:
        return ""
    return series.label if name == "label" else rows[name]


def scaled(rows: pd.DataFrame, quantity: Quantity, column: str | None = None) -> pd.Series:
    """Return a quantity, or another column in its place, in the unit in which it is shown."""
    return rows[column or quantity.column].astype(float) * float(quantity.factor)


def require_positive(points: pd.DataFrame, axis: str, quantity: Quantity, data: FigureData) -> None:
    """Refuse points that a logarithmic axis would leave out.

    Raises
    ------
    UserError
        If the axis is logarithmic and a value is 0 or negative.
    """
    wrong = points[points[axis] <= 0]
    if quantity.log and len(wrong):
        why = f"{len(wrong)} values of {quantity.column} are not above 0, and the axis is logarithmic"
        raise data.unusable(str(wrong["panel"].iloc[0]), wrong["file"].iloc[0], why)

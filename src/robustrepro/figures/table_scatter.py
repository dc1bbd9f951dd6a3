"""Two columns of a table against each other: how models trade one quantity for another."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from robustrepro.errors import unknown_name
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.panels import make_logarithmic, with_unit
from robustrepro.spec.figures import TableScatter

BESIDE = (
    ((6, 0), "left", "center"),
    ((-6, 0), "right", "center"),
    ((0, 6), "center", "bottom"),
    ((0, -6), "center", "top"),
    ((5, 5), "left", "bottom"),
    ((5, -5), "left", "top"),
    ((-5, 5), "right", "bottom"),
    ((-5, -5), "right", "top"),
)
"""Where the name of a point may stand: offset in points, and how the text is aligned."""

FEWEST_FOR_AN_INTERVAL = 5
QUANTILE = 1.96
"""Of the normal distribution, for a 95% interval."""
MARK = 4
"""Half the width of a point, in pixels of the figure before it is written."""


def draw(declared: TableScatter, data: FigureData) -> Figure:
    """Draw a point per row that is measured, with its intervals, and the printed one beside it.

    Raises
    ------
    UserError
        If fewer rows are measured than declared, or several all have the same x or y; but an accuracy may be the same
        everywhere.
    """
    table = data.table(declared.table)
    columns = {column["key"]: column for column in table["columns"]}
    for key in (declared.x, declared.y):
        if key not in columns:
            raise unknown_name(f"column of {declared.table} in {data.figure}", key, columns)
    cells = data.cells(declared.table)
    x, y = (cells[cells["column"] == key].set_index("row") for key in (declared.x, declared.y))
    labels = {row["key"]: row["label"] for row in table["rows"]}
    measured, printed = (_places(x, y, value, labels) for value in ("mean", "printed_value"))
    # A few models that learned nothing are no reason to draw nothing.
    logarithmic = declared.log_x and (measured["x"] > 0).sum() > 1
    without_place = measured["x"] <= 0 if logarithmic else measured["x"].isna()
    measured = measured[~without_place]
    _require_differences(measured, columns, declared, data)
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(measured["x"], measured["y"], "o", color=style.BLUE, label="measured", zorder=3)
    if len(printed):
        axis.plot(printed["x"], printed["y"], "o", color=style.GREY, fillstyle="none", label="as the paper prints it")
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=style.LABEL)
    axis.margins(0.12)
    if logarithmic:
        make_logarithmic(axis, "x")
    axis.set(xlim=axis.get_xlim(), ylim=axis.get_ylim())  # an interval over two seeds would leave no room for the rest
    _draw_intervals(axis, measured, x, y)
    axis.set_xlabel(axis_label(columns[declared.x]), fontsize=style.LABEL)
    axis.set_ylabel(axis_label(columns[declared.y]), fontsize=style.LABEL)
    style.without_frame(axis)
    seeds = pd.concat([x.loc[measured.index, "seeds"], y.loc[measured.index, "seeds"]]).astype(int)
    intervals = pd.concat([x.loc[measured.index, "interval"], y.loc[measured.index, "interval"]])
    drawn = ", with its interval" if intervals.map(lambda each: isinstance(each, list)).any() else ""
    remarks = [f"mean of {style.counted(seeds, 'seed')}{drawn}"]
    if without_place.any():
        remarks.append(f"without {', '.join(labels[row] for row in without_place.index[without_place])}: x ≤ 0")
    if declared.correlation:
        remarks.append(correlation_in_words(measured["x"], measured["y"]))
    style.note(figure, data.scale, *remarks)
    figure.draw_without_rendering()  # places the axes, on which the names' room depends
    _label(axis, pd.concat([measured.assign(colour="black"), printed.assign(colour=style.GREY)]))
    return figure


def correlation_in_words(x: pd.Series[float], y: pd.Series[float]) -> str:
    """Return Spearman's ρ with its 95% interval: ``Spearman's ρ = −0.90 [−0.97, −0.68] over 14 rows``."""
    rho, interval = spearman(x, y)
    between = f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else ""
    return f"Spearman's ρ = {rho:.2f}{between} over {len(x)} rows".replace("-", "−")


def spearman(x: pd.Series[float], y: pd.Series[float]) -> tuple[float, tuple[float, float] | None]:
    """Return Spearman's rank correlation and its 95% interval; None where there are too few pairs for one.

    Parameters
    ----------
    x, y
        Pairs of numbers, shape (N,); NaN comes out where one of them is the same everywhere.

    References
    ----------
    Bonett & Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", 2000:
    Fisher's transformation, with the variance (1 + ρ²/2) / (N − 3).
    """
    rho = float(x.rank().corr(y.rank()))
    if len(x) < FEWEST_FOR_AN_INTERVAL or not abs(rho) < 1:
        return rho, None
    deviation = math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    ends = (math.atanh(rho) + sign * QUANTILE * deviation for sign in (-1, 1))
    low, high = map(math.tanh, ends)
    return rho, (low, high)


def _require_differences(
    measured: pd.DataFrame, columns: dict[str, dict[str, Any]], declared: TableScatter, data: FigureData
) -> None:
    file = data.table_file(declared.table)
    if len(measured) < declared.fewest:
        raise data.unusable(declared.table, file, f"{len(measured)} rows are measured in both columns")
    if len(measured) == 1:
        return
    for axis_name, key in (("x", declared.x), ("y", declared.y)):
        equal = style.all_equal(measured[axis_name])
        if equal is not None and not columns[key]["accuracy"]:
            raise data.unusable(declared.table, file, f"every {columns[key]['label']} is {equal:g}")


def axis_label(column: dict[str, Any]) -> str:
    """Return the group, label and unit of a table's column."""
    return with_unit(", ".join(filter(None, [column["group"], column["label"]])), column["unit"])


def _places(x: pd.DataFrame, y: pd.DataFrame, value: str, labels: dict[str, str]) -> pd.DataFrame:
    """Return the ``x``, ``y`` and ``label`` of the rows that have a value in both columns."""
    both = pd.DataFrame({"x": x[value], "y": y[value]}).astype(float).reindex(list(labels)).dropna()
    return both.assign(label=both.index.map(labels))


def _draw_intervals(axis: Axes, measured: pd.DataFrame, x: pd.DataFrame, y: pd.DataFrame) -> None:
    for row, place in measured.iterrows():
        for cells, bar, across in ((x, axis.hlines, "y"), (y, axis.vlines, "x")):
            interval = cells.loc[row, "interval"]
            if isinstance(interval, list):
                bar(place[across], *interval, color=style.BLUE, linewidth=0.8, alpha=0.4)


def _label(axis: Axes, places: pd.DataFrame) -> None:
    """Write each point's name beside it, where it covers the fewest other points, names and numbers of the axes."""
    marks = axis.transData.transform(places[["x", "y"]].to_numpy())
    taken = [Bbox.from_extents(*(mark - MARK), *(mark + MARK)) for mark in marks]
    for _, place in places.iterrows():
        text = axis.annotate(
            place["label"],
            (place["x"], place["y"]),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=style.SMALL,
            color=place["colour"],
        )
        covered = []
        for position, horizontal, vertical in BESIDE:
            text.set(position=position, ha=horizontal, va=vertical)
            extent = text.get_window_extent()
            outside = extent.x0 < axis.bbox.x0 or extent.y0 < axis.bbox.y0  # where the axes' numbers are
            covered.append(extent.count_overlaps(taken) + outside)
        position, horizontal, vertical = BESIDE[covered.index(min(covered))]
        text.set(position=position, ha=horizontal, va=vertical)
        taken.append(text.get_window_extent())

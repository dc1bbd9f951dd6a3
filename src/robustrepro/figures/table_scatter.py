"""Two columns of a table against each other: how models trade one quantity for another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustrepro.errors import unknown_name
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import TableScatter

CORNERS = ((6, 6), (-6, 6), (6, -6), (-6, -6))
"""Where a label may stand, in points from its mark."""


def draw(declared: TableScatter, data: FigureData) -> Figure:
    """Draw a point per row that is measured, with its intervals, and the printed one beside it.

    Raises
    ------
    UserError
        If fewer than two rows are measured, or they all have the same x or y.
    """
    table, file = data.table(declared.table), data.table_file(declared.table)
    columns = {column["key"]: column for column in table["columns"]}
    for key in (declared.x, declared.y):
        if key not in columns:
            raise unknown_name(f"column of {declared.table} in {data.figure}", key, columns)
    cells = pd.DataFrame(table["cells"])
    x, y = (cells[cells["column"] == key].set_index("row") for key in (declared.x, declared.y))
    labels = {row["key"]: row["label"] for row in table["rows"]}
    measured = _places(x, y, "mean", labels)
    if len(measured) < 2:
        raise data.unusable(declared.table, file, f"{len(measured)} rows are measured in both columns")
    for axis_name, key in (("x", declared.x), ("y", declared.y)):
        equal = style.all_equal(measured[axis_name])
        if equal is not None:
            raise data.unusable(declared.table, file, f"every {columns[key]['label']} is {equal:g}")
    printed = _places(x, y, "printed_value", labels)
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axis = figure.subplots()
    _draw_intervals(axis, measured, x, y)
    axis.plot(measured["x"], measured["y"], "o", color=style.BLUE, label="measured", zorder=3)
    if len(printed):
        axis.plot(printed["x"], printed["y"], "o", color=style.GREY, fillstyle="none", label="as the paper prints it")
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=style.LABEL)
    axis.margins(0.12)
    figure.draw_without_rendering()  # places the axes, on which the labels' room depends
    _label(axis, pd.concat([measured.assign(colour="black"), printed.assign(colour=style.GREY)]))
    axis.set_xlabel(axis_label(columns[declared.x]), fontsize=style.LABEL)
    axis.set_ylabel(axis_label(columns[declared.y]), fontsize=style.LABEL)
    style.without_frame(axis)
    seeds = pd.concat([x.loc[measured.index, "seeds"], y.loc[measured.index, "seeds"]]).astype(int)
    style.note(figure, data.scale, f"mean of {style.counted(seeds, 'seed')}, with its interval")
    return figure


def axis_label(column: dict[str, Any]) -> str:
    """Return the group, label and unit of a table's column."""
    name = ", ".join(filter(None, [column["group"], column["label"]]))
    return f"{name} ({column['unit']})" if column["unit"] else str(name)


def _places(x: pd.DataFrame, y: pd.DataFrame, value: str, labels: dict[str, str]) -> pd.DataFrame:
    """Return the ``x``, ``y`` and ``label`` of the rows that have a value in both columns."""
    both = pd.DataFrame({"x": x[value], "y": y[value]}).astype(float).reindex(list(labels)).dropna()
    return both.assign(label=both.index.map(labels))


def _draw_intervals(axis: Axes, measured: pd.DataFrame, x: pd.DataFrame, y: pd.DataFrame) -> None:
    for row, place in measured.iterrows():
        for cells, bar, across in ((x, axis.hlines, "y"), (y, axis.vlines, "x")):
            interval = cells.loc[row, "interval"]
            if isinstance(interval, list):
                bar(place[across], *interval, color=style.BLUE, linewidth=0.8, alpha=0.6)


def _label(axis: Axes, places: pd.DataFrame) -> None:
    """Write each point's name at the corner of it that is farthest from other points and names."""
    marks = axis.transData.transform(places[["x", "y"]].to_numpy())
    taken = list(marks)
    for mark, (_, place) in zip(marks, places.iterrows(), strict=True):
        width = 5 * len(place["label"])
        middles = np.array([mark + np.array([right + np.sign(right) * width / 2, up]) for right, up in CORNERS])
        away = (middles[:, None] - np.array(taken)) / (width / 2 + 20, 14)
        best = int(np.linalg.norm(away, axis=-1).min(1).argmax())
        taken.append(middles[best])
        right, up = CORNERS[best]
        axis.annotate(
            place["label"],
            (place["x"], place["y"]),
            (right, up),
            textcoords="offset points",
            ha="left" if right > 0 else "right",
            va="center",
            fontsize=style.SMALL,
            color=place["colour"],
        )

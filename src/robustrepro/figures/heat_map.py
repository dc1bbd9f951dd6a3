"""A table of percentages as colours: what was crafted on the rows' models, tried on the columns'."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import HeatMap


def draw(declared: HeatMap, data: FigureData) -> Figure:
    """Draw a table's means, each with the printed number in brackets where the paper has one.

    Raises
    ------
    UserError
        If a column of the table is not of percentages, or no cell was measured.
    """
    table, file = data.table(declared.table), data.table_file(declared.table)
    for column in table["columns"]:
        if column["unit"] != "%":
            why = f"a heat map shows percentages, the unit of column {column['key']} is '{column['unit']}'"
            raise UserError(f"{data.figure}: {file}: {why}")
    cells = data.cells(declared.table)
    measured = cells[cells["status"] == "measured"]
    if measured.empty:
        raise data.unusable(declared.table, file, "no cell was measured")
    decimals = {column["key"]: column["decimals"] for column in table["columns"]}
    texts = cells.apply(lambda cell: _text(cell, decimals[cell["column"]]), axis="columns")
    figure = _draw_cells(table, cells.assign(text=texts))
    equal = style.all_equal(measured["mean"])
    if equal is not None:
        figure.axes[0].set_title(f"every cell is {equal:g}%", fontsize=style.TITLE)
    printed = ["in brackets: as the paper prints it"] if cells["printed_value"].notna().any() else []
    style.note(figure, data.scale, f"mean of {style.counted(measured['seeds'].astype(int), 'seed')}", *printed)
    return figure


def _text(cell: pd.Series, decimals: int) -> str:
    """Return what stands in a cell: the mean, or why there is none, and the printed number in brackets."""
    lines = [f"{cell['mean']:.{decimals}f}" if cell["status"] == "measured" else "not measured"]
    if cell["status"] == "published only":
        lines = []
    if pd.notna(cell["printed_value"]):
        lines.append(f"({cell['printed_value']:.{decimals}f})")
    return "\n".join(lines)


def _draw_cells(table: dict[str, Any], cells: pd.DataFrame) -> Figure:
    """Draw each cell in the order of the table's rows and columns; one without a mean has no colour."""
    rows, columns = ({part["key"]: part["label"] for part in table[side]} for side in ("rows", "columns"))
    grid = cells.pivot(index="row", columns="column").reindex(index=list(rows))
    means, texts = (grid[value].reindex(columns=list(columns)) for value in ("mean", "text"))
    figure = Figure(figsize=(2.4 + 1.1 * len(columns), 1.5 + 0.62 * len(rows)), layout="constrained")
    axis = figure.subplots()
    sns.heatmap(
        means.astype(float),
        annot=texts,
        fmt="",
        annot_kws={"fontsize": style.LABEL},
        cmap="cividis",
        vmin=0,
        vmax=100,
        xticklabels=list(columns.values()),
        yticklabels=list(rows.values()),
        cbar_kws={"label": "%", "pad": 0.02},
        ax=axis,
    )
    for row, column in zip(*means.isna().to_numpy().nonzero(), strict=True):
        place = (column + 0.5, row + 0.5)
        axis.annotate(texts.iloc[row, column], place, ha="center", va="center", fontsize=style.SMALL, color=style.GREY)
    axis.set_xlabel("target", fontsize=style.LABEL)
    axis.set_ylabel("source", fontsize=style.LABEL)
    axis.tick_params(length=0, labelsize=style.LABEL)
    axis.tick_params(axis="y", rotation=0)
    bar = figure.axes[-1]
    bar.set_ylabel("%", fontsize=style.LABEL)
    bar.tick_params(labelsize=style.SMALL)
    return figure

"""A table of percentages as colours: what was crafted on the rows' models, tried on the columns'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from robustrepro.errors import UserError
from robustrepro.figures import style


def draw(spec: dict[str, Any]) -> Figure:
    """Draw a table's means, each with the printed number in brackets where the paper has one.

    Parameters
    ----------
    spec
        The figure's spec: ``figure.measurement``, the table's JSON.

    Raises
    ------
    UserError
        If the table is not of percentages, or all its means are equal.
    """
    file = spec["figure"]["measurement"]
    table = json.loads(Path(file).read_text(encoding="utf-8"))
    if table["unit"] != "%":
        raise UserError(f"{spec['id']}: {file}: a heat map shows percentages, the table's unit is '{table['unit']}'")
    cells = {(cell["row"], cell["column"]): cell for cell in table["cells"]}
    rows, columns = table["rows"], table["columns"]
    means = np.array([[cells[row["key"], column["key"]]["mean"] for column in columns] for row in rows])
    if np.ptp(means) == 0:
        raise style.unusable(spec["id"], table["id"], file, f"every cell is {means.flat[0]:g}")
    figure = Figure(figsize=(2.4 + 1.1 * len(columns), 1.5 + 0.62 * len(rows)), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(means, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (row, column), mean in np.ndenumerate(means):
        cell = cells[rows[row]["key"], columns[column]["key"]]
        text = f"{mean:.{table['decimals']}f}"
        if cell["printed_value"] is not None:
            text += f"\n({cell['printed_value']:.{table['decimals']}f})"
        axis.annotate(
            text,
            (column, row),
            ha="center",
            va="center",
            fontsize=style.LABEL,
            color="white" if mean < 50 else "black",
        )
    axis.set_xticks(range(len(columns)), [column["label"] for column in columns], fontsize=style.LABEL)
    axis.set_yticks(range(len(rows)), [row["label"] for row in rows], fontsize=style.LABEL)
    axis.set_xlabel("target", fontsize=style.LABEL)
    axis.set_ylabel("source", fontsize=style.LABEL)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axis, pad=0.02)
    bar.set_label("%", fontsize=style.LABEL)
    bar.ax.tick_params(labelsize=style.SMALL)
    seeds = style.counted([cell["seeds"] for cell in table["cells"]], "seed")
    printed = any(cell["printed_value"] is not None for cell in table["cells"])
    style.note(figure, spec["scale"], f"mean of {seeds}", *(["in brackets: as the paper prints it"] if printed else []))
    return figure

"""Surfaces of loss and decision functions: as contours, with the decision boundary, or seen from the side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import SurfacePanel, Surfaces

LEVELS = 12
"""Contour lines of a panel."""
ELEVATION, AZIMUTH = 30, -60
"""From where a surface is seen, in degrees."""
ZOOM = 0.82
"""How large a surface is drawn: the layout knows nothing of how far its axes' names reach."""
GREEN = style.PALETTE[2]
SIDE = 2.9
"""Height of a panel, in inches."""


def draw(declared: Surfaces, data: FigureData) -> Figure:
    """Draw one panel per surface, row by row.

    Contours of the margin have the line L = 0 in red, where the model's answer turns wrong, and arrows along both axes
    to where it is next.

    Raises
    ------
    UserError
        If a panel has no values, or the same everywhere.
    """
    columns = min(declared.columns or len(declared.panels), len(declared.panels))
    rows = math.ceil(len(declared.panels) / columns)
    figure = Figure(figsize=(min(style.WIDTH, 3.6 * columns), SIDE * rows + 0.4), layout="constrained")
    has_boundary = False
    for number, panel in enumerate(declared.panels, start=1):
        values = _values(panel, data)
        from_the_side = panel.view == "3d"
        axis: Any = figure.add_subplot(rows, columns, number, projection="3d" if from_the_side else None)
        if from_the_side:
            draw_from_the_side(axis, values)
        else:
            has_boundary |= _draw_contours(axis, panel.function, values)
        axis.set_title(panel.label, fontsize=style.TITLE)
        axis.set_xlabel(declared.axes[0], fontsize=style.SMALL)
        axis.set_ylabel(declared.axes[1], fontsize=style.SMALL)
        axis.tick_params(labelsize=style.SMALL)
    remarks = [style.seeds_of([panel.seed for panel in declared.panels])]
    if has_boundary:
        remarks.append("red: L = 0, beyond which the answer is wrong; arrows: the way there along each axis")
    style.note(figure, data.scale, *remarks)
    return figure


def _values(panel: SurfacePanel, data: FigureData) -> pd.DataFrame:
    """Return a panel's values, with y in rows and x in columns."""
    file = data.file(panel.model, panel.measure, panel.seed)
    rows = data.frame(panel.model, panel.measure, panel.seed)
    rows = rows[rows["function"] == panel.function]
    if panel.image is not None:
        rows = rows[rows["index"] == panel.image] if "index" in rows else rows.iloc[:0]
    if rows.empty:
        of_image = "" if panel.image is None else f" around image {panel.image}"
        raise data.unusable(panel.label, file, f"there is no surface of {panel.function}{of_image}")
    if style.all_equal(rows["value"]) is not None:
        raise data.unusable(panel.label, file, f"{panel.function} is the same everywhere")
    if rows.duplicated(["x", "y"]).any():
        raise data.unusable(panel.label, file, "there are surfaces around several images; name one under 'image'")
    return rows.pivot(index="y", columns="x", values="value")


def _draw_contours(axis: Axes, function: str, values: pd.DataFrame) -> bool:
    """Draw contours, and return whether there is a boundary among them."""
    x, y = values.columns.to_numpy(), values.index.to_numpy()
    axis.contourf(x, y, values, levels=LEVELS, cmap=style.COLOUR_MAP, alpha=0.75)
    lines = axis.contour(x, y, values, levels=LEVELS, colors="black", linewidths=0.4)
    axis.clabel(lines, fontsize=style.SMALL - 2)
    axis.plot([0], [0], marker="o", color="black", markersize=4)
    if function != "margin" or not values.to_numpy().min() < 0 < values.to_numpy().max():
        return False
    axis.contour(x, y, values, levels=[0.0], colors=style.VERMILLION, linewidths=1.8)
    middle = len(x) // 2
    for line, places, colour, unit in (
        (values.iloc[middle].to_numpy(), x, GREEN, (1, 0)),
        (values.iloc[:, middle].to_numpy(), y, style.BLUE, (0, 1)),
    ):
        reached = nearest_zero(places, line)
        if reached is not None:
            end = (reached * unit[0], reached * unit[1])
            axis.annotate("", end, (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.6})
    return True


def draw_from_the_side(axis: Any, values: pd.DataFrame) -> None:
    """Draw a function of x (columns) and y (rows) on a three-dimensional axis, seen from above at a slant."""
    x, y = np.meshgrid(values.columns.to_numpy(), values.index.to_numpy())
    axis.plot_surface(
        x, y, values.to_numpy(), cmap=style.COLOUR_MAP, linewidth=0, antialiased=False, rcount=80, ccount=80
    )
    axis.view_init(elev=ELEVATION, azim=AZIMUTH)
    axis.set_box_aspect(None, zoom=ZOOM)
    for along in (axis.xaxis, axis.yaxis):
        along.set_major_locator(MaxNLocator(4))


def nearest_zero(places: NDArray[np.float64], values: NDArray[np.float64]) -> float | None:
    """Return where a function along a line is 0 next to its middle, interpolated linearly; None where it never is.

    Parameters
    ----------
    places
        Points of the line, ascending, with 0 among them.
    values
        The function there. Where it is not positive at 0 already, there is no way to go.
    """
    if values[np.abs(places).argmin()] <= 0:
        return None
    crossings = [
        places[at] - values[at] * (places[at + 1] - places[at]) / (values[at + 1] - values[at])
        for at in np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) <= 0)
        if values[at] != values[at + 1]
    ]
    return min(crossings, key=abs, default=None)

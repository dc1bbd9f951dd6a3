"""Distributions of a column, in percent of each series' rows, over the same bins in all panels."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.panels import Look, finish, legend, panels_of
from robustrepro.figures.points import points_of, require_positive, scaled
from robustrepro.spec.figures import Histogram, Quantity


def draw(declared: Histogram, data: FigureData) -> Figure:
    """Draw an outline per hue in each panel; the rows of all seeds count together.

    Raises
    ------
    UserError
        If all values of a panel are equal.
    """
    roles = {"hue": declared.hue, "style": declared.hue, "panel": declared.panels}
    points = points_of(declared, data, roles, lambda rows, _: rows.assign(x=scaled(rows, declared.x)))
    require_positive(points, "x", declared.x, data)
    edges = shared_bins(points["x"].to_numpy(), declared)
    points["percent"] = 100 / points.groupby(["panel", "hue"])["x"].transform("size")
    shown = points[points["x"].between(edges[0], edges[-1])]
    look = Look.of(points, data.figure, dashed=False)
    figure, panels = panels_of(points, declared)
    for title, (axis, part) in panels.items():
        equal = style.all_equal(part["x"])
        if equal is not None:
            why = f"every {declared.x.label} is {equal:g}"
            raise data.unusable(title or declared.x.label, part["file"].iloc[0], why)
        sns.histplot(
            part,
            x="x",
            weights="percent",
            hue="hue",
            hue_order=list(look.colours),
            palette=dict(look.colours),
            bins=list(edges),
            element="step",
            alpha=0.15,
            linewidth=1.4,
            legend=False,
            ax=axis,
        )
        axis.set_title(title)
    share = Quantity(column="percent", label=declared.counted, unit="%", log=declared.log_share)
    finish([axis for axis, _ in panels.values()], declared, declared.x, share)
    if declared.panels != declared.hue:
        legend(figure, look, declared.hue, None, line="-", marked=False)
    seeds = style.counted(points.groupby(["panel", "hue"])["seed"].nunique(), "seed")
    rows = style.counted(points.groupby(["panel", "hue"]).size(), declared.counted, plural="")
    left_out = [f"{1 - len(shown) / len(points):.1%} lie outside"] if len(shown) < len(points) else []
    style.note(figure, data.scale, seeds, f"{rows} per histogram", *left_out)
    return figure


def shared_bins(values: NDArray[np.float64], declared: Histogram) -> NDArray[np.float64]:
    """Return the edges of bins over the axis' limits, or else over all values; equally wide on the axis as drawn."""
    low, high = declared.x.limits or (values.min(), values.max())
    spaced = np.geomspace if declared.x.log else np.linspace
    return spaced(low, high, declared.bins + 1)

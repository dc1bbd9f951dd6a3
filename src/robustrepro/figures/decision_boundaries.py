"""Decision regions of models of the plane, with their training points; what a model ignores is ringed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.measurements.store import read_measurement

# The two classes have different markers, too.
CLASS_COLOURS = (style.BLUE, style.VERMILLION)
CLASS_MARKERS = ("o", "s")
REGIONS = LinearSegmentedColormap.from_list("regions", [CLASS_COLOURS[0], "#ffffff", CLASS_COLOURS[1]])


def draw(spec: dict[str, Any]) -> Figure:
    """Draw one panel a model, row by row.

    Parameters
    ----------
    spec
        The figure's spec: ``figure.panels``, each with a label, a model and its measurement, and ``figure.columns``.

    Raises
    ------
    UserError
        If a panel has no training points, or its model says the same everywhere.
    """
    panels = spec["figure"]["panels"]
    figure, axes = style.panels(len(panels), columns=spec["figure"]["columns"])
    for axis, panel in zip(axes, panels, strict=True):
        _draw_panel(axis, panel, spec["id"])
    seeds = style.seeds_of([panel["seed"] for panel in panels])
    style.note(figure, spec["scale"], f"{seeds}; ringed: training points a model ignores")
    return figure


def _draw_panel(axis: Axes, panel: dict[str, Any], name: str) -> None:
    measured, _ = read_measurement(Path(panel["measurement"]))
    column = {key: measured.column(key).to_numpy() for key in measured.column_names}
    grid, points = column["part"] == "grid", column["part"] == "train"
    if not points.any():
        raise style.unusable(name, panel["label"], panel["measurement"], "there are no training points")
    if np.ptp(column["probability"][grid]) == 0:
        why = f"the model {panel['model']} says the same everywhere"
        raise style.unusable(name, panel["label"], panel["measurement"], why)
    x, y = np.unique(column["x"][grid]), np.unique(column["y"][grid])
    probability = column["probability"][grid].reshape(len(y), len(x))
    axis.pcolormesh(x, y, probability, cmap=REGIONS, vmin=0, vmax=1, alpha=0.45, shading="nearest", rasterized=True)
    axis.contour(x, y, probability, levels=[0.5], colors="black", linewidths=1)
    ignored = points & (column["label"] != column["prediction"])
    for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS, strict=True)):
        shown = points & (column["label"] == label)
        axis.scatter(
            column["x"][shown], column["y"][shown], s=16, c=colour, marker=marker, edgecolors="white", linewidths=0.5
        )
    axis.scatter(
        column["x"][ignored], column["y"][ignored], s=80, facecolors="none", edgecolors="black", linewidths=1.1
    )
    axis.set_title(f"{panel['label']}: ignores {ignored.sum()} of {points.sum()}", fontsize=style.TITLE)
    axis.set_xticks([])
    axis.set_yticks([])

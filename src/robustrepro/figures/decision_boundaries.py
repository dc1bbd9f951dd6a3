"""Decision regions of models of the plane, with their training points; what a model ignores is ringed."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import DecisionBoundaries, Panel

# The two classes have different markers, too.
CLASS_COLOURS = (style.BLUE, style.VERMILLION)
CLASS_MARKERS = ("o", "s")
REGIONS = LinearSegmentedColormap.from_list("regions", [CLASS_COLOURS[0], "#ffffff", CLASS_COLOURS[1]])


def draw(declared: DecisionBoundaries, data: FigureData) -> Figure:
    """Draw one panel per model, row by row.

    Raises
    ------
    UserError
        If a panel has no training points, or its model says the same everywhere.
    """
    figure, axes = style.panels(len(declared.panels), columns=declared.columns)
    for axis, panel in zip(axes, declared.panels, strict=True):
        _draw_panel(axis, panel, declared.measure, data)
    seeds = style.seeds_of([panel.seed for panel in declared.panels])
    style.note(figure, data.scale, f"{seeds}; ringed: training points a model ignores")
    return figure


def _draw_panel(axis: Axes, panel: Panel, measure: str, data: FigureData) -> None:
    file = data.file(panel.model, measure, panel.seed)
    rows = data.frame(panel.model, measure, panel.seed)
    points, grid = rows[rows["part"] == "train"], rows[rows["part"] == "grid"]
    if points.empty:
        raise data.unusable(panel.label, file, "there are no training points")
    if grid["probability"].nunique() < 2:
        raise data.unusable(panel.label, file, f"the model {panel.model} says the same everywhere")
    regions = grid.pivot(index="y", columns="x", values="probability")
    x, y = regions.columns, regions.index
    axis.pcolormesh(x, y, regions, cmap=REGIONS, vmin=0, vmax=1, alpha=0.45, shading="nearest", rasterized=True)
    axis.contour(x, y, regions, levels=[0.5], colors="black", linewidths=1)
    for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, CLASS_MARKERS, strict=True)):
        shown = points[points["label"] == label]
        axis.scatter(shown["x"], shown["y"], s=16, c=colour, marker=marker, edgecolors="white", linewidths=0.5)
    ignored = points[points["label"] != points["prediction"]]
    axis.scatter(ignored["x"], ignored["y"], s=80, facecolors="none", edgecolors="black", linewidths=1.1)
    axis.set_title(f"{panel.label}: ignores {len(ignored)} of {len(points)}", fontsize=style.TITLE)
    axis.set_xticks([])
    axis.set_yticks([])

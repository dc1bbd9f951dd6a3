"""The way that training takes through the parameters, on two principal components (`hrm`, Figure 7)."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.recorded_path import component_labels, read_paths, two_components
from robustrepro.spec.figures import TrainingPaths

ARROWS = 40
"""At most so many a panel, evenly spaced in time."""


def draw(declared: TrainingPaths, data: FigureData) -> Figure:
    """Draw one panel per model: the path as a line, and arrows that point where the gradient would move the parameters.

    All panels' parameters are analysed together, so that equal initialisations are one point. Arrows are the projected
    directions of −∇R, all of one length: of the gradient, only its direction within the plane is shown.

    Raises
    ------
    UserError
        If the parameters of a panel never change.
    """
    paths = read_paths(declared, data)
    for panel, path in zip(declared.panels, paths, strict=True):
        if np.ptp(path.values, axis=0).max() == 0:
            raise data.unusable(
                panel.label, data.file(panel.model, declared.measure, panel.seed), "the parameters never change"
            )
    analysis = two_components([path.values for path in paths])
    times = Normalize(0, max(path.updates[-1] for path in paths))
    figure, axes = style.panels(len(declared.panels), sharex=True, sharey=True)
    for axis, panel, path in zip(axes, declared.panels, paths, strict=True):
        x, y = analysis.transform(path.values).T
        axis.plot(x, y, color=style.GREY, linewidth=0.8, zorder=1)
        shown = np.unique(np.linspace(0, len(x) - 1, min(ARROWS, len(x))).astype(int))
        descent = -path.gradients[shown] @ analysis.components_.T
        length = np.linalg.norm(descent, axis=1, keepdims=True)
        descent = np.divide(descent, length, out=np.zeros_like(descent), where=length > 0)
        arrows = axis.quiver(
            x[shown],
            y[shown],
            *descent.T,
            path.updates[shown],
            norm=times,
            cmap=style.COLOUR_MAP,
            scale=9,
            width=0.009,
            zorder=2,
        )
        axis.plot(x[0], y[0], "o", color="black", markersize=4, zorder=3)
        axis.annotate("start", (x[0], y[0]), (6, 3), textcoords="offset points", fontsize=style.SMALL)
        axis.set_title(panel.label, fontsize=style.TITLE)
        axis.margins(0.12)
        style.without_frame(axis)
    across, up = component_labels(analysis, "all parameters")
    figure.supxlabel(across, fontsize=style.LABEL)
    figure.supylabel(up, fontsize=style.LABEL)
    bar = figure.colorbar(arrows, ax=axes, shrink=0.9, pad=0.01)
    bar.set_label("update", fontsize=style.LABEL)
    bar.ax.tick_params(labelsize=style.SMALL)
    style.note(
        figure,
        data.scale,
        style.seeds_of([panel.seed for panel in declared.panels]),
        "grey: the parameters' path; arrows: direction of −∇R",
    )
    return figure

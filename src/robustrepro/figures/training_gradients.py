"""Directions of the gradients during training, on two principal components (`hrm`, Figure 3)."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.recorded_path import Floats, component_labels, read_paths, two_components
from robustrepro.spec.figures import TrainingGradients


def mean_resultant_length(directions: Floats) -> float:
    """Return the length of the mean of unit vectors, shape (U, P): 1 if all are the same, near 0 if they cancel.

    References
    ----------
    Mardia and Jupp, "Directional Statistics" (2000), Section 2.3.
    """
    return float(np.linalg.norm(directions.mean(0)))


def draw(declared: TrainingGradients, data: FigureData) -> Figure:
    """Draw one panel per model: a point per update, coloured by the length of the gradient.

    All panels' unit gradients are analysed together. A gradient of length 0 has no direction and is left out.

    Raises
    ------
    UserError
        If the gradients of a panel all point the same way, or none has a direction.
    """
    lengths, directions = [], []
    for panel, path in zip(declared.panels, read_paths(declared, data), strict=True):
        length = np.linalg.norm(path.gradients, axis=1)
        lengths.append(length[length > 0])
        directions.append(path.gradients[length > 0] / length[length > 0, None])
        if not len(directions[-1]) or np.ptp(directions[-1], axis=0).max() == 0:
            why = f"its {len(directions[-1])} gradients other than 0 show no two directions"
            raise data.unusable(panel.label, data.file(panel.model, declared.measure, panel.seed), why)
    analysis = two_components(directions)
    colours = LogNorm(min(map(np.min, lengths)), max(map(np.max, lengths)))
    figure, axes = style.panels(len(declared.panels), sharex=True, sharey=True)
    for axis, panel, length, direction in zip(axes, declared.panels, lengths, directions, strict=True):
        projected = analysis.transform(direction)
        points = axis.scatter(
            projected[:, 0], projected[:, 1], c=length, norm=colours, cmap=style.COLOUR_MAP, s=7, rasterized=True
        )
        axis.set_title(f"{panel.label}: R = {mean_resultant_length(direction):.2f}", fontsize=style.TITLE)
        style.without_frame(axis)
    across, up = component_labels(analysis, "all unit gradients")
    figure.supxlabel(across, fontsize=style.LABEL)
    figure.supylabel(up, fontsize=style.LABEL)
    bar = figure.colorbar(points, ax=axes, shrink=0.9, pad=0.01)
    bar.set_label("length of the gradient", fontsize=style.LABEL)
    bar.ax.tick_params(labelsize=style.SMALL)
    style.note(
        figure,
        data.scale,
        style.seeds_of([panel.seed for panel in declared.panels]),
        f"{style.counted(map(len, lengths), 'update')} a panel",
        "R: length of the mean unit gradient, 1 if all point the same way",
    )
    return figure

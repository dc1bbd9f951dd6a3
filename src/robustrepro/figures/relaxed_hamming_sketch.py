"""The continuous form of the Hamming distance, of two pre-activations (`hamming`, Figure 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.surfaces import draw_from_the_side
from robustrepro.spec.figures import RelaxedHammingSketch

POINTS = 81
"""Along each axis."""
LEVELS = np.linspace(0.0, 1.0, 11)


def relaxed_distance(one: ArrayLike, other: ArrayLike, sharpness: float) -> NDArray[np.float64]:
    """Return H_α = ½ |tanh(α ẑ) − tanh(α ŷ)| of pre-activations, from 0 to 1 (Eq. 11); α is the sharpness."""
    distance: NDArray[np.float64] = np.abs(
        np.tanh(sharpness * np.asarray(one)) - np.tanh(sharpness * np.asarray(other))
    )
    return distance / 2


def draw(declared: RelaxedHammingSketch, data: FigureData) -> Figure:
    """Draw H_α over ẑ and ŷ as a surface, and its contours beside it."""
    along = np.linspace(-declared.reach, declared.reach, POINTS)
    heights = relaxed_distance(along[None], along[:, None], declared.sharpness)
    values = pd.DataFrame(heights, index=along, columns=along)
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    surface: Any = figure.add_subplot(1, 2, 1, projection="3d")
    draw_from_the_side(surface, values)
    contours = figure.add_subplot(1, 2, 2)
    contours.contourf(along, along, values, levels=LEVELS, cmap=style.COLOUR_MAP, alpha=0.75)
    lines = contours.contour(along, along, values, levels=LEVELS, colors="black", linewidths=0.4)
    contours.clabel(lines, fontsize=style.SMALL - 1)
    contours.set_aspect("equal")
    for axis in (surface, contours):
        axis.set_xlabel("ẑ", fontsize=style.LABEL)
        axis.set_ylabel("ŷ", fontsize=style.LABEL)
        axis.tick_params(labelsize=style.SMALL)
        axis.set_title(f"H_α, α = {declared.sharpness:g}", fontsize=style.TITLE)
    style.note(figure, data.scale, "a sketch")
    return figure

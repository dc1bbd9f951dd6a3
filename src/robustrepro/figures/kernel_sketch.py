"""Two points' kernel values against five points, whose product is the V-matrix's entry (`hrm`, Figure 5)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import KernelSketch

SUBSCRIPTS = "₁₂₃₄₅"
Point = NDArray[np.float64]
COLOURS = (style.BLUE, style.VERMILLION)


def radial_basis(points: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """Return G(xᵢ, xₖ) = exp(−γ‖xᵢ − xₖ‖²), shape (N, N), of points of shape (N, 2)."""
    squares = np.square(points[:, None] - points[None]).sum(-1)
    kernel: NDArray[np.float64] = np.exp(-gamma * squares)
    return kernel


def draw(declared: KernelSketch, data: FigureData) -> Figure:
    """Draw the points, a line from x₁ and x₂ to each other one with its kernel value, and v(x₁, x₂) (Eq. 21).

    The larger the value, the thicker the line.
    """
    points, gamma = np.array(declared.points, dtype=np.float64), declared.gamma
    kernel = radial_basis(points, gamma)
    entry = kernel[0] @ kernel[1]
    figure = Figure(figsize=(5.6, 4.4), layout="constrained")
    axis = figure.subplots()
    lines = [(0, 1, style.GREY)] + [
        (one, other, colour) for other in range(2, len(points)) for one, colour in enumerate(COLOURS)
    ]
    places: list[Point] = []
    for one, other, colour in lines:
        x, y = _place(points[one], points[other], places)
        places.append(np.array([x, y]))
        axis.plot(*points[[one, other]].T, color=colour, linewidth=0.6 + 2.4 * kernel[one, other], zorder=1)
        axis.text(
            x,
            y,
            f"G{SUBSCRIPTS[other]}{SUBSCRIPTS[one]} = {kernel[one, other]:.2f}",
            ha="center",
            va="center",
            fontsize=style.SMALL,
            color=colour,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            zorder=2,
        )
    for number, (x, y) in enumerate(points):
        colour = COLOURS[number] if number < len(COLOURS) else "black"
        axis.plot(x, y, "o", color=colour, markersize=7, zorder=3)
        away = points[number] - points.mean(0)
        axis.annotate(
            f"x{SUBSCRIPTS[number]}",
            (x, y),
            13 * away / max(np.linalg.norm(away), 1e-9),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=style.TITLE,
            color=colour,
        )
    axis.set_title(f"v(x₁, x₂) = Σₖ Gₖ₁ Gₖ₂ = {entry:.3f}", fontsize=style.TITLE)
    axis.set_aspect("equal")
    axis.margins(0.12)
    axis.axis("off")
    style.note(figure, data.scale, f"γ = {gamma:g}, G₁₁ = G₂₂ = 1", "no measurement enters")
    return figure


def _place(start: Point, end: Point, taken: list[Point]) -> Point:
    """Return where on a line its label is farthest from those that have a place; labels are wider than high."""
    candidates: Point = start + np.linspace(0.3, 0.7, 9)[:, None] * (end - start)
    distances = np.linalg.norm((candidates[:, None] - np.reshape(taken, (-1, 2))) * np.array([0.3, 1.0]), axis=-1)
    place: Point = candidates[distances.min(1, initial=np.inf).argmax()]
    return place

"""The gradients of ERM, HRM and CEM of two examples, right and as the paper prints them (`hrm`, Figure 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import GradientPair

Vector = NDArray[np.float64]


def gradients(losses: Sequence[float], first: Vector, second: Vector) -> dict[str, Vector]:
    """Return the gradients of the three risks of two examples, as automatic differentiation finds them.

    Parameters
    ----------
    losses
        L₁ and L₂, in nats.
    first, second
        ∇L₁ and ∇L₂, shape (2,).
    """
    ratio = math.sqrt(losses[1] / losses[0])
    return {
        "ERM": (first + second) / 2,
        "HRM": (ratio * first + second / ratio) / 2,
        "CEM": ((1 + ratio) * first + (1 + 1 / ratio) * second) / 4,
    }


def printed_gradients(losses: Sequence[float], first: Vector, second: Vector) -> dict[str, Vector]:
    """Return what Section 4.1 of the paper gives for :func:`gradients`."""
    ratio = math.sqrt(losses[1] / losses[0])
    return {
        "ERM": (first + second) / 2,
        "HRM": ratio * first + second / ratio,
        "CEM": (1 / 2 + ratio) * first + (1 / 2 + 1 / ratio) * second,
    }


def angle_between(first: Vector, second: Vector) -> float:
    """Return the angle between two vectors of the plane, in degrees."""
    return abs(math.degrees(math.atan2(first[0] * second[1] - first[1] * second[0], first @ second)))


def draw(declared: GradientPair, data: FigureData) -> Figure:
    """Draw the three gradients twice, on one scale; ∇L₁ and ∇L₂ are grey."""
    angle = math.radians(declared.angle)
    first = declared.lengths[0] * np.array([1.0, 0.0])
    second = declared.lengths[1] * np.array([math.cos(angle), math.sin(angle)])
    right = gradients(declared.losses, first, second)
    printed = printed_gradients(declared.losses, first, second)
    turned = angle_between(right["CEM"], printed["CEM"])
    titles = (
        "as automatic differentiation finds them",
        f"as printed: HRM is twice too long, CEM {turned:.1f}° off its direction",
    )
    colours = style.colours_of(right)
    figure, axes = style.panels(2, sharex=True, sharey=True)
    figure.set_size_inches(style.WIDTH, 3.2)
    for axis, title, risks in zip(axes, titles, (right, printed), strict=True):
        for name, vector in (("∇L₁", first), ("∇L₂", second)):
            _draw_arrow(axis, name, vector, style.GREY)
        for name, vector in risks.items():
            _draw_arrow(axis, name, vector, colours[name])
        axis.plot(0, 0, "o", color=style.GREY, markersize=3)
        axis.set_title(title, fontsize=style.TITLE, pad=14)
        axis.set_aspect("equal")
        axis.margins(0.15)
        axis.axis("off")
    smaller, larger = declared.losses
    style.note(figure, data.scale, f"L₁ = {smaller:g}, L₂ = {larger:g}", "no measurement enters")
    return figure


def _draw_arrow(axis: Axes, name: str, tip: Vector, colour: str) -> None:
    x, y = tip
    axis.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0})
    axis.plot(x, y, alpha=0)  # an arrow alone does not widen the axes
    right, up = 12 * tip / np.linalg.norm(tip)
    axis.annotate(
        name,
        (x, y),
        (right, up),
        textcoords="offset points",
        color=colour,
        fontsize=style.LABEL,
        ha="center",
        va="center",
    )

"""Slope and curvature of a function of one variable (`decision_surface`, Figure 5)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import CurvatureSketch

ENDS = (-0.6, 3.8)
"""Between which x the sine is drawn."""
REACH = 0.8
"""How far the tangent goes to either side."""


def radius_of_curvature(x: float) -> float:
    """Return 1/κ of the sine, (1 + f'²)^(3/2) / |f''|: the radius of the circle that osculates it at x (Eq. 10)."""
    return float((1 + np.cos(x) ** 2) ** 1.5 / abs(np.sin(x)))


def draw(declared: CurvatureSketch, data: FigureData) -> Figure:
    """Draw a sine, its tangent at one point, and the osculating circle with its radius at another."""
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axis = figure.subplots()
    x = np.linspace(*ENDS, 400)
    axis.plot(x, np.sin(x), color="black", linewidth=1.6)
    at, slope = declared.slope_at, float(np.cos(declared.slope_at))
    ends = np.array([at - REACH, at + REACH])
    axis.plot(ends, np.sin(at) + slope * (ends - at), color=style.BLUE, linewidth=1.4)
    axis.plot(at, np.sin(at), "o", color=style.BLUE, markersize=5)
    axis.annotate(
        f"slope: J = {slope:.2f}",
        (ends[0], np.sin(at) - slope * REACH),
        xytext=(8, -2),
        textcoords="offset points",
        fontsize=style.LABEL,
        color=style.BLUE,
    )
    bend, radius = declared.curvature_at, radius_of_curvature(declared.curvature_at)
    point = np.array([bend, np.sin(bend)])
    normal = np.array([np.cos(bend), -1.0]) / np.hypot(np.cos(bend), 1.0) * np.sign(np.sin(bend))
    middle = point + radius * normal
    axis.add_patch(Circle((middle[0], middle[1]), radius, fill=False, color=style.VERMILLION, linewidth=1.4))
    axis.plot(*zip(point, middle, strict=True), color=style.VERMILLION, linewidth=1.0, marker="o", markersize=5)
    axis.annotate(
        f"curvature: κ = 1/r = {1 / radius:.2f}",
        tuple(middle),
        xytext=(6, 0),
        textcoords="offset points",
        fontsize=style.LABEL,
        color=style.VERMILLION,
        va="center",
    )
    axis.set_aspect("equal")
    axis.set_xlabel("x", fontsize=style.LABEL)
    axis.set_ylabel("F(x)", fontsize=style.LABEL)
    style.without_frame(axis)
    style.note(figure, data.scale, "a sketch")
    return figure

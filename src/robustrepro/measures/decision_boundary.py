"""A model of points in the plane, evaluated on a grid and on its training points."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import DecisionBoundary
from robustrepro.steps import Progress

BORDER = 0.15
"""How far the grid reaches beyond the training points, as a share of their extent."""


def grid_over(points: Tensor, resolution: int) -> Tensor:
    """Return a regular grid over the points' bounding box and a border, shape (resolution², 2), row by row.

    Parameters
    ----------
    points
        Points of the plane, shape (N, 2).
    resolution
        Grid points per side.
    """
    low, high = points.amin(0), points.amax(0)
    border = BORDER * (high - low)
    low, high = low - border, high + border
    x = torch.linspace(float(low[0]), float(high[0]), resolution)
    y = torch.linspace(float(low[1]), float(high[1]), resolution)
    return torch.cartesian_prod(y, x).flip(1)


@torch.no_grad()
def measure(trained: Trained, declared: DecisionBoundary, _progress: Progress) -> Columns:
    """Evaluate a model of the plane and return one row per point.

    Returns
    -------
    ``part`` ("grid", row by row, or "train"), ``x``, ``y``, ``label`` (-1 on the grid), ``prediction`` and
    ``probability`` of class 1.
    """
    examples = trained.examples("train")
    grid = grid_over(examples.inputs, declared.resolution)
    points = torch.cat([grid, examples.inputs])
    probabilities = trained.network(points.to(trained.device)).softmax(1).cpu()
    return {
        "part": np.array(["grid"] * len(grid) + ["train"] * len(examples.labels)),
        "x": points[:, 0],
        "y": points[:, 1],
        "label": torch.cat([torch.full((len(grid),), -1), examples.labels]),
        "prediction": probabilities.argmax(1),
        "probability": probabilities[:, 1],
    }

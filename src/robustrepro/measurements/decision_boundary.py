"""The step ``measure-decision-boundary``: a model of points in the plane, evaluated on a grid and on its data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustrepro import provenance
from robustrepro.datasets.tensors import load
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import write_measurement
from robustrepro.models.build import load_model

BORDER = 0.15
"""How far the grid reaches beyond the training points, as a share of their extent."""


def grid_over(points: Tensor, resolution: int) -> Tensor:
    """Return a regular grid over the points' bounding box and a border, shape (resolution², 2), row by row.

    Parameters
    ----------
    points
        Points of the plane, shape (N, 2).
    resolution
        Grid points a side.
    """
    low, high = points.amin(0), points.amax(0)
    border = BORDER * (high - low)
    low, high = low - border, high + border
    x = torch.linspace(float(low[0]), float(high[0]), resolution)
    y = torch.linspace(float(low[1]), float(high[1]), resolution)
    return torch.cartesian_prod(y, x).flip(1)


def measure_decision_boundary(
    spec: dict[str, Any], code: str, *, model_name: str, seed: int, data: Path, weights: Path, output: Path
) -> None:
    """Evaluate one model of the plane and write one row a point.

    Columns: ``part`` ("grid", row by row, or "train"), ``x``, ``y``, ``label`` (-1 on the grid), ``prediction`` and
    ``probability`` of class 1.

    Parameters
    ----------
    spec, code
        The resolved spec (architecture, grid points a side) and the digest of the sources.
    model_name, seed, data, weights
        The model, its seed, its data set's folder and its checkpoint.
    output
        The parquet file to write.
    """
    usage = provenance.Usage()
    split = load(data, "train")
    grid = grid_over(split.inputs, spec["resolution"])
    points = torch.cat([grid, split.inputs])
    model = load_model(weights, spec["architecture"], tuple(points.shape[1:]), split.classes)
    with torch.no_grad():
        probabilities = model(points).softmax(1)
    columns = {
        "part": np.array(["grid"] * len(grid) + ["train"] * len(split.labels)),
        "x": points[:, 0].numpy(),
        "y": points[:, 1].numpy(),
        "label": torch.cat([torch.full((len(grid),), -1), split.labels]).numpy(),
        "prediction": probabilities.argmax(1).numpy(),
        "probability": probabilities[:, 1].numpy(),
    }
    origin = origin_of(
        "decision_boundary",
        spec,
        code,
        [(model_name, seed, weights)],
        usage,
        data_manifest_sha256=split.manifest_sha256,
        data_verified=split.verified,
    )
    write_measurement(output, columns, origin)

"""Recorded trainings as arrays, and their two principal components."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from robustrepro.figures import style
from robustrepro.measurements.store import read_measurement

Floats = NDArray[np.float64]


class RecordedPath(NamedTuple):
    """The recorded updates of one training, shape (U,), with its parameters and gradients, shape (U, P) each."""

    updates: NDArray[np.int32]
    values: Floats
    gradients: Floats


def read_paths(panels: Sequence[dict[str, Any]], figure: str) -> list[RecordedPath]:
    """Return each panel's recorded training.

    Raises
    ------
    UserError
        If a path is empty, or has other parameters than the first one.
    """
    paths: list[RecordedPath] = []
    for panel in panels:
        measured, _ = read_measurement(Path(panel["measurement"]))
        update, value, gradient = (measured.column(name).to_numpy() for name in ("update", "value", "gradient"))
        if not len(update):
            raise style.unusable(figure, panel["label"], panel["measurement"], "no update was recorded")
        updates = np.unique(update)
        shape = len(updates), len(update) // len(updates)
        path = RecordedPath(updates, *(part.astype(np.float64).reshape(shape) for part in (value, gradient)))
        if paths and shape[1] != paths[0].values.shape[1]:
            why = f"{shape[1]} parameters, but {panels[0]['label']} has {paths[0].values.shape[1]}"
            raise style.unusable(figure, panel["label"], panel["measurement"], why)
        paths.append(path)
    return paths


def two_components(points: Sequence[Floats]) -> PCA:
    """Return the analysis of all panels' points together, so that the panels share their axes."""
    return PCA(n_components=2, svd_solver="full").fit(np.concatenate(points))


def component_labels(analysis: PCA, of: str) -> tuple[str, str]:
    """Return the labels of the two axes, with the share of the variance that each explains."""
    first, second = (f"{share:.0%}" for share in analysis.explained_variance_ratio_)
    return f"first component: {first} of the variance of {of}", f"second component: {second}"

"""Recorded trainings as arrays, and their two principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import PanelPerModel

Floats = NDArray[np.float64]


class RecordedPath(NamedTuple):
    """The recorded updates of one training, shape (U,), with its parameters and gradients, shape (U, P) each."""

    updates: NDArray[np.int32]
    values: Floats
    gradients: Floats


def read_paths(declared: PanelPerModel, data: FigureData) -> list[RecordedPath]:
    """Return each panel's recorded training.

    Raises
    ------
    UserError
        If a path is empty, or has a different number of parameters than the first one.
    """
    paths: list[RecordedPath] = []
    for panel in declared.panels:
        file = data.file(panel.model, declared.measure, panel.seed)
        rows = data.frame(panel.model, declared.measure, panel.seed)
        if rows.empty:
            raise data.unusable(panel.label, file, "no update was recorded")
        recorded = rows.astype({"value": float, "gradient": float}).pivot(index="update", columns="parameter")
        path = RecordedPath(recorded.index.to_numpy(), recorded["value"].to_numpy(), recorded["gradient"].to_numpy())
        if paths and path.values.shape[1] != paths[0].values.shape[1]:
            why = f"{path.values.shape[1]} parameters, but {declared.panels[0].label} has {paths[0].values.shape[1]}"
            raise data.unusable(panel.label, file, why)
        paths.append(path)
    return paths


def two_components(points: Sequence[Floats]) -> PCA:
    """Return the analysis of all panels' points together, so that the panels share their axes."""
    return PCA(n_components=2, svd_solver="full").fit(np.concatenate(points))


def component_labels(analysis: PCA, of: str) -> tuple[str, str]:
    """Return the labels of the two axes, with the share of the variance that each explains."""
    first, second = (f"{share:.0%}" for share in analysis.explained_variance_ratio_)
    return f"first component: {first} of the variance of {of}", f"second component: {second}"

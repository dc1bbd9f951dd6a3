"""How far apart the parameters of two trained models are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from robustrepro.errors import UserError
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import ParameterDistance
from robustrepro.steps import Progress


def squared_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, float]:
    """Return Σ(aᵢ − bᵢ)² of each parameter tensor of two equally shaped models, in float64.

    Raises
    ------
    ValueError
        If the models do not have the same parameters.
    """
    shapes = [{name: value.shape for name, value in tensors.items()} for tensors in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError("the two models do not have the same parameters")
    return {
        name: float(np.square(first[name].astype(np.float64) - second[name].astype(np.float64)).sum())
        for name in sorted(first)
    }


def measure(trained: Trained, _declared: ParameterDistance, _progress: Progress) -> Columns:
    """Compare two models' parameters and return one row per tensor.

    Returns
    -------
    ``tensor``, ``parameters`` (how many) and ``squared_difference``. The euclidean distance of the parameter vectors
    (`hrm`, Table 1) is the root of the last column's sum.
    """
    pair = (trained, *trained.others)
    first, second = (_parameters(each) for each in pair)
    try:
        squares = squared_differences(first, second)
    except ValueError as error:
        names = " and ".join(each.model for each in pair)
        raise UserError(f"{names}: {error}; give both the same architecture") from error
    return {
        "tensor": np.array(list(squares)),
        "parameters": np.array([first[name].size for name in squares]),
        "squared_difference": np.array(list(squares.values())),
    }


def _parameters(trained: Trained) -> Mapping[str, Any]:
    try:
        parameters: Mapping[str, Any] = load_file(trained.weights)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{trained.weights}: unreadable or truncated checkpoint ({error}); delete it and run again"
        ) from error
    return parameters

"""The step ``measure-parameter-distance``: how far apart two trained models are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from robustrepro import provenance
from robustrepro.errors import UserError
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import write_measurement


def squared_differences(first: dict[str, Any], second: dict[str, Any]) -> dict[str, float]:
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


def measure_parameter_distance(
    spec: dict[str, Any], code: str, *, names: tuple[str, str], seed: int, weights: tuple[Path, Path], output: Path
) -> None:
    """Compare two models' parameters and write one row a tensor: ``tensor``, ``parameters``, ``squared_difference``.

    The euclidean distance of the parameter vectors (`hrm`, Table 1) is the root of the column's sum.

    Parameters
    ----------
    spec, code
        The resolved spec and the digest of the sources.
    names, seed, weights
        The two models, the seed they share, and their checkpoints.
    output
        The parquet file to write.
    """
    usage = provenance.Usage()
    tensors = []
    for path in weights:
        try:
            tensors.append(load_file(path))
        except (SafetensorError, OSError) as error:
            raise UserError(f"{path}: unreadable or truncated checkpoint ({error}); delete it and run again") from error
    try:
        squares = squared_differences(*tensors)
    except ValueError as error:
        raise UserError(f"{names[0]} and {names[1]}: {error}; give both the same architecture") from error
    columns = {
        "tensor": np.array(list(squares)),
        "parameters": np.array([tensors[0][name].size for name in squares]),
        "squared_difference": np.array(list(squares.values())),
    }
    models = [(name, seed, path) for name, path in zip(names, weights, strict=True)]
    origin = origin_of("parameter_distance", spec, code, models, usage)
    write_measurement(output, columns, origin)

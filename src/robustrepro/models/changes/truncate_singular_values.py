"""Truncation of a layer's singular values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from robustrepro.errors import UserError


def without_trailing_singular_values(weight: Tensor, percent: float) -> Tensor:
    """Return a matrix whose trailing singular values are set to zero; the best approximation of its rank.

    Computed in float64. The Frobenius norm, the root of the sum of the squared singular values, falls as ``percent``
    grows.

    Parameters
    ----------
    weight
        Shape (outputs, inputs).
    percent
        How many of the min(outputs, inputs) singular values are set to zero, the smallest first; the number is rounded
        down. Where it is 0, the matrix is returned as it is, bit for bit.

    Returns
    -------
    Tensor of the same shape and data type.
    """
    rank = min(weight.shape)
    dropped = math.floor(rank * percent / 100)
    if dropped == 0:
        return weight
    left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
    kept = rank - dropped
    truncated: Tensor = left[:, :kept] * values[:kept] @ right[:kept]
    return truncated.to(weight.dtype)


@torch.no_grad()
def truncate_singular_values(model: nn.Module, layer: str, percent: float) -> None:
    """Set the trailing singular values of one fully connected layer to zero, in place; its bias stays.

    Parameters
    ----------
    model
        The network.
    layer
        The layer's name in the network, such as ``classifier.3``.
    percent
        See :func:`without_trailing_singular_values`.

    Raises
    ------
    UserError
        If the network has no fully connected layer of this name.

    References
    ----------
    M2 of "Reducing Exploitation of Data Idiosyncrasy".
    """
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if layer not in linear:
        raise UserError(
            f"change truncate_singular_values: the network has no fully connected layer '{layer}' "
            f"(it has: {', '.join(linear) or 'none'})"
        )
    weight = linear[layer].weight
    weight.copy_(without_trailing_singular_values(weight, percent))

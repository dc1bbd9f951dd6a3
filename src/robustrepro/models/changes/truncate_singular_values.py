"""Truncation of a layer's singular values."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor, nn

from robustrepro.models.fully_connected import fully_connected, replace_weights


class Truncation:
    """A matrix whose trailing singular values can be set to zero; decomposed once, in float64.

    Parameters
    ----------
    weight
        Shape (outputs, inputs).
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    @cached_property
    def _factors(self) -> tuple[Tensor, Tensor, Tensor]:
        left, values, right = torch.linalg.svd(self._weight.double(), full_matrices=False)
        return left, values, right

    def at(self, percent: float) -> Tensor:
        """Return the best approximation of the matrix of a lower rank; its Frobenius norm falls as ``percent`` grows.

        Parameters
        ----------
        percent
            How many of the min(outputs, inputs) singular values are set to zero, the smallest first; the number is
            rounded down. Where it is 0, the matrix is returned as it is, bit for bit.

        Returns
        -------
        Shape and data type of the matrix.
        """
        rank = min(self._weight.shape)
        dropped = math.floor(rank * percent / 100)
        if dropped == 0:
            return self._weight
        left, values, right = self._factors
        kept = rank - dropped
        truncated: Tensor = left[:, :kept] * values[:kept] @ right[:kept]
        return truncated.to(self._weight.dtype)


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
        See :meth:`Truncation.at`.

    Raises
    ------
    UserError
        If the network has no fully connected layer of this name.

    References
    ----------
    M2 of Wu et al., "Reducing Exploitation of Data Idiosyncrasy Helps Robustify Trained Models".
    """
    linear = fully_connected(model, layer)
    replace_weights(linear, Truncation(linear.weight).at(percent), linear.bias)

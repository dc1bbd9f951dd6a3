"""What a training objective is, and the square roots that the pairwise ones share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor, nn


class Risk(NamedTuple):
    """The value to descend (a scalar) and the logits, shape (N, classes), that it was computed from."""

    value: Tensor
    logits: Tensor


class Objective(Protocol):
    """What the training loop minimises.

    Called with the model, inputs of shape (N, ...) and labels of shape (N,), it returns a :class:`Risk`.
    """

    def __call__(self, model: nn.Module, inputs: Tensor, labels: Tensor) -> Risk:
        """Return the risk of one batch."""
        ...

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return per-example losses, shape (N,), whose ascent is an attack with the training objective.

        The gradient of each points, for its own image, where the objective's gradient points.
        """
        ...


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the per-example cross-entropies Lᵢ ≥ 0, shape (N,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def guarded_roots(losses: Tensor, guard: float) -> Tensor:
    """Return sᵢ = √(Lᵢ + δ), shape (N,), with a finite gradient where Lᵢ = 0.

    Parameters
    ----------
    losses
        Per-example losses Lᵢ ≥ 0, shape (N,).
    guard
        δ > 0. At Lᵢ = 0 the root's slope is 1/(2√δ).
    """
    return (losses + guard).sqrt()

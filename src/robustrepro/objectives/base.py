"""What a training objective is, and the square roots that the pairwise ones share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

NO_TERMS: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Step:
    """One update of a training, as its objective sees it.

    Attributes
    ----------
    inputs
        The batch as the network is fed it, augmented, shape (N, ...).
    labels
        Classes, int64, shape (N,).
    indices
        Where the examples lie in the training set, int64, shape (N,); an augmented image keeps its index.
    epoch
        When the update happens, as a real number: 0 at the start of training, k + fraction within an epoch. The value
        of a schedule is :func:`robustrepro.schedules.value_at` of it.
    generator
        What the objective draws from, on the CPU. Its stream is derived from (seed, "objective", epoch), so that a
        resumed training draws the same, and no other random number depends on how much is drawn.
    others
        Other networks that the objective's declaration names, trained and frozen, in evaluation mode; by their models'
        names.
    """

    inputs: Tensor
    labels: Tensor
    indices: Tensor
    epoch: float
    generator: torch.Generator
    others: Mapping[str, nn.Module] = field(default_factory=dict)


class Risk(NamedTuple):
    """What an objective makes of a batch.

    Attributes
    ----------
    value
        The scalar to descend.
    logits
        Shape (N, classes), for the training accuracy.
    terms
        Scalars by name, such as the parts of a sum. Each becomes a column of the history: its mean over the epoch, each
        batch weighted by its size. An objective has the same terms in every batch.
    """

    value: Tensor
    logits: Tensor
    terms: Mapping[str, Tensor] = NO_TERMS


class Objective(Protocol):
    """What the training loop minimises."""

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the risk of one batch."""
        ...

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return per-example losses, shape (N,), whose ascent is an attack with the training objective.

        The gradient of each loss points, for its own image, where the objective's gradient points.
        """
        ...


def guarded_roots(losses: Tensor, guard: float) -> Tensor:
    """Return sᵢ = √(Lᵢ + δ), shape (N,), with a finite gradient where Lᵢ = 0.

    Parameters
    ----------
    losses
        Per-example losses Lᵢ ≥ 0, shape (N,).
    guard
        δ ≥ 0. At Lᵢ = 0 the root's slope is 1/(2√δ); δ = 0 is for losses that do not reach 0.
    """
    return (losses + guard).sqrt()

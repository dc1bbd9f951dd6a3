"""Losses of single examples: what objectives are made of, and what attacks ascend.

Each returns one loss per example, so that no image's gradient depends on its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

PerExampleLoss = Callable[[Tensor, Tensor], Tensor]
"""Maps logits (N, classes) and labels (N,) to losses (N,)."""

CLIP = 1e-7
"""How near to 0 and 1 a probability may come in `clipped_cross_entropy`: the fuzz factor of Keras."""


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return each example's cross-entropy −log p_y ≥ 0, shape (N,), p the softmax of its logits."""
    return functional.cross_entropy(logits, labels, reduction="none")


def clipped_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return −log of p_y clipped to [1e-7, 1 − 1e-7], shape (N,), p the softmax of the logits.

    So Keras computed the cross-entropy of a network that ends in a softmax. In float32 the upper bound is
    1 − 2⁻²³, the loss lies between 1.19e-7 and 16.1 nats and never reaches 0, and where p_y is outside of the bounds
    its gradient is exactly 0: above, from a gap of about 16 between the logit of the label and the others.

    References
    ----------
    Keras 2.3, ``backend.categorical_crossentropy`` with ``from_logits=False`` and ``epsilon() == 1e-7``.
    """
    probabilities = logits.softmax(1, dtype=torch.promote_types(logits.dtype, torch.float32))
    return -probabilities.gather(1, labels.unsqueeze(1)).squeeze(1).clamp(CLIP, 1 - CLIP).log()


def example_loss(name: str) -> PerExampleLoss:
    """Return the loss that an objective's declaration names: ``cross_entropy`` or ``clipped_cross_entropy``."""
    return {"cross_entropy": cross_entropy, "clipped_cross_entropy": clipped_cross_entropy}[name]

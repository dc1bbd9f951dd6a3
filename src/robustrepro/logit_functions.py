"""Functions of a model's answer whose slopes and surfaces are looked at: one value per example."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from robustrepro.attacks.losses import classification_margin
from robustrepro.losses import PerExampleLoss, cross_entropy


def confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the softmax probability of each label, shape (N,)."""
    return logits.softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1)


FUNCTIONS: Mapping[str, PerExampleLoss] = {
    "margin": classification_margin,
    "confidence": confidence,
    "cross_entropy": cross_entropy,
}
"""By their names in declarations: functions of logits (N, classes) and labels (N,)."""

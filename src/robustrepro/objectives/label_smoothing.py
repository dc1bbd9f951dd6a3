"""The cross-entropy with smoothed labels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from robustrepro.objectives.base import Risk, Step


class SmoothedRisk:
    """The mean cross-entropy to a mixture of the label and the uniform distribution over all classes.

    Parameters
    ----------
    smoothing
        The weight of the uniform distribution, from 0 (the cross-entropy) to below 1.

    References
    ----------
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, Section 7.
    """

    def __init__(self, smoothing: float) -> None:
        self._smoothing = smoothing

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the mean loss of a batch."""
        logits = model(step.inputs)
        return Risk(self.example_losses(logits, step.labels).mean(), logits)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses, shape (N,)."""
        return functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self._smoothing)

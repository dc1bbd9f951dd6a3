"""Empirical risk minimisation: the mean of the losses."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.losses import example_loss
from robustrepro.objectives.base import Risk, Step


class EmpiricalRisk:
    """Empirical risk: the mean loss (1/N) Σ Lᵢ.

    Parameters
    ----------
    loss
        The name of the loss Lᵢ of an example (:func:`robustrepro.losses.example_loss`).

    References
    ----------
    Sun et al., "Hollow Risk Minimization for Robustness", Section 3.1 and Table 11.
    """

    def __init__(self, loss: str = "cross_entropy") -> None:
        self._loss = example_loss(loss)

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the mean loss of a batch."""
        logits = model(step.inputs)
        return Risk(self._loss(logits, step.labels).mean(), logits)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses, shape (N,)."""
        return self._loss(logits, labels)

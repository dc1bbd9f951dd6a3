"""The cross error matrix objective: the mean of √(Lᵢ Lⱼ) over all pairs, i = j included."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.losses import example_loss
from robustrepro.objectives.base import Risk, Step, guarded_roots


def cross_error_risk(roots: Tensor) -> Tensor:
    """Cross-error risk: the mean of sᵢ sⱼ over all pairs (i, j), i = j included.

    Computed as (Σs)² / N², in O(N) instead of an N x N matrix.

    Parameters
    ----------
    roots
        Roots of the per-example losses sᵢ = √Lᵢ, shape (N,), N ≥ 1.

    Returns
    -------
    Scalar tensor.

    References
    ----------
    Sun et al., "Hollow Risk Minimization for Robustness", Section 4 (normalisation by N²) and Table 11.
    """
    return roots.mean().square()


class CrossErrorRisk:
    """CEM over the losses of a batch.

    Parameters
    ----------
    guard
        δ in sᵢ = √(Lᵢ + δ), in units of the loss (nats). The paper does not say how it guards the root at Lᵢ = 0.
    loss
        The name of the loss Lᵢ of an example (:func:`robustrepro.losses.example_loss`).
    """

    def __init__(self, guard: float, loss: str = "cross_entropy") -> None:
        self.guard = guard
        self._loss = example_loss(loss)

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the cross-error risk of a batch."""
        logits = model(step.inputs)
        return Risk(cross_error_risk(guarded_roots(self._loss(logits, step.labels), self.guard)), logits)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return sᵢ = √(Lᵢ + δ), shape (N,): in one image, CEM's gradient is a positive multiple of its own."""
        return guarded_roots(self._loss(logits, labels), self.guard)

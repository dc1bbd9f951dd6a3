"""Hollow risk minimisation: the mean of √(Lᵢ Lⱼ) over all pairs of two different examples."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.losses import example_loss
from robustrepro.objectives.base import Risk, Step, guarded_roots


def hollow_risk(roots: Tensor) -> Tensor:
    """Hollow risk: the mean of sᵢ sⱼ over all pairs i ≠ j.

    Computed as ((Σs)² − Σs²) / (N (N − 1)), in O(N) instead of an N x N matrix.

    Parameters
    ----------
    roots
        Roots of the per-example losses sᵢ = √Lᵢ, shape (N,), N ≥ 2. A guard under the root must be inside them, so
        that it enters both sums: it would otherwise leave a diagonal behind.

    Returns
    -------
    Scalar tensor.

    Raises
    ------
    ValueError
        If there are fewer than two losses.

    References
    ----------
    Sun et al., "Hollow Risk Minimization for Robustness", Section 4 and Table 11.
    """
    count = len(roots)
    if count < 2:
        raise ValueError(f"the hollow risk needs at least two losses, not {count}")
    return (roots.sum().square() - roots.square().sum()) / (count * (count - 1))


class HollowRisk:
    """HRM over the losses of a batch.

    Parameters
    ----------
    guard
        δ in sᵢ = √(Lᵢ + δ), in units of the loss (nats). The paper does not say how it guards the root at Lᵢ = 0.
        The batch loss reaches it late in training, so it matters; the table of departures varies it.
    loss
        The name of the loss Lᵢ of an example (:func:`robustrepro.losses.example_loss`).
    """

    def __init__(self, guard: float, loss: str = "cross_entropy") -> None:
        self.guard = guard
        self._loss = example_loss(loss)

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the hollow risk of a batch of at least two examples."""
        logits = model(step.inputs)
        return Risk(hollow_risk(guarded_roots(self._loss(logits, step.labels), self.guard)), logits)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return sᵢ = √(Lᵢ + δ), shape (N,): in one image, HRM's gradient is a positive multiple of its own."""
        return guarded_roots(self._loss(logits, labels), self.guard)

"""Empirical risk minimisation: the mean of the losses."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor, nn

from robustrepro.objectives.base import Risk, Step, cross_entropies


class EmpiricalRisk:
    """Empirical risk: the mean cross-entropy (1/N) Σ Lᵢ.

    References
    ----------
    Sun et al., "Hollow Risk Minimization for Robustness", Section 3.1 and Table 11.
    """

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the mean cross-entropy of a batch."""
        logits = model(step.inputs)
        return Risk(F.cross_entropy(logits, step.labels), logits)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropies, shape (N,)."""
        return cross_entropies(logits, labels)

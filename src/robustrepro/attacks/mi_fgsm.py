"""The momentum iterative method: BIM along a decaying sum of the gradients so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustrepro.attacks.ascent import Ascent, Memory
from robustrepro.attacks.losses import attack_loss
from robustrepro.attacks.norms import NORMS, per_example
from robustrepro.attacks.threat_models import Box, ThreatModel
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import MiFgsm


@dataclass(frozen=True, eq=False)
class MomentumAscent(Ascent):
    """An ascent along g ← ``decay`` · g + ∇ / ‖∇‖₁, where g is 0 when a restart begins.

    A gradient of zero adds nothing to g.
    """

    decay: float = 1.0

    def first_memory(self, origins: Tensor) -> Memory:
        """Return g = 0 for every image."""
        return (torch.zeros_like(origins),)

    def advance(self, points: Tensor, origins: Tensor, gradient: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the points one step further along g, and g."""
        length = NORMS["l1"].length(gradient)
        share = gradient / per_example(torch.where(length > 0, length, 1.0), gradient)
        accumulated = self.decay * memory[0] + share
        # Without decay g points where the gradient does, and that without the rounding of the division.
        points, _ = super().advance(points, origins, accumulated if self.decay else gradient, ())
        return points, (accumulated,)


def ascent_of(spec: MiFgsm, box: Box, training_loss: PerExampleLoss | None) -> MomentumAscent:
    """Return the declared attack as the active set runs it.

    In ℓ2 and ℓ1 a step is in the norm's direction of steepest ascent along g, which for ℓ2 is g / ‖g‖₂.

    References
    ----------
    Dong et al., "Boosting Adversarial Attacks with Momentum", 2018, Algorithm 1 and Section 3.4.
    """
    return MomentumAscent(
        spec.name,
        ThreatModel(spec.norm, spec.epsilon, box),
        spec.steps,
        spec.step_size,
        attack_loss(spec.loss, training_loss),
        search=spec.search,
        decay=spec.decay,
    )

"""Adversarial training: the losses of examples that an attack has moved, alone or beside those of the clean ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import declared_ascent
from robustrepro.attacks.threat_models import UNIT_BOX
from robustrepro.losses import example_loss
from robustrepro.objectives.base import Risk, Step
from robustrepro.spec.objectives import Adversary


class AdversarialRisk:
    """Adversarial risk: α (1/N) Σ L(xᵢ) + (1 − α) (1/N) Σ L(xᵢ + Δᵢ), with Δᵢ from an attack on the network as it is.

    No gradient flows through Δᵢ. Every pass is in the mode of training: batch normalisation sees clean and adversarial
    batches alike, and dropout draws anew for each pass.

    Parameters
    ----------
    adversary
        The attack. One step of FGSM in an ℓp ball gives the Δᵢ that maximises ⟨∇L(xᵢ), Δ⟩ over the ball: the
        first-order Taylor expansion of the loss (Equation 11).
    clean_weight
        α in [0, 1). With 0, the weights are never updated on the original data (Algorithm 1).
    clipped
        Whether Δᵢ leaves pixels in [0, 1].
    loss
        The name of the loss L of an example (:func:`robustrepro.losses.example_loss`).

    References
    ----------
    Shaham, Yamada & Negahban, "Understanding Adversarial Training: Increasing Local Stability of Supervised Models
    through Robust Optimization", 2018, Equation 3 and Algorithm 1. Goodfellow, Shlens & Szegedy, "Explaining and
    Harnessing Adversarial Examples", 2015, Section 6.
    """

    def __init__(
        self, adversary: Adversary, clean_weight: float = 0.0, clipped: bool = True, loss: str = "cross_entropy"
    ) -> None:
        self._loss = example_loss(loss)
        self._ascent = declared_ascent(adversary, UNIT_BOX if clipped else None, self._loss)
        self._clean_weight = clean_weight

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the risk of a batch; the logits are those of the adversarial examples.

        The terms are the two mean losses, where both count.
        """
        logits = model(self.adversarial_examples(model, step))
        adversarial = self._loss(logits, step.labels).mean()
        if not self._clean_weight:
            return Risk(adversarial, logits)
        clean = self._loss(model(step.inputs), step.labels).mean()
        value = self._clean_weight * clean + (1 - self._clean_weight) * adversarial
        return Risk(value, logits, {"clean_loss": clean, "adversarial_loss": adversarial})

    def adversarial_examples(self, model: nn.Module, step: Step) -> Tensor:
        """Return xᵢ + Δᵢ, shape of the inputs; a random start is drawn from the step's generator."""
        starts = step.inputs
        if self._ascent.from_noise:
            seed = int(torch.randint(2**62, (), generator=step.generator))
            indices = step.indices.tolist()
            starts = self._ascent.start(step.inputs, seed=seed, indices=indices, restarts=[0] * len(indices))
        return self._ascent.climb(model, step.inputs, step.labels, starts)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses L, shape (N,): what the adversary ascends."""
        return self._loss(logits, labels)

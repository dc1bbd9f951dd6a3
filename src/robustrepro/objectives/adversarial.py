"""Adversarial training: the losses of examples that an attack has moved, alone or beside those of the clean ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import declared_ascent
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.implementations import resolve
from robustrepro.losses import PerExampleLoss, example_loss
from robustrepro.objectives.base import Risk, Step
from robustrepro.spec.attacks import GradientAttack, PerceptualAttack
from robustrepro.spec.objectives import Adversary

Examples = Callable[[nn.Module, Step], Tensor]
"""From a network as it is and an update to adversarial examples, shape of the inputs, without a gradient."""


class AdversarialRisk:
    """Adversarial risk: α (1/N) Σ L(xᵢ) + (1 − α) (1/N) Σ L(xᵢ + Δᵢ), with Δᵢ from an attack on the network as it is.

    No gradient flows through Δᵢ. Every pass is in the mode of training: batch normalisation sees clean and adversarial
    batches alike, and dropout draws anew for each pass.

    Parameters
    ----------
    adversary
        The attack. One step of FGSM in an ℓp ball gives the Δᵢ that maximises ⟨∇L(xᵢ), Δ⟩ over the ball: the
        first-order Taylor expansion of the loss (Equation 11). A perceptual attack ascends a loss of its own.
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
        self._examples = _examples_of(adversary, UNIT_BOX if clipped else None, self._loss)
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
        return self._examples(model, step)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses L, shape (N,): what the adversary ascends."""
        return self._loss(logits, labels)


def _examples_of(adversary: Adversary, box: Box, loss: PerExampleLoss) -> Examples:
    """Return how a declared attack makes the adversarial examples of an update.

    Parameters
    ----------
    adversary
        The attack.
    box
        The range of valid pixels that a gradient attack clips to, or None.
    loss
        Per-example loss that ``loss: training`` stands for.
    """
    if isinstance(adversary, PerceptualAttack):
        return _perturbing(adversary)
    return _climbing(adversary, box, loss)


def _climbing(adversary: GradientAttack, box: Box, loss: PerExampleLoss) -> Examples:
    ascent = declared_ascent(adversary, box, loss)

    def examples(model: nn.Module, step: Step) -> Tensor:
        starts = step.inputs
        if ascent.from_noise:
            indices = step.indices.tolist()
            starts = ascent.start(step.inputs, seed=_drawn(step), indices=indices, restarts=[0] * len(indices))
        return ascent.climb(model, step.inputs, step.labels, starts)

    return examples


def _perturbing(adversary: PerceptualAttack) -> Examples:
    perturbed: Callable[..., Tensor] = resolve(adversary.implementation).examples

    def examples(model: nn.Module, step: Step) -> Tensor:
        return perturbed(
            adversary,
            model,
            step.inputs,
            step.labels,
            seed=_drawn(step),
            indices=step.indices,
            others=step.others,
        )

    return examples


def _drawn(step: Step) -> int:
    """Draw the seed of an update's random starts."""
    return int(torch.randint(2**62, (), generator=step.generator))

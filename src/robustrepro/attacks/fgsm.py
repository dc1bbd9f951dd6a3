"""The fast gradient sign method: one step of length ε."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import attack_loss
from robustrepro.attacks.threat_models import UNIT_BOX, Box, ThreatModel
from robustrepro.losses import PerExampleLoss, cross_entropy
from robustrepro.spec.attacks import Fgsm, Norm


def fgsm(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    norm: Norm = "linf",
    loss: PerExampleLoss = cross_entropy,
    box: Box = UNIT_BOX,
) -> Tensor:
    """Move every input by ε in the norm's direction of steepest ascent: for ℓ∞ the sign of its gradient.

    Parameters
    ----------
    model
        Maps inputs to logits (N, classes); used in the mode it is in, its weights left as they are.
    inputs
        Shape (N, ...), inside the box.
    labels
        int64, shape (N,).
    epsilon
        Step and radius, in units of the pixel range.
    norm
        Threat model's norm.
    loss
        Per-example loss to ascend.
    box
        Range of valid pixels; None leaves the result unclipped.

    Returns
    -------
    Perturbed inputs, same shape.

    References
    ----------
    Goodfellow, Shlens & Szegedy, "Explaining and Harnessing Adversarial Examples", 2015.
    """
    ascent = Ascent("fgsm", ThreatModel(norm, epsilon, box), steps=1, step_size=epsilon, loss=loss)
    return ascent.climb(model, inputs, labels, starts=inputs)


def ascent_of(spec: Fgsm, box: Box, training_loss: PerExampleLoss | None) -> Ascent:
    """Return the declared attack as the active set runs it."""
    return Ascent(
        spec.name,
        ThreatModel(spec.norm, spec.epsilon, box),
        steps=1,
        step_size=spec.epsilon,
        loss=attack_loss(spec.loss, training_loss),
        search=spec.search,
    )

"""Projected gradient descent on the negative loss: many short steps, each projected back into the ball."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import attack_loss
from robustrepro.attacks.threat_models import UNIT_BOX, Box, ThreatModel
from robustrepro.losses import PerExampleLoss, cross_entropy
from robustrepro.spec.attacks import Norm, Pgd


def pgd(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int,
    step_size: float,
    starts: Tensor,
    norm: Norm = "linf",
    loss: PerExampleLoss = cross_entropy,
    box: Box = UNIT_BOX,
) -> Tensor:
    """Ascend every input's loss from its start and return the last iterate.

    Every input takes every step, whether it is broken already or not: what adversarial training and transfer
    attacks need. To measure a model over a test set use `robustrepro.attacks.measure.measure`; to craft a test set's
    points, `robustrepro.attacks.craft.craft`.

    Parameters
    ----------
    model
        Maps inputs to logits (N, classes); used in the mode it is in, its weights left as they are.
    inputs
        Shape (N, ...), inside the box.
    labels
        int64, shape (N,).
    epsilon
        Radius, in units of the pixel range.
    steps, step_size
        How many steps, and their length in the norm.
    starts
        Where to begin, same shape as the inputs: the inputs themselves, or `ThreatModel.random_start`.
    norm
        Threat model's norm.
    loss
        Per-example loss to ascend.
    box
        Range of valid pixels; None leaves the iterates unclipped.

    Returns
    -------
    Perturbed inputs, same shape.

    References
    ----------
    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018.
    """
    ascent = Ascent("pgd", ThreatModel(norm, epsilon, box), steps, step_size, loss)
    return ascent.climb(model, inputs, labels, starts)


def ascent_of(spec: Pgd, box: Box, training_loss: PerExampleLoss | None) -> Ascent:
    """Return the declared attack as the active set runs it."""
    return Ascent(
        spec.name,
        ThreatModel(spec.norm, spec.epsilon, box),
        spec.steps,
        spec.step_size,
        attack_loss(spec.loss, training_loss),
        spec.restarts,
        from_noise=spec.random_start,
        search=spec.search,
    )

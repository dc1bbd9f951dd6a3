"""Craft adversarial points without asking whether they break anything here: what transfer attacks need."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import declared_ascent
from robustrepro.attacks.losses import PerExampleLoss
from robustrepro.attacks.measure import PRECISIONS
from robustrepro.attacks.precision import tf32
from robustrepro.attacks.subject import subject_of
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.errors import UserError
from robustrepro.spec.attacks import GradientAttack


def craft(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    spec: GradientAttack,
    *,
    seed: int,
    training_loss: PerExampleLoss | None = None,
    box: Box = UNIT_BOX,
    batch_size: int = 256,
) -> Tensor:
    """Return every image's last iterate, also where the model errs on the image or was broken on the way.

    `robustrepro.attacks.measure.measure` stops at the first iterate that this model misclassifies, which another
    model need not. The starts are the ones that it uses in the first restart.

    Parameters
    ----------
    model, inputs, labels, indices, seed, training_loss, box, batch_size
        As for `robustrepro.attacks.measure.measure`.
    spec
        The attack, with a single restart.

    Returns
    -------
    The points on the CPU, shape of the inputs, in the attack's precision.

    Raises
    ------
    ValueError, OutsideThreatModelError
        As `robustrepro.attacks.measure.measure`.
    UserError
        If the spec has more than one restart: a single point comes back, and no verdict says from which.
    """
    ascent = declared_ascent(spec, box, training_loss)
    if ascent.restarts > 1:
        raise UserError(f"restarts is {ascent.restarts}; expected 1, since crafting returns one point an image")
    precision = PRECISIONS[spec.precision]
    subject = subject_of(model, inputs, labels, indices, precision=precision, box=box, batch_size=batch_size, seed=seed)
    points = []
    with tf32(allowed=False):
        for positions in subject.batches():
            origins, truth = subject.images(positions), subject.labels[positions].to(subject.device)
            first = [0] * len(positions)
            starts = ascent.start(origins, seed=seed, indices=subject.indices[positions].tolist(), restarts=first)
            reached = ascent.climb(subject.model, origins, truth, starts)
            ascent.threat.check(reached, origins, spec.name)
            points.append(reached.cpu())
    return torch.cat(points)

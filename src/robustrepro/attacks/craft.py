"""Craft adversarial points without asking whether they break anything here: what transfer attacks need."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import Ascent, declared_ascent
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.norms import per_example
from robustrepro.attacks.precision import PRECISIONS
from robustrepro.attacks.subject import Subject, require_finite, subject_of
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.losses import PerExampleLoss
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import AscentAttack, BallAttack


def craft(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    spec: BallAttack,
    *,
    seed: int,
    training_loss: PerExampleLoss | None = None,
    box: Box = UNIT_BOX,
    batch_size: int = 256,
) -> Tensor:
    """Return a point for every image, to try other models on.

    `robustrepro.attacks.measure.measure` stops at the first iterate that this model misclassifies, which another model
    need not. Here every image, also one that this model gets wrong, is taken to its last iterate. The starts are those
    of a measurement. Of several restarts, or draws of noise, the last iterate with this model's smallest margin comes
    back.

    AutoAttack has no last iterate: each image comes back as the first of its attacks that breaks it leaves it, or as
    it was where this model errs on it anyway or none of them breaks it.

    Parameters
    ----------
    model, inputs, labels, indices, seed, training_loss, box, batch_size
        As for `robustrepro.attacks.measure.measure`.
    spec
        The attack.

    Returns
    -------
    The points on the CPU, shape of the inputs, in the attack's precision.

    Raises
    ------
    ValueError, UserError, OutsideThreatModelError
        As `robustrepro.attacks.measure.measure`.
    """
    if not isinstance(spec, AscentAttack):
        outcome = measure(
            model, inputs, labels, indices, spec, seed=seed, box=box, batch_size=batch_size, keep_adversarial=True
        )
        assert outcome.adversarial is not None
        return outcome.adversarial
    ascent, precision = declared_ascent(spec, box, training_loss), PRECISIONS[spec.precision]
    subject = subject_of(model, inputs, labels, indices, precision=precision, box=box, batch_size=batch_size, seed=seed)
    with true_float32():
        return torch.cat([_climbed(subject, ascent, positions).cpu() for positions in subject.batches()])


def _climbed(subject: Subject, ascent: Ascent, positions: Tensor) -> Tensor:
    """Return the last iterates of one batch, of several restarts those with the model's smallest margin."""
    origins, labels = subject.images(positions), subject.labels[positions].to(subject.device)
    indices = subject.indices[positions].tolist()
    chosen, lowest = origins, torch.full((len(positions),), torch.inf, dtype=origins.dtype, device=subject.device)
    for restart in range(ascent.restarts):
        starts = ascent.start(origins, seed=subject.seed, indices=indices, restarts=[restart] * len(positions))
        reached = ascent.climb(subject.model, origins, labels, starts)
        ascent.threat.check(reached, origins, ascent.name)
        if ascent.restarts == 1:
            return reached
        with torch.no_grad():
            logits = subject.model(reached)
        require_finite(logits, f"under attack '{ascent.name}'")
        margin = classification_margin(logits, labels)
        lower = margin < lowest
        chosen = torch.where(per_example(lower, reached), reached, chosen)
        lowest = torch.where(lower, margin, lowest)
    return chosen

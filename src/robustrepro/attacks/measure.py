"""Measure a model under a declared attack, per image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from robustrepro.attacks.active_set import ActiveSet, Progress
from robustrepro.attacks.ascent import declared_ascent
from robustrepro.attacks.outcome import AttackOutcome, clean_outcome
from robustrepro.attacks.precision import PRECISIONS
from robustrepro.attacks.subject import NO_OTHERS, Subject, subject_of
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.implementations import resolve
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import AscentAttack, BallAttack, Clean, FixedBudgetAttack, PerceptualAttack


def measure(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    spec: FixedBudgetAttack,
    *,
    seed: int,
    training_loss: PerExampleLoss | None = None,
    box: Box = UNIT_BOX,
    batch_size: int = 256,
    keep_adversarial: bool = False,
    progress: Progress | None = None,
    others: Mapping[str, nn.Module] = NO_OTHERS,
) -> AttackOutcome:
    """Attack a whole test set within a fixed budget and return the outcome of every image.

    The attack runs on a copy of the model, on the model's device; the model itself is left as it is, and so
    is the global random state. Each image's starts depend on the seed, its index and the restart only.
    Verdicts do not depend on ``batch_size``, except in float32 for an image whose margin is within rounding of
    zero (see `robustrepro.attacks.active_set`), and under AutoAttack, which draws its noise for a whole batch.
    Perceptual attacks treat each image by itself, but carry rounding from step to step, so that margins may differ
    by more.

    Parameters
    ----------
    model
        Maps inputs to logits (N, classes), each row from its own input only; in evaluation mode.
    inputs
        Floats inside the box, shape (N, features) or (N, channels, height, width), on any device.
    labels
        int64, shape (N,).
    indices
        Each image's index in its data set, int64, shape (N,).
    spec
        The attack. With ``epsilon: 0`` nothing is attacked: the outcome is the clean one. For a `Curve` see
        `robustrepro.attacks.curve.measure_curve`, for an attack without a bound
        `robustrepro.attacks.minimal_distance.measure_distances`.
    seed
        The seed that the user sees.
    training_loss
        Per-example loss that ``loss: training`` stands for (see `robustrepro.attacks.losses.attack_loss`).
    box
        Range of valid pixels; None for inputs without one, such as toy data.
    batch_size
        Most images that go through the model at once; a matter of memory and speed.
    keep_adversarial
        Whether to return the adversarial inputs too.
    progress
        Called with how many more images have been decided.
    others
        Other networks that the attack is declared to look into, by name; in evaluation mode.

    Raises
    ------
    ValueError
        If the model is in training mode, or inputs, labels and indices are not as described.
    UserError
        If the model returns logits that are not finite, or the attack cannot run on this model, data or device.
    OutsideThreatModelError
        If the attack leaves its ε-ball or the box; a perceptual attack in its corrected form, its bound.
    """
    precision = PRECISIONS[spec.precision if isinstance(spec, AscentAttack) else "float32"]
    subject = subject_of(
        model,
        inputs,
        labels,
        indices,
        precision=precision,
        box=box,
        batch_size=batch_size,
        seed=seed,
        others=others,
    )
    if isinstance(spec, Clean) or (isinstance(spec, BallAttack) and spec.epsilon == 0):
        return _unattacked(subject, keep_adversarial, progress)
    if isinstance(spec, AscentAttack):
        ascent = declared_ascent(spec, box, training_loss)
        return ActiveSet(subject, [ascent], keep_adversarial=keep_adversarial).run(progress)
    attack: Callable[[Subject, BallAttack | PerceptualAttack, AttackOutcome, Progress | None], None]
    attack = resolve(spec.implementation)
    outcome = _unattacked(subject, keep_adversarial, None)
    if isinstance(spec, PerceptualAttack):
        outcome = replace(outcome, size=torch.zeros_like(outcome.linf))
    attack(subject, spec, outcome, progress)
    return outcome


def _unattacked(subject: Subject, keep_adversarial: bool, progress: Progress | None) -> AttackOutcome:
    """Return the outcome of the clean pass alone."""
    images = subject.inputs.to("cpu", copy=True) if keep_adversarial else None
    outcome = clean_outcome(subject.indices, subject.labels, subject.classify(), images)
    if progress is not None:
        progress(len(outcome.label))
    return outcome

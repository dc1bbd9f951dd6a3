"""Attacks without a bound: per image, the distance of the nearest misclassified point that an attack comes upon.

An attack here is one function, its declaration's implementation, which proposes a point for each image of a batch. The
verdict is taken in one place, below: every proposed point goes through the model once more. What the model still
classifies correctly is a failure and stays one: its distance is infinite, so that the share of images beyond any ε, a
median and a count of failures can be read from the column as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustrepro.attacks.active_set import Progress
from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.precision import PRECISIONS
from robustrepro.attacks.subject import Subject, require_finite, subject_of
from robustrepro.attacks.threat_models import UNIT_BOX, Box, OutsideThreatModelError, inside_box
from robustrepro.implementations import resolve
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import MinimalDistanceAttack


@dataclass(frozen=True, eq=False)
class Proposals:
    """What an attack proposes for a batch of N images.

    Attributes
    ----------
    points
        Shape (N, ...), inside the box; for an image that the attack gave up, any point that the model gets right.
    queries
        int64 on the CPU, shape (N,): the forward passes that each image took part in, with a gradient or without.
    """

    points: Tensor
    queries: Tensor


Search = Callable[[nn.Module, Tensor, Tensor, Box, MinimalDistanceAttack], Proposals]
"""From the model, correctly classified images (N, ...) and labels (N,) on its device, the box and the declaration."""


@dataclass(frozen=True, eq=False)
class MinimalDistanceOutcome:
    """How far each image is from the misclassified point that an attack reached: CPU tensors of length N.

    An image that the clean model misclassifies is adversarial itself: it succeeds at distance 0. For a failure,
    distances are infinite and the adversarial point is the image itself.

    Attributes
    ----------
    index, label
        The image's index in its data set, and its label.
    clean_prediction
        Prediction for the image.
    prediction
        Prediction for the adversarial point; for a failure, the label.
    linf, l2, l1
        Distances from the image to the adversarial point, in units of the pixel range (float64).
    queries
        Passes through the model that the image took part in, the clean one and the one of the verdict included.
    adversarial
        The adversarial points, in the attack's precision, if they were asked for.
    """

    index: Tensor
    label: Tensor
    clean_prediction: Tensor
    prediction: Tensor
    linf: Tensor
    l2: Tensor
    l1: Tensor
    queries: Tensor
    adversarial: Tensor | None

    @property
    def succeeded(self) -> Tensor:
        """Whether the model misclassifies the image or the point that the attack proposed; bool, shape (N,)."""
        return self.prediction != self.label


def measure_distances(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    spec: MinimalDistanceAttack,
    *,
    box: Box = UNIT_BOX,
    batch_size: int = 256,
    keep_adversarial: bool = False,
    progress: Progress | None = None,
) -> MinimalDistanceOutcome:
    """Attack the images of a test set that the model gets right, batch by batch.

    Parameters
    ----------
    model, inputs, labels, indices, box, batch_size, keep_adversarial, progress
        As for `robustrepro.attacks.measure.measure`.
    spec
        The attack.

    Raises
    ------
    ValueError, UserError
        As `robustrepro.attacks.measure.measure`.
    OutsideThreatModelError
        If a proposed point lies outside the box.
    """
    precision = PRECISIONS[spec.precision]
    subject = subject_of(model, inputs, labels, indices, precision=precision, box=box, batch_size=batch_size, seed=0)
    search: Search = resolve(spec.implementation)
    clean = subject.classify().argmax(1)
    correct = (clean == subject.labels).nonzero().flatten()
    distances = torch.zeros((3, len(clean)), dtype=torch.float64)
    distances[:, correct] = torch.inf
    outcome = MinimalDistanceOutcome(
        index=subject.indices,
        label=subject.labels,
        clean_prediction=clean,
        prediction=clean.clone(),
        linf=distances[0],
        l2=distances[1],
        l1=distances[2],
        queries=torch.ones_like(clean),
        adversarial=subject.inputs.to("cpu", copy=True) if keep_adversarial else None,
    )
    if progress is not None:
        progress(len(clean) - len(correct))
    with true_float32():
        for positions in torch.split(correct, subject.batch_size):
            if len(positions):
                _attack(subject, spec, search, positions, outcome)
            if progress is not None:
                progress(len(positions))
    return outcome


def _attack(
    subject: Subject,
    spec: MinimalDistanceAttack,
    search: Search,
    positions: Tensor,
    outcome: MinimalDistanceOutcome,
) -> None:
    """Attack one batch, have the model judge what was proposed, and write the successes down."""
    images, labels = subject.images(positions), subject.labels[positions].to(subject.device)
    proposals = search(subject.model, images, labels, subject.box, spec)
    name = type(spec).__name__
    if subject.box is not None and not inside_box(proposals.points, subject.box):
        low, high = subject.box
        raise OutsideThreatModelError(f"attack '{name}' returned a pixel outside the box [{low:g}, {high:g}]")
    with torch.no_grad():
        logits = subject.model(proposals.points)
    require_finite(logits, f"under attack '{name}'")
    outcome.queries[positions] += proposals.queries + 1
    prediction, difference = logits.argmax(1).cpu(), proposals.points.double() - images.double()
    broken = prediction != outcome.label[positions]
    hit = positions[broken]
    outcome.prediction[hit] = prediction[broken]
    for norm, column in ((NORMS["linf"], outcome.linf), (NORMS["l2"], outcome.l2), (NORMS["l1"], outcome.l1)):
        column[hit] = norm.length(difference).cpu()[broken]
    if outcome.adversarial is not None:
        outcome.adversarial[hit] = proposals.points.cpu()[broken]

"""RayS: the ℓ∞ attack that sees labels alone, and looks for the direction in which a decision boundary is nearest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustrepro.attacks.active_set import Progress
from robustrepro.attacks.norms import per_example
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.attacks.recorded import record, standing_images
from robustrepro.attacks.subject import Subject
from robustrepro.attacks.threat_models import ThreatModel
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import Rays

BISECTIONS = 10
"""Halvings of the radius along a direction that is better than the best so far."""


def rays(subject: Subject, spec: Rays, outcome: AttackOutcome, progress: Progress | None) -> None:
    """Attack the images that the model gets right, each with at most ``queries`` passes.

    A direction has +1 or −1 for each coordinate. From the image on, blocks of it are turned over, first all, then
    halves, quarters, and so on; a turn is kept where the boundary is nearer that way, which one query at the best
    radius so far tells. An image is done as soon as its radius is within ε. For one that none breaks the outcome stays
    that of the clean image.

    Parameters
    ----------
    subject
        The model and the test set.
    spec
        The attack.
    outcome
        The clean outcome, to be filled in.
    progress
        Called with how many more images have been decided.

    Raises
    ------
    UserError
        If logits are not finite.

    References
    ----------
    Chen & Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", 2020, Algorithms 1 and 3.
    """
    standing = standing_images(outcome, progress)
    if not len(standing):
        return
    threat = ThreatModel(spec.norm, spec.epsilon, subject.box)
    with true_float32(), torch.no_grad():
        for positions in torch.split(standing, subject.batch_size):
            search = _Search.of(subject, spec, positions)
            search.run()
            outcome.queries[positions] += search.queries.cpu()
            images = subject.images(positions).cpu()
            reached = search.radius.cpu() <= spec.epsilon
            points = search.points(search.radius, search.direction).cpu()
            found = (positions[reached], points[reached], images[reached])
            record(subject, outcome, *found, threat=threat, attack=spec.name)
            if progress is not None:
                progress(len(positions))


@dataclass
class _Search:
    """The search of one batch; tensors are on the model's device, with one row per image.

    Attributes
    ----------
    images, labels
        Shapes (N, ...) and (N,).
    direction
        The best direction so far, shape of the images.
    radius
        How far the boundary is along it, shape (N,); ∞ where no point along it is misclassified.
    queries
        How many passes each image has had, int64, shape (N,).
    reach
        Where a ray is taken to end: no pixel of the box is farther.
    """

    subject: Subject
    spec: Rays
    images: Tensor
    labels: Tensor
    direction: Tensor
    radius: Tensor
    queries: Tensor
    reach: float

    @classmethod
    def of(cls, subject: Subject, spec: Rays, positions: Tensor) -> _Search:
        images = subject.images(positions)
        labels = subject.labels[positions].to(images.device)
        low, high = subject.box or (float(end) for end in subject.inputs.aminmax())
        radius = torch.full((len(images),), torch.inf, dtype=images.dtype, device=images.device)
        return cls(
            subject, spec, images, labels, torch.ones_like(images), radius, torch.zeros_like(labels), float(high - low)
        )

    def run(self) -> None:
        """Turn blocks of the direction over until every image is broken or out of queries."""
        features = self.images[0].numel()
        everyone = torch.arange(len(self.images), device=self.images.device)
        self._try(everyone, self.direction)
        blocks = 1
        while True:
            size = -(-features // blocks)
            for begin in range(0, features, size):
                active = ((self.radius > self.spec.epsilon) & (self.queries < self.spec.queries)).nonzero().flatten()
                if not len(active):
                    return
                turned = self.direction[active].flatten(1)
                turned[:, begin : begin + size] *= -1
                self._try(active, turned.reshape(self.images[active].shape))
            if size == 1:  # every coordinate has been turned by itself: begin anew, from the best direction
                blocks = 1
            blocks *= 2

    def _try(self, rows: Tensor, direction: Tensor) -> None:
        """Take a direction for some images where the boundary is nearer along it."""
        best = self.radius[rows].clamp_max(self.reach)
        nearer = self._misclassified(rows, best, direction)
        rows, direction, high = rows[nearer], direction[nearer], best[nearer]
        low = torch.zeros_like(high)
        for _ in range(BISECTIONS if len(rows) else 0):
            middle = (low + high) / 2
            inside = self._misclassified(rows, middle, direction)
            low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
        self.direction[rows], self.radius[rows] = direction, high

    def _misclassified(self, rows: Tensor, radius: Tensor, direction: Tensor) -> Tensor:
        self.queries[rows] += 1
        points = self._at(self.images[rows], radius, direction)
        answers: Tensor = self.subject.model(points).argmax(1)
        return answers != self.labels[rows]

    def points(self, radius: Tensor, direction: Tensor) -> Tensor:
        """Return the points of all images at a radius."""
        return self._at(self.images, radius.clamp_max(self.reach), direction)

    def _at(self, images: Tensor, radius: Tensor, direction: Tensor) -> Tensor:
        points = images + per_example(radius, images) * direction
        return points if self.subject.box is None else points.clamp(*self.subject.box)

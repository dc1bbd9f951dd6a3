"""Verify images one after another, by the cheapest means that decide each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.threat_models import Box
from robustrepro.verification.bounds import Boxes, Ranges, bounds_of, least_margins, margin_rows
from robustrepro.verification.layers import Chain, chain_of
from robustrepro.verification.programs import TOLERANCE, Program
from robustrepro.verification.relaxation import Relaxation

BATCH_SIZE = 16
"""Images whose bounds are computed at once."""

BRANCHES = 1024
"""So many linear programs at most before an image goes to an integer program."""
PROGRAMS = ("linear program", "branch and bound", "integer program")
STAGES = ("clean", "attack", "bounds", *PROGRAMS, "time")
"""What decided an image: it is misclassified as it is; an attack; bounds; the linear relaxation of the network with
cuts, that split at single ReLUs, or the network itself as an integer program; nothing, in time."""


@dataclass(frozen=True)
class Decision:
    """What became of an image.

    Attributes
    ----------
    verdict
        ``verified``, ``falsified`` or ``unresolved``.
    stage
        One of :data:`STAGES`.
    margin
        Of the witness, for a falsified image (below 0, or a tie that goes to another class); the lower bound over the
        box that verified it; NaN where neither is known.
    witness
        A misclassified point of the box; None unless falsified.
    unstable
        How many ReLUs may be either active or inactive in the box, by layer; empty where bounds were not asked for.
    inactive
        How many are inactive in the whole box, by layer.
    seconds
        Wall-clock time of the bounds and programs.
    """

    verdict: str
    stage: str
    margin: float = float("nan")
    witness: Tensor | None = None
    unstable: tuple[int, ...] = ()
    inactive: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class _Bounded:
    """What bounds say of one image: of its layers, of its margins, and a decision where that suffices."""

    ranges: list[Ranges]
    least: Tensor
    decision: Decision | None


@dataclass
class Verifier:
    """A network, as the verifier works on it.

    Attributes
    ----------
    chain
        Its layers in float64: a witness counts where these misclassify it.
    epsilon
        ε of the ℓ∞ ball.
    valid
        The range of valid pixels, in which its points lie, too; None where there is none.
    seconds
        For all programs of one image.
    """

    chain: Chain
    epsilon: float
    valid: Box
    seconds: float

    @classmethod
    def of(cls, model: nn.Module, input_shape: tuple[int, ...], epsilon: float, valid: Box, seconds: float) -> Verifier:
        """Return the verifier of a network in evaluation mode.

        Raises
        ------
        UserError
            If the network has a layer that cannot be verified; the message names it.
        """
        return cls(chain_of(model, input_shape), epsilon, valid, seconds)

    def margins(self, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return Z_y − max Z_t and whether the prediction is y, of points of shape (N, *input_shape), in float64."""
        logits = self.chain.pre_activations(points)[-1]
        return classification_margin(logits, labels), logits.argmax(1) == labels

    def decide(self, images: Tensor, labels: Tensor, points: Tensor) -> Iterator[Decision]:
        """Decide each image.

        Parameters
        ----------
        images
            In [0, 1], shape (N, *input_shape), on the CPU.
        labels
            int64, shape (N,).
        points
            What an attack made of them, of the same shape. Float32 leaves an ε-ball by rounding: they are moved to the
            nearest point of their box in float64.

        Raises
        ------
        CrossingBoundsError
            If bounds cross: a fault of ours, from which no verdict may follow.
        UserError
            If HiGHS is not there, or fails.
        """
        boxes = Boxes.around(images, self.epsilon, self.valid)
        points = points.double().clamp(boxes.low, boxes.high)
        clean_margins, clean = self.margins(images, labels)
        margins, resists = self.margins(points, labels)
        left = (clean & resists).nonzero().flatten()
        bounded = self._by_bounds(boxes, labels, left)
        for number in range(len(labels)):
            if not clean[number]:
                yield Decision("falsified", "clean", float(clean_margins[number]), images[number].double())
            elif not resists[number]:
                yield Decision("falsified", "attack", float(margins[number]), points[number])
            else:
                yield next(bounded)

    def _by_bounds(self, boxes: Boxes, labels: Tensor, left: Tensor) -> Iterator[Decision]:
        """Decide those images that no attack broke.

        Bounds of the last layer of ReLUs alone decide most images; those of the layers before cost most.
        """
        for batch in torch.split(left, BATCH_SIZE):
            began = time.perf_counter()
            found = self._bounded(boxes.of(batch), labels[batch], len(self.chain.maps) - 2)
            undecided = torch.tensor([place for place, each in enumerate(found) if each.decision is None])
            if len(undecided) and len(self.chain.maps) > 3:
                again = self._bounded(boxes.of(batch[undecided]), labels[batch[undecided]], 1)
                for place, each in zip(undecided.tolist(), again, strict=True):
                    found[place] = each
            share = (time.perf_counter() - began) / len(batch)
            for image, each in zip(batch.tolist(), found, strict=True):
                began = time.perf_counter()
                decision = each.decision or self._by_programs(
                    boxes.of(image), each.ranges, int(labels[image]), each.least
                )
                yield replace(
                    decision,
                    unstable=tuple(int(layer.unstable.sum()) for layer in each.ranges),
                    inactive=tuple(int((layer.high <= 0).sum()) for layer in each.ranges),
                    seconds=share + time.perf_counter() - began,
                )

    def _bounded(self, boxes: Boxes, labels: Tensor, tightened_from: int) -> list[_Bounded]:
        """Return what bounds say of each image, with those of the layers from a number on tightened."""
        ranges = bounds_of(self.chain, boxes, tightened_from)
        least, corners = least_margins(self.chain, boxes, ranges, labels)
        margins, resists = self.margins(corners, labels)
        found = []
        for place in range(len(labels)):
            decision = None
            if least[place].min() > TOLERANCE:
                decision = Decision("verified", "bounds", float(least[place].min()))
            elif not resists[place]:
                decision = Decision("falsified", "bounds", float(margins[place]), corners[place])
            own = [layer.of(place) for layer in ranges]
            found.append(_Bounded(own, least[place], decision))
        return found

    def _by_programs(self, box: Boxes, ranges: list[Ranges], label: int, least: Tensor) -> Decision:
        """Decide one image whose margins have these lower bounds."""
        classes = [int(each) for each in least.argsort() if least[each] <= TOLERANCE]
        deadline = time.monotonic() + self.seconds
        rows = margin_rows(torch.tensor([label]), len(least))[0]
        program = Program(self.chain, box, ranges)

        def is_wrong(point: Tensor) -> bool:
            return self._witness(point, label) is not None

        relaxations = {other: Relaxation(program, rows[other], is_wrong) for other in classes}
        for stage in PROGRAMS:
            undecided, in_time = [], True
            for other in classes:
                left = max(deadline - time.monotonic(), 0.1)  # a tenth at least, in which HiGHS says that it had none
                if stage == "linear program":
                    answer = relaxations[other].least_margin(seconds=left)
                elif stage == "branch and bound":
                    answer = relaxations[other].branched(programs=BRANCHES, seconds=left / 2)
                else:
                    answer = program.least_margin(rows[other], seconds=left)
                # A corner of a relaxation is often misclassified by the network itself.
                if answer.point is not None and (witness := self._witness(answer.point, label)):
                    return Decision("falsified", stage, *witness)
                if answer.verdict != "positive":
                    undecided.append(other)
                    in_time = in_time and answer.verdict != "open"
            if not undecided:
                return Decision("verified", stage, TOLERANCE)
            classes = undecided
        return Decision("unresolved", stage if in_time else "time")

    def _witness(self, point: Tensor, label: int) -> tuple[float, Tensor] | None:
        """Return the margin and the point if the network itself misclassifies it; None otherwise."""
        margin, right = self.margins(point[None], torch.tensor([label]))
        return None if right.item() else (margin.item(), point)

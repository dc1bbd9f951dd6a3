"""Verify images one after another, by the cheapest means that decide each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from robustrepro.attacks.threat_models import Box
from robustrepro.verification.bounds import Boxes, Ranges, bounds_of, least_margins, margin_rows
from robustrepro.verification.layers import Chain, chain_of
from robustrepro.verification.programs import TOLERANCE, Program

BATCH_SIZE = 16
"""Images whose bounds are computed at once."""

STAGES = ("clean", "attack", "bounds", "linear program", "integer program", "time")
"""What decided an image: it is misclassified as it is; an attack; bounds; their linear relaxation; the network itself;
nothing, in time."""


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
    _matrices: list[tuple] = field(default_factory=list, repr=False)  # type: ignore[type-arg]

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
        right = logits.argmax(1) == labels
        own = logits.gather(1, labels[:, None]).squeeze(1)
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
        return own - others, right

    def is_inside(self, points: Tensor, images: Tensor) -> Tensor:
        """Return which points lie in their image's box, to the last bit of float64; shape (N,)."""
        boxes, points = Boxes.around(images, self.epsilon, self.valid), points.double()
        return ((points >= boxes.low) & (points <= boxes.high)).flatten(1).all(1)

    def decide(self, images: Tensor, labels: Tensor, points: Tensor) -> Iterator[Decision]:
        """Decide each image.

        Parameters
        ----------
        images
            In [0, 1], shape (N, *input_shape), on the CPU.
        labels
            int64, shape (N,).
        points
            What an attack made of them, of the same shape; those outside their box do not count.

        Raises
        ------
        CrossingBoundsError
            If bounds cross: a fault of ours, from which no verdict may follow.
        UserError
            If HiGHS is not there, or fails.
        """
        clean_margins, clean = self.margins(images, labels)
        margins, right = self.margins(points, labels)
        broken = ~right & self.is_inside(points, images)
        left = (clean & ~broken).nonzero().flatten()
        bounded = self._by_bounds(images, labels, left)
        for number in range(len(labels)):
            if not clean[number]:
                yield Decision("falsified", "clean", float(clean_margins[number]), images[number].double())
            elif broken[number]:
                yield Decision("falsified", "attack", float(margins[number]), points[number].double())
            else:
                yield next(bounded)

    def _by_bounds(self, images: Tensor, labels: Tensor, left: Tensor) -> Iterator[Decision]:
        """Decide those images that no attack broke."""
        for batch in torch.split(left, BATCH_SIZE):
            began = time.perf_counter()
            boxes = Boxes.around(images[batch], self.epsilon, self.valid)
            ranges = bounds_of(self.chain, boxes)
            least = least_margins(self.chain, boxes, ranges, labels[batch])
            share = (time.perf_counter() - began) / len(batch)
            for place in range(len(batch)):
                began = time.perf_counter()
                one = slice(place, place + 1)
                box = Boxes(boxes.low[one], boxes.high[one])
                own = [Ranges(each.low[one], each.high[one]) for each in ranges]
                verdict, stage, margin, witness = self._by_programs(box, own, int(labels[batch[place]]), least[place])
                yield Decision(
                    verdict,
                    stage,
                    margin,
                    witness,
                    tuple(int(each.unstable.sum()) for each in own),
                    tuple(int((each.high <= 0).sum()) for each in own),
                    share + time.perf_counter() - began,
                )

    def _by_programs(
        self, box: Boxes, ranges: list[Ranges], label: int, least: Tensor
    ) -> tuple[str, str, float, Tensor | None]:
        """Return verdict, stage, margin and witness of one image whose margins have these lower bounds."""
        classes = [int(each) for each in least.argsort() if least[each] <= TOLERANCE]
        if not classes:
            return "verified", "bounds", float(least.min()), None
        deadline = time.monotonic() + self.seconds
        rows = margin_rows(torch.tensor([label]), len(least))[0]
        program = Program(self.chain, self.matrices, box, ranges)
        open_classes = []
        for other in classes:
            relaxed = program.least_margin(rows[other], exact=False, seconds=_left(deadline))
            if relaxed.verdict == "positive":
                continue
            # A corner of the relaxation is often misclassified by the network itself.
            if relaxed.point is not None and (witness := self._witness(relaxed.point, label)):
                return "falsified", "linear program", *witness
            open_classes.append(other)
        if not open_classes:
            return "verified", "linear program", TOLERANCE, None
        for other in open_classes:
            exact = program.least_margin(rows[other], exact=True, seconds=_left(deadline))
            if exact.verdict == "positive":
                continue
            if exact.point is not None and (witness := self._witness(exact.point, label)):
                return "falsified", "integer program", *witness
            return "unresolved", "time" if exact.verdict == "open" else "integer program", float("nan"), None
        return "verified", "integer program", TOLERANCE, None

    def _witness(self, point: Tensor, label: int) -> tuple[float, Tensor] | None:
        """Return the margin and the point if the network itself misclassifies it; None otherwise."""
        margin, right = self.margins(point[None], torch.tensor([label]))
        return None if right.item() else (margin.item(), point)

    @property
    def matrices(self) -> list[tuple]:  # type: ignore[type-arg]
        """Each map as a sparse matrix and offsets, made when a program first asks for them."""
        if not self._matrices:
            self._matrices = [self.chain.matrix(number) for number in range(len(self.chain.maps))]
        return self._matrices


def _left(deadline: float) -> float:
    """Return the seconds until a deadline, and a tenth at least, in which HiGHS says that it had none."""
    return max(deadline - time.monotonic(), 0.1)

"""Bounds of a network's pre-activations and margins over a box of inputs: interval arithmetic, and CROWN behind it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from robustrepro.attacks.threat_models import Box
from robustrepro.verification.layers import ROWS, Chain

CROSSING = 1e-7
"""By how much a lower bound may lie above an upper one, relative to their size: rounding, and no more."""


class CrossingBoundsError(RuntimeError):
    """A lower bound lies above an upper one: a fault of the verifier, from which no verdict may follow."""


@dataclass(frozen=True)
class Boxes:
    """The inputs that an adversary may choose from, one box per image.

    Attributes
    ----------
    low, high
        Float64, shape (N, *input_shape).
    """

    low: Tensor
    high: Tensor

    @classmethod
    def around(cls, images: Tensor, epsilon: float, valid: Box) -> Boxes:
        """Return the ε-cubes around images, cut off at the ends of the range of valid pixels, if there is one."""
        images = images.double()
        low, high = valid if valid is not None else (-torch.inf, torch.inf)
        return cls((images - epsilon).clamp(min=low), (images + epsilon).clamp(max=high))

    @property
    def centre(self) -> Tensor:
        """Return the middle of each box."""
        return (self.low + self.high) / 2

    @property
    def radius(self) -> Tensor:
        """Return half the width of each box, pixel by pixel."""
        return (self.high - self.low) / 2

    def least(self, rows: Tensor, owner: Tensor) -> Tensor:
        """Return the least value of linear functions of the inputs, shape (R,).

        Parameters
        ----------
        rows
            Their coefficients, shape (R, *input_shape).
        owner
            Over which box each is taken, int64, shape (R,).
        """
        at_centre = (rows * self.centre[owner]).flatten(1).sum(1)
        return at_centre - (rows.abs() * self.radius[owner]).flatten(1).sum(1)

    def corners(self, rows: Tensor) -> Tensor:
        """Return where one linear function for each box is least, shape (N, *input_shape)."""
        return torch.where(rows > 0, self.low, self.high)

    def of(self, images: Tensor) -> Boxes:
        """Return the boxes of some images, by their places."""
        return Boxes(self.low[images], self.high[images])


@dataclass(frozen=True)
class Ranges:
    """Between what bounds the pre-activations of one layer lie over each box; shape (N, *layer)."""

    low: Tensor
    high: Tensor

    @property
    def unstable(self) -> Tensor:
        """Return where a ReLU may be either active or inactive."""
        return (self.low < 0) & (self.high > 0)

    def of(self, images: Tensor) -> Ranges:
        """Return the ranges of some images, by their places."""
        return Ranges(self.low[images], self.high[images])


def bounds_of(chain: Chain, boxes: Boxes, tightened_from: int = 1) -> list[Ranges]:
    """Return bounds of the pre-activations in front of each ReLU, layer by layer.

    Those of the first layer, number 0, are exact. Further on interval arithmetic comes first, and from layer
    ``tightened_from`` on CROWN for the units that are unstable by it.

    Raises
    ------
    CrossingBoundsError
        If bounds cross.

    References
    ----------
    Zhang et al., "Efficient Neural Network Robustness Certification with General Activation Functions", 2018.
    """
    ranges: list[Ranges] = []
    low, high = boxes.low, boxes.high
    for number, of_map in enumerate(chain.maps[:-1]):
        centre, radius = (low + high) / 2, (high - low) / 2
        for layer in of_map:
            centre, radius = layer.apply(centre), layer.spread(radius)
        found = Ranges(centre - radius, centre + radius)
        if number >= max(tightened_from, 1):
            found = _tightened(chain, boxes, ranges, number, found)
        _require_order(found, number)
        ranges.append(found)
        low, high = found.low.clamp(min=0), found.high.clamp(min=0)
    return ranges


def least_margins(chain: Chain, boxes: Boxes, ranges: list[Ranges], labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return lower bounds of the margins Z_y − Z_t over each box, and where the network may well be wrong.

    Parameters
    ----------
    chain, boxes, ranges
        The network, the boxes, and :func:`bounds_of` them.
    labels
        int64, shape (N,).

    Returns
    -------
    The bounds, shape (N, classes), +inf for t = y; and for each box the corner at which the linear function below the
    margin of the lowest bound is least, shape (N, *input_shape): a misclassified point, where that function is close.
    """
    (classes,) = chain.shapes[-1]
    count = len(labels)
    differences = margin_rows(labels, classes).view(-1, classes)
    owner = torch.arange(count).repeat_interleave(classes)
    rows, offsets = _below(chain, ranges, len(chain.maps) - 1, differences, owner)
    margins = (offsets + boxes.least(rows, owner)).view(count, classes)
    each = torch.arange(count)
    margins[each, labels] = torch.inf
    of_lowest = rows.view(count, classes, *rows.shape[1:])[each, margins.argmin(1)]
    return margins, boxes.corners(of_lowest)


def margin_rows(labels: Tensor, classes: int) -> Tensor:
    """Return the coefficients of Z_y − Z_t for each label y and class t, float64, shape (N, classes, classes)."""
    ones = torch.eye(classes, dtype=torch.float64)
    return ones[labels][:, None, :] - ones


def _tightened(chain: Chain, boxes: Boxes, ranges: list[Ranges], number: int, found: Ranges) -> Ranges:
    """Return the ranges of a layer with CROWN's bounds for the units that are unstable so far."""
    places = found.unstable.flatten(1).nonzero()
    low, high = found.low.flatten(1).clone(), found.high.flatten(1).clone()
    shape = found.low.shape[1:]
    for some in torch.split(places, ROWS):
        owner, unit = some.unbind(1)
        rows = torch.zeros(len(some), low.shape[1], dtype=torch.float64)
        rows[torch.arange(len(some)), unit] = 1
        rows = rows.view(-1, *shape)
        low[owner, unit] = torch.maximum(low[owner, unit], _least(chain, boxes, ranges, number, rows, owner))
        high[owner, unit] = torch.minimum(high[owner, unit], -_least(chain, boxes, ranges, number, -rows, owner))
    return Ranges(low.view(found.low.shape), high.view(found.high.shape))


def _least(chain: Chain, boxes: Boxes, ranges: list[Ranges], number: int, rows: Tensor, owner: Tensor) -> Tensor:
    """Return lower bounds of linear functions of what a map makes, shape (R,)."""
    below, offsets = _below(chain, ranges, number, rows, owner)
    return offsets + boxes.least(below, owner)


def _below(chain: Chain, ranges: list[Ranges], number: int, rows: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """Return linear functions of the inputs below those of what a map makes: rows (R, *input_shape), and offsets.

    On the way back each ReLU is replaced by a line below it where the coefficient is positive (the identity or 0,
    whichever leaves out less) and by the chord above it where it is negative.
    """
    rows, least = chain.back(number, rows)
    for layer in reversed(range(number)):
        low, high = ranges[layer].low[owner], ranges[layer].high[owner]
        active, unstable = low >= 0, (low < 0) & (high > 0)
        chord = torch.where(unstable, high / (high - low).clamp(min=1e-300), active.double())
        below = torch.where(unstable, (high > -low).double(), active.double())
        falls = rows < 0
        least = least - (rows * chord * low).mul_(falls & unstable).flatten(1).sum(1)
        rows, offset = chain.back(layer, rows * torch.where(falls, chord, below))
        least = least + offset
    return rows, least


def _require_order(found: Ranges, number: int) -> None:
    slack = CROSSING * (1 + torch.maximum(found.low.abs(), found.high.abs()))
    crossed = int((found.low > found.high + slack).sum())
    if crossed:
        raise CrossingBoundsError(
            f"the bounds of {crossed} unit(s) in layer {number} cross; nothing can be verified by them"
        )

"""Bounds of a network's pre-activations and margins over a box of inputs: interval arithmetic, and CROWN behind it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from robustrepro.attacks.threat_models import Box
from robustrepro.verification.layers import Chain

CROSSING = 1e-7
"""By how much a lower bound may lie above an upper one, relative to their size: rounding, and no more."""

TOGETHER = 128
"""So many linear functions go back through the network at once: what a processor keeps at hand."""


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

    def least(self, rows: Tensor) -> Tensor:
        """Return the least values over the only box of linear functions of the inputs, shape (R,).

        Parameters
        ----------
        rows
            Their coefficients, shape (R, *input_shape).
        """
        flat = rows.flatten(1)
        return flat @ self.centre.flatten() - flat.abs() @ self.radius.flatten()

    def corners(self, rows: Tensor) -> Tensor:
        """Return where one linear function for each box is least, shape (N, *input_shape)."""
        return torch.where(rows > 0, self.low, self.high)

    def of(self, images: Tensor | int) -> Boxes:
        """Return the boxes of some images, or of one, by their places."""
        places = torch.as_tensor(images).view(-1)
        return Boxes(self.low[places], self.high[places])


@dataclass(frozen=True)
class Ranges:
    """Between what bounds the pre-activations of one layer lie over each box; shape (N, *layer)."""

    low: Tensor
    high: Tensor

    @property
    def unstable(self) -> Tensor:
        """Return where a ReLU may be either active or inactive."""
        return (self.low < 0) & (self.high > 0)

    def of(self, image: int) -> Ranges:
        """Return the ranges of one image, by its place."""
        return Ranges(self.low[image : image + 1], self.high[image : image + 1])


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
    margins, of_lowest = [], []
    for image, (label, rows) in enumerate(zip(labels, margin_rows(labels, classes), strict=True)):
        box, own = boxes.of(image), [layer.of(image) for layer in ranges]
        below, offsets = _below(chain, own, len(chain.maps) - 1, rows)
        least = offsets + box.least(below)
        least[label] = torch.inf
        margins.append(least)
        of_lowest.append(below[least.argmin()])
    return torch.stack(margins), boxes.corners(torch.stack(of_lowest))


def margin_rows(labels: Tensor, classes: int) -> Tensor:
    """Return the coefficients of Z_y − Z_t for each label y and class t, float64, shape (N, classes, classes)."""
    ones = torch.eye(classes, dtype=torch.float64)
    return ones[labels][:, None, :] - ones


def _tightened(chain: Chain, boxes: Boxes, ranges: list[Ranges], number: int, found: Ranges) -> Ranges:
    """Return the ranges of a layer with CROWN's bounds for the units that are unstable so far.

    Upper bounds come first: a unit that turns out to be inactive needs no better lower one.
    """
    low, high = found.low.flatten(1).clone(), found.high.flatten(1).clone()
    shape, units = found.low.shape[1:], low.shape[1]
    for image, unstable in enumerate(found.unstable.flatten(1)):
        box, own = boxes.of(image), [layer.of(image) for layer in ranges]
        for some in torch.split(unstable.nonzero().flatten(), TOGETHER):
            rows = functional.one_hot(some, units).double().view(-1, *shape)
            high[image, some] = torch.minimum(high[image, some], -_least(chain, box, own, number, -rows))
            alive = high[image, some] > 0
            some, rows = some[alive], rows[alive]
            low[image, some] = torch.maximum(low[image, some], _least(chain, box, own, number, rows))
    return Ranges(low.view(found.low.shape), high.view(found.high.shape))


def _least(chain: Chain, box: Boxes, ranges: list[Ranges], number: int, rows: Tensor) -> Tensor:
    """Return lower bounds over one box of linear functions of what a map makes, shape (R,)."""
    below, offsets = _below(chain, ranges, number, rows)
    return offsets + box.least(below)


def _below(chain: Chain, ranges: list[Ranges], number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return linear functions of the inputs below those of what a map makes: rows (R, *input_shape), and offsets.

    On the way back each ReLU is replaced by a line below it where the coefficient is positive (the identity or 0,
    whichever leaves out less) and by the chord above it where it is negative. The ranges are those over one box.
    """
    rows, least = chain.back(number, rows)
    for layer in reversed(range(number)):
        low, high = ranges[layer].low, ranges[layer].high
        active, unstable = low >= 0, ranges[layer].unstable
        chord = torch.where(unstable, high / (high - low).clamp(min=1e-300), active.double())
        below = torch.where(unstable, (high > -low).double(), active.double())
        falling = rows.clamp(max=0)
        least = least - falling.flatten(1) @ (chord * low).mul_(unstable).flatten()
        rows, offset = chain.back(layer, rows.sub_(falling).mul_(below).add_(falling.mul_(chord)))
        least = least + offset
    return rows, least


def _require_order(found: Ranges, number: int) -> None:
    slack = CROSSING * (1 + torch.maximum(found.low.abs(), found.high.abs()))
    crossed = int((found.low > found.high + slack).sum())
    if crossed:
        raise CrossingBoundsError(
            f"the bounds of {crossed} unit(s) in layer {number} cross; nothing can be verified by them"
        )

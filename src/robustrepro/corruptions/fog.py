"""Fog: a cloud of random thickness is added, and the whole darkened to the image's own brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated


class Fog(NamedTuple):
    """The thickness of the fog in units of the pixel range, and how much smoother it is per level of detail."""

    thickness: float
    decay: float


FOGS: Published[Fog] = {
    224: (Fog(1.5, 2), Fog(2, 2), Fog(2.5, 1.7), Fog(2.5, 1.5), Fog(3, 1.4)),
    64: (Fog(0.4, 3), Fog(0.7, 3), Fog(1, 2.5), Fog(1.5, 2), Fog(2, 1.75)),
    32: (Fog(0.2, 3), Fog(0.5, 3), Fog(0.75, 2.5), Fog(1, 2), Fog(1.5, 1.75)),
}


def fog(images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int) -> NDArray[np.uint8]:
    """Lay fog over every image; shapes as in `Corruption`."""
    parameters = chosen(FOGS, images, severity)
    side = map_side(images.shape[-1])

    def corrupt(image: NDArray[np.uint8], stream: np.random.Generator) -> NDArray[np.uint8]:
        return lay_fog(image, cloud(stream.uniform(-1, 1, side * side - 1), parameters.decay), parameters.thickness)

    return corrupted(images, streams, corrupt)


def map_side(side: int) -> int:
    """Return the side of the cloud that images of a side are covered with: the next power of two, 256 for 224."""
    return 1 << (side - 1).bit_length()


def lay_fog(image: NDArray[np.uint8], cloud: NDArray[np.float64], thickness: float) -> NDArray[np.uint8]:
    """Add the top left of a cloud to an image (3, H, H), and scale so that its largest value could still be reached."""
    side = image.shape[-1]
    values = image / 255
    largest = values.max()
    values += thickness * cloud[:side, :side]
    values *= largest
    values /= largest + thickness
    return truncated(values)


def cloud(numbers: NDArray[np.float64], decay: float) -> NDArray[np.float64]:
    """Return a plasma fractal in [0, 1], by the diamond-square algorithm on a map that is periodic on both sides.

    From level to level the grid is twice as fine. New points are the mean of their four neighbours plus a random
    number. That was meant to shrink by ``decay`` per level, but its amplitude is the square of what shrinks.

    Parameters
    ----------
    numbers
        side² - 1 random numbers in [-1, 1), side a power of two. Per level first those of the centres of squares, then
        those of the points above them, then of the points left of them.
    decay
        Factor between the square roots of the amplitudes of two levels.

    Returns
    -------
    Shape (side, side); the smallest value of the whole map is 0, the largest 1.
    """
    heights, amplitude = np.zeros((1, 1)), 1.0
    while heights.size <= len(numbers):
        count = len(heights)
        start = heights.size - 1
        random = amplitude * numbers[start : start + 3 * heights.size].reshape(3, count, count)
        amplitude /= decay**2
        finer = np.empty((2 * count, 2 * count))
        finer[::2, ::2] = heights
        pairs = heights + np.roll(heights, -1, axis=0)
        centres = (pairs + np.roll(pairs, -1, axis=1)) / 4 + random[0]
        finer[1::2, 1::2] = centres
        above = centres + np.roll(centres, 1, axis=0) + heights + np.roll(heights, -1, axis=1)
        finer[::2, 1::2] = above / 4 + random[1]
        left = centres + np.roll(centres, 1, axis=1) + heights + np.roll(heights, -1, axis=0)
        finer[1::2, ::2] = left / 4 + random[2]
        heights = finer
    heights -= heights.min()
    heights /= heights.max()
    return heights

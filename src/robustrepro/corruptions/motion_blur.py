"""Blur of a moving camera: an average along a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustrepro.corruptions.batches import Published, chosen, corrupted


class Motion(NamedTuple):
    """Half the length of the line and the standard deviation of the weights along it, in pixels."""

    radius: int
    sigma: float


MOTIONS: Published[Motion] = {
    224: (Motion(10, 3), Motion(15, 5), Motion(15, 8), Motion(15, 12), Motion(20, 15)),
    64: (Motion(10, 1), Motion(10, 1.5), Motion(10, 2), Motion(10, 2.5), Motion(12, 3)),
    32: (Motion(6, 1), Motion(6, 1.5), Motion(6, 2), Motion(8, 2), Motion(9, 2.5)),
}

LARGEST_ANGLE = 45.0
"""In degrees to either side of the horizontal."""


def motion_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Blur along a line at a random angle; shapes as in `Corruption`.

    The line starts at the pixel and goes one way only, so that the content moves as well as blurs.
    """
    motion = chosen(MOTIONS, images, severity)
    return corrupted(
        images,
        streams,
        lambda image, stream: blur_along(image, stream.uniform(-LARGEST_ANGLE, LARGEST_ANGLE), motion),
    )


def blur_along(image: NDArray[np.uint8], angle: float, motion: Motion) -> NDArray[np.uint8]:
    """Average every pixel with those on a line that starts there, as ImageMagick 6 does.

    The weights are one half of a Gaussian. The line's points are pixels, its offsets are rounded (halves down), and
    beyond the border the nearest pixel counts. ImageMagick computes in 16 bits: a value is rounded there, and then
    truncated to 8 bits.

    Parameters
    ----------
    image
        Shape (C, H, W).
    angle
        Direction of the line in degrees, from the right towards the bottom.
    motion
        The line's length and weights.
    """
    steps, reach = np.arange(2 * motion.radius + 1), 2 * motion.radius
    weights = np.exp(-(steps**2) / (2 * motion.sigma**2))
    weights /= weights.sum()
    radians = np.deg2rad(angle)
    below, right = (np.ceil(steps * slope - 0.5).astype(int) for slope in (np.sin(radians), np.cos(radians)))
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge").astype(np.float64)
    height, width = image.shape[1:]
    total, term = np.zeros(image.shape), np.empty(image.shape)
    for weight, row, column in zip(weights, reach + below, reach + right, strict=True):
        np.multiply(padded[:, row : row + height, column : column + width], weight, out=term)
        total += term
    return (np.floor(257 * total + 0.5) // 257).astype(np.uint8)

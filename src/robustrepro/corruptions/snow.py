"""Snow: the image is whitened, and flakes fall over it in two directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated
from robustrepro.corruptions.motion_blur import Motion, blur_along
from robustrepro.corruptions.zoom_blur import enlargement


class Snowfall(NamedTuple):
    """How much snow falls, how large its flakes are, and how white the image becomes.

    Attributes
    ----------
    mean, deviation
        Of the normal distribution that the layer of flakes is drawn from, in units of the pixel range.
    enlargement
        Of the layer, so that flakes span several pixels.
    threshold
        Values of the enlarged layer below it are no flakes.
    fall
        The motion blur of the layer.
    image_weight
        The share of the image itself; the rest is a whitened copy.
    """

    mean: float
    deviation: float
    enlargement: float
    threshold: float
    fall: Motion
    image_weight: float


SNOWFALLS: Published[Snowfall] = {
    224: (
        Snowfall(0.1, 0.3, 3, 0.5, Motion(10, 4), 0.8),
        Snowfall(0.2, 0.3, 2, 0.5, Motion(12, 4), 0.7),
        Snowfall(0.55, 0.3, 4, 0.9, Motion(12, 8), 0.7),
        Snowfall(0.55, 0.3, 4.5, 0.85, Motion(12, 8), 0.65),
        Snowfall(0.55, 0.3, 2.5, 0.85, Motion(12, 12), 0.55),
    ),
    64: (
        Snowfall(0.1, 0.2, 1, 0.6, Motion(8, 3), 0.8),
        Snowfall(0.1, 0.2, 1, 0.5, Motion(10, 4), 0.8),
        Snowfall(0.15, 0.3, 1.75, 0.55, Motion(10, 4), 0.7),
        Snowfall(0.25, 0.3, 2.25, 0.6, Motion(12, 6), 0.65),
        Snowfall(0.3, 0.3, 1.25, 0.65, Motion(14, 12), 0.6),
    ),
    32: (
        Snowfall(0.1, 0.2, 1, 0.6, Motion(8, 3), 0.95),
        Snowfall(0.1, 0.2, 1, 0.5, Motion(10, 4), 0.9),
        Snowfall(0.15, 0.3, 1.75, 0.55, Motion(10, 4), 0.9),
        Snowfall(0.25, 0.3, 2.25, 0.6, Motion(12, 6), 0.85),
        Snowfall(0.3, 0.3, 1.25, 0.65, Motion(14, 12), 0.8),
    ),
}

ANGLES = (-135.0, -45.0)
"""Between which the snow falls, in degrees from the right towards the bottom."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey value."""


def snow(images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int) -> NDArray[np.uint8]:
    """Let snow fall on every image; shapes as in `Corruption`."""
    snowfall, side = chosen(SNOWFALLS, images, severity), images.shape[-1]

    def corrupt(image: NDArray[np.uint8], stream: np.random.Generator) -> NDArray[np.uint8]:
        layer = stream.normal(snowfall.mean, snowfall.deviation, (side, side))
        return let_snow(image, layer, stream.uniform(*ANGLES), snowfall)

    return corrupted(images, streams, corrupt)


def let_snow(
    image: NDArray[np.uint8], layer: NDArray[np.float64], angle: float, snowfall: Snowfall
) -> NDArray[np.uint8]:
    """Let snow fall on an image (3, H, H), with a drawn layer (H, H) of flakes and the angle of its fall in degrees.

    The layer is truncated to 8 bits before and after its blur, and added twice, the second time turned by 180 degrees.
    """
    flakes = falling_flakes(layer, angle, snowfall) / 255
    values = (image / 255).astype(np.float32)
    grey = np.tensordot(LUMA, values, axes=1)
    whitened = np.maximum(values, grey * np.float32(1.5) + np.float32(0.5))
    whitened *= np.float32(1 - snowfall.image_weight)
    values *= np.float32(snowfall.image_weight)
    values += whitened
    whole: NDArray[np.float64] = values + flakes + flakes[::-1, ::-1]
    return truncated(whole)


def falling_flakes(layer: NDArray[np.float64], angle: float, snowfall: Snowfall) -> NDArray[np.uint8]:
    """Return the flakes of a drawn layer (H, H), enlarged, thresholded and blurred along their fall."""
    matrix = enlargement(len(layer), snowfall.enlargement)
    enlarged: NDArray[np.float64] = (matrix @ (matrix @ layer).T).T
    enlarged[enlarged < snowfall.threshold] = 0
    fallen: NDArray[np.uint8] = blur_along(truncated(enlarged)[None], angle, snowfall.fall)[0]
    return fallen

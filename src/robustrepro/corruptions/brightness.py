"""Brightness: the value of the HSV colour space is raised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated

ADDED_VALUES: Published[float] = {
    224: (0.1, 0.2, 0.3, 0.4, 0.5),
    64: (0.1, 0.2, 0.3, 0.4, 0.5),
    32: (0.05, 0.1, 0.15, 0.2, 0.3),
}
"""In units of the pixel range."""


def brightness(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Raise the value of every pixel and keep its hue and saturation; shapes as in `Corruption`. Nothing is random."""
    added = chosen(ADDED_VALUES, images, severity)
    return corrupted(images, streams, lambda image, _stream: brighten(image, added))


def brighten(image: NDArray[np.uint8], added: float) -> NDArray[np.uint8]:
    """Raise the value of every pixel of an image (3, H, H), clip, and truncate.

    The colours go to HSV and back in full, although a pixel need only be scaled: some raised values (0.2 and 0.4 are 51
    and 102 levels) are whole levels, which the rounding errors of this way decide to truncate or not.
    """
    red, green, blue = values = image / 255
    value, smallest = values.max(0), values.min(0)
    chroma = value - smallest
    with np.errstate(divide="ignore", invalid="ignore"):
        saturation = np.where(chroma == 0, 0, chroma / value)
        hue = np.where(red == value, (green - blue) / chroma, 0)
        hue = np.where(green == value, 2 + (blue - red) / chroma, hue)
        hue = np.where(blue == value, 4 + (red - green) / chroma, hue)
    hue = np.where(chroma == 0, 0, (hue / 6) % 1) * 6
    value = np.clip(value + added, 0, 1)
    sextant = np.floor(hue)
    fraction = hue - sextant
    low = value * (1 - saturation)
    falling = value * (1 - fraction * saturation)
    rising = value * (1 - (1 - fraction) * saturation)
    which = sextant.astype(np.int64) % 6
    return truncated(
        np.stack(
            [
                np.choose(which, [value, falling, low, low, rising, value]),
                np.choose(which, [rising, value, value, falling, low, low]),
                np.choose(which, [low, low, rising, value, value, falling]),
            ]
        )
    )

"""Blur of frosted glass: pixels are overwritten by near neighbours, between two Gaussian blurs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated


class Glass(NamedTuple):
    """The standard deviation of both Gaussian blurs in pixels, how far a pixel is taken from, and how many passes."""

    sigma: float
    reach: int
    passes: int


GLASSES: Published[Glass] = {
    224: (Glass(0.7, 1, 2), Glass(0.9, 2, 1), Glass(1, 2, 3), Glass(1.1, 3, 2), Glass(1.5, 4, 2)),
    64: (Glass(0.1, 1, 1), Glass(0.5, 1, 1), Glass(0.6, 1, 2), Glass(0.7, 2, 1), Glass(0.9, 2, 2)),
    32: (Glass(0.05, 1, 1), Glass(0.25, 1, 1), Glass(0.4, 1, 1), Glass(0.25, 1, 2), Glass(0.4, 1, 2)),
}

Offsets = NDArray[np.int64]
"""By how much each pixel's source lies right of it and below it, shape (passes, pixels, 2); the last pixel first."""


def glass_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Blur, move pixels about, and blur again; shapes as in `Corruption`.

    The paper swaps pixels. The published code meant to, but its swap of two views copies: a pixel becomes a neighbour,
    and the neighbour stays. Copies are made in sequence from the bottom right to the top left, so that a pixel may be
    taken from one that was overwritten before. Offsets lie in [-reach, reach - 1], and the content drifts to the bottom
    right by half a pixel a pass. Between the blurs pixels are truncated to 8 bits.
    """
    glass, side = chosen(GLASSES, images, severity), images.shape[-1]
    return corrupted(
        images, streams, lambda image, stream: look_through(image, draw_offsets(stream, glass, side), glass)
    )


def draw_offsets(stream: np.random.Generator, glass: Glass, side: int) -> Offsets:
    """Draw where every moved pixel of an image of a side comes from."""
    moved = (side - 2 * glass.reach) ** 2
    return stream.integers(-glass.reach, glass.reach, (glass.passes, moved, 2))


def look_through(image: NDArray[np.uint8], offsets: Offsets, glass: Glass) -> NDArray[np.uint8]:
    """Look at an image (3, H, H) through glass that moves its pixels by given offsets."""
    moved = moved_pixels(truncated(_blurred(image, glass.sigma)), offsets, glass.reach)
    return truncated(_blurred(moved, glass.sigma))


def moved_pixels(image: NDArray[np.uint8], offsets: Offsets, reach: int) -> NDArray[np.uint8]:
    """Overwrite pixels by their neighbours in the published order, all passes; image (3, H, H)."""
    side = image.shape[-1]
    sources = np.arange(side * side)
    for offsets_of_pass in offsets:
        sources = sources[_sources(offsets_of_pass, reach, side)]
    return image.reshape(len(image), -1).take(sources, axis=1).reshape(image.shape)


def _sources(offsets: NDArray[np.int64], reach: int, side: int) -> NDArray[np.int64]:
    """Return which pixel every pixel shows after one pass, as flat indices, shape (side * side,).

    A pixel whose neighbour was overwritten before it shows what that neighbour shows. These chains are shortened to
    their ends, by half per round, rather than followed in sequence.
    """
    rows = slice(reach + 1, side - reach + 1)
    everywhere = np.arange(side * side)
    inside = np.zeros((side, side), dtype=bool)
    inside[rows, rows] = True
    neighbours = everywhere.reshape(side, side).copy()
    right, below = np.flip(offsets.T.reshape(2, side - 2 * reach, side - 2 * reach), axis=(1, 2))
    neighbours[rows, rows] += right + below * side
    sources = neighbours.ravel()
    overwritten_before = (sources > everywhere) & inside.ravel().take(sources)
    following = np.where(overwritten_before, sources, everywhere)
    while True:
        further = following.take(following)
        if np.array_equal(further, following):
            return sources.take(following)
        following = further


def _blurred(image: NDArray[np.uint8], sigma: float) -> NDArray[np.float64]:
    """Return the image in [0, 1] after a Gaussian blur, cut off at four standard deviations."""
    blurred: NDArray[np.float64] = ndimage.gaussian_filter(image / 255, (0, sigma, sigma), mode="nearest", truncate=4)
    return blurred

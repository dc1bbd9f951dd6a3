"""Blur of a lens that zooms in during exposure: the average of enlarged images."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated

RANGES: Published[tuple[float, float]] = {
    224: ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    64: ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    32: ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
}
"""End and step of the factors, which start at 1."""


def zoom_factors(end: float, step: float) -> NDArray[np.float64]:
    """Return the factors of enlargement.

    The end is meant to be excluded, but rounding error includes it where end and step are 1.11 and 0.01, or 1.06 and
    0.01: those are 12 factors and 7.
    """
    return np.arange(1, end, step)


def zoom_blur(images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int) -> NDArray[np.uint8]:
    """Average an image with its enlargements; shapes as in `Corruption`. Nothing is random.

    The image itself counts twice: once beside the factors, and once as the first of them.
    """
    factors = zoom_factors(*chosen(RANGES, images, severity))
    return corrupted(images, streams, lambda image, _stream: average_of_zooms(image, factors))


def average_of_zooms(image: NDArray[np.uint8], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Average an image (3, H, H) with its enlargements by some factors, and truncate the result."""
    channels, side = len(image), image.shape[-1]
    values = (image / 255).astype(np.float32)
    by_column = np.ascontiguousarray(values.transpose(2, 0, 1)).reshape(side, -1)
    total = np.zeros((side, channels, side), dtype=np.float32)
    for factor in factors:
        matrix = enlargement(side, factor)
        columns_done = (matrix @ by_column).reshape(side, channels, side)
        by_row = np.ascontiguousarray(columns_done.transpose(2, 1, 0)).reshape(side, -1)
        total += (matrix @ by_row).reshape(side, channels, side)
    return truncated((values + total.transpose(1, 0, 2)) / np.float32(len(factors) + 1))


@functools.lru_cache(maxsize=256)
def enlargement(side: int, factor: float) -> sparse.csr_array:
    """Return the matrix that enlarges one axis of an image about its centre, by linear interpolation.

    The middle of the axis, ``ceil(side / factor)`` pixels, becomes ``round(factor)`` times as many, first on first and
    last on last; of those the middle ``side`` are kept. Where that leaves an odd pixel, it is taken from the end.

    Returns
    -------
    Shape (side, side), two entries per row.
    """
    kept = math.ceil(side / factor)
    start = (side - kept) // 2
    enlarged = round(kept * factor)
    positions = np.arange(enlarged) * ((kept - 1) / (enlarged - 1))
    positions = positions[(enlarged - side) // 2 :][:side]
    before = np.minimum(positions.astype(int), kept - 1)
    after, share = np.minimum(before + 1, kept - 1), positions - before
    rows = np.arange(side)
    entries = (np.concatenate([1 - share, share]), (np.tile(rows, 2), start + np.concatenate([before, after])))
    return sparse.coo_array(entries, shape=(side, side)).tocsr()

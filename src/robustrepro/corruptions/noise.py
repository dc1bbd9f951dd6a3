"""The noises of the benchmark: Gaussian, shot and impulse noise, independent in every pixel and channel."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated

STANDARD_DEVIATIONS: Published[float] = {
    224: (0.08, 0.12, 0.18, 0.26, 0.38),
    64: (0.04, 0.08, 0.12, 0.15, 0.18),
    32: (0.04, 0.06, 0.08, 0.09, 0.10),
}
"""Of Gaussian noise, in units of the pixel range."""

PHOTONS: Published[int] = {
    224: (60, 25, 12, 5, 3),
    64: (250, 100, 50, 30, 15),
    32: (500, 250, 100, 75, 50),
}
"""Of shot noise: the expected count of the brightest pixel value."""

AMOUNTS: Published[float] = {
    224: (0.03, 0.06, 0.09, 0.17, 0.27),
    64: (0.01, 0.02, 0.05, 0.08, 0.14),
    32: (0.01, 0.02, 0.03, 0.05, 0.07),
}
"""Of impulse noise: the share of values that are replaced."""

NEGLIGIBLE = 2.0**-40
"""Counts that together are rarer than this are left out of the tables of Poisson distributions."""


def gaussian_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Add Gaussian noise to every value; shapes as in `Corruption`."""
    deviation = chosen(STANDARD_DEVIATIONS, images, severity)

    def corrupt(image: NDArray[np.uint8], stream: np.random.Generator) -> NDArray[np.uint8]:
        noise = stream.standard_normal(image.shape, dtype=np.float32)
        noise *= np.float32(deviation)
        return add_noise(image, noise)

    return corrupted(images, streams, corrupt)


def add_noise(image: NDArray[np.uint8], noise: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Add noise, in units of the pixel range and of the image's shape, and truncate; in the precision of the noise."""
    return truncated(np.divide(image, 255, dtype=noise.dtype) + noise)


def shot_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Replace every value by a Poisson count whose expectation is proportional to it; shapes as in `Corruption`."""
    photons = chosen(PHOTONS, images, severity)
    return corrupted(images, streams, lambda image, stream: count_photons(draw_counts(image, stream, photons), photons))


def draw_counts(image: NDArray[np.uint8], stream: np.random.Generator, photons: int) -> NDArray[np.uint16]:
    """Draw a Poisson count with expectation ``photons * value / 255`` for every value of an image.

    There are only 256 expectations, so one table of alias columns (Walker, 1977) serves all: a 32-bit random number
    chooses a column and decides between the column's two counts. Probabilities are exact to some 10⁻⁹. NumPy's own
    sampler, which starts anew with every value, takes several times as long.
    """
    bits, thresholds, aliases = alias_tables(photons)
    numbers = stream.integers(0, 2**32, image.shape, dtype=np.uint32)
    columns = (numbers & np.uint32(2**bits - 1)).astype(np.uint16)
    places = (image.astype(np.intp) << bits) + columns
    return np.where((numbers >> np.uint32(bits)) < thresholds.take(places), columns, aliases.take(places))


@functools.lru_cache(maxsize=16)
def alias_tables(photons: int) -> tuple[int, NDArray[np.uint32], NDArray[np.uint16]]:
    """Return the Poisson distributions of all 256 pixel values, as columns of two counts each.

    Returns
    -------
    The number of bits that choose a column; per pixel value and column, below which number of the other bits the count
    is the column's own, and the count that it is otherwise; both tables are flat, of length 256 * 2 ** bits.
    """
    bits = next(bits for bits in itertools.count(1) if special.pdtrc(2**bits - 1, photons) < NEGLIGIBLE)
    columns, pixel_values = 2**bits, np.arange(256)
    rates, counts = pixel_values[:, None] / 255 * photons, np.arange(columns)
    shares = np.exp(special.xlogy(counts, rates) - rates - special.gammaln(counts + 1))
    shares *= columns / shares.sum(1, keepdims=True)
    thresholds = np.ones_like(shares)
    aliases = np.tile(np.arange(columns, dtype=np.uint16), (256, 1))
    unfilled = np.ones(shares.shape, dtype=bool)
    # Each step fills, for every pixel value, the column with the smallest share from the count with the largest.
    for _ in range(columns - 1):
        smallest = np.where(unfilled, shares, np.inf).argmin(1)
        largest = np.where(unfilled, shares, -np.inf).argmax(1)
        share = np.minimum(shares[pixel_values, smallest], 1)
        thresholds[pixel_values, smallest] = share
        aliases[pixel_values, smallest] = largest
        shares[pixel_values, largest] -= 1 - share
        unfilled[pixel_values, smallest] = False
    whole = 2 ** (32 - bits)
    return bits, np.rint(thresholds * whole).astype(np.uint32).ravel(), aliases.ravel()


def count_photons(counts: NDArray[np.integer[Any]], photons: int) -> NDArray[np.uint8]:
    """Return the pixels that counts of photons stand for, truncated; counts above ``photons`` are white."""
    levels = truncated(np.arange(photons + 1) / photons)
    return levels.take(counts, mode="clip")


def impulse_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Set a share of all values to 255 or 0, with equal probability; shapes as in `Corruption`.

    The channels of a pixel are hit independently, so that most impulses are coloured.
    """
    amount = chosen(AMOUNTS, images, severity)

    def corrupt(image: NDArray[np.uint8], stream: np.random.Generator) -> NDArray[np.uint8]:
        uniform = stream.random(image.shape, dtype=np.float32)
        return set_impulses(image, uniform < amount, uniform < amount / 2)

    return corrupted(images, streams, corrupt)


def set_impulses(image: NDArray[np.uint8], hit: NDArray[np.bool_], white: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Set the values that are hit to 255 where ``white`` holds, else to 0; masks of the image's shape."""
    return np.where(hit, white * np.uint8(255), image)

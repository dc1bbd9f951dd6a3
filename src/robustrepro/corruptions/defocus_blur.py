"""Blur of a lens out of focus: convolution with a disk."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated


class Disk(NamedTuple):
    """A disk, and the Gaussian blur that smooths its edge; both in pixels."""

    radius: float
    edge_sigma: float


DISKS: Published[Disk] = {
    224: (Disk(3, 0.1), Disk(4, 0.5), Disk(6, 0.5), Disk(8, 0.5), Disk(10, 0.5)),
    64: (Disk(0.5, 0.6), Disk(1, 0.1), Disk(1.5, 0.1), Disk(2.5, 0.01), Disk(3, 0.1)),
    32: (Disk(0.3, 0.4), Disk(0.4, 0.5), Disk(0.5, 0.6), Disk(1, 0.2), Disk(1.5, 0.1)),
}
"""Of radius below 1 a disk is a single pixel: there the blur of its edge is all the blur."""

SMALL = 8
"""Disks up to this radius stand in a kernel that has room for this one, and their edge is blurred over 3 x 3 pixels."""


def defocus_blur(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Convolve every channel with a disk; shapes as in `Corruption`. Nothing is random.

    Beyond the border the image is mirrored at its outermost pixels. Since the kernels do not sum to 1 (`disk_kernel`),
    severities 4 and 5 at 224 pixels also brighten an image by about 1%.
    """
    disk = chosen(DISKS, images, severity)
    return corrupted(images, streams, lambda image, _stream: convolve(image, disk))


def disk_kernel(disk: Disk) -> NDArray[np.float32]:
    """Return a disk of equal weights whose edge is smoothed: shape (17, 17), or (2 radius + 1,) * 2 for radii over 8.

    The disk sums to 1 before its edge is smoothed. Smoothing mirrors the kernel at its border, so a disk that touches
    the border (radii 8 and 10) gains weight by it: their sums are 1.0130 and 1.0108.
    """
    reach = SMALL if disk.radius <= SMALL else int(disk.radius)
    offsets = np.arange(-reach, reach + 1)
    inside = (offsets**2 + offsets[:, None] ** 2 <= disk.radius**2).astype(np.float32)
    inside /= inside.sum()
    taps = np.arange(-1, 2) if disk.radius <= SMALL else np.arange(-2, 3)
    weights = np.exp(-(taps**2) / (2 * disk.edge_sigma**2))
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (1, 0):
        inside = ndimage.correlate1d(inside, weights, axis=axis, mode="mirror")
    return inside


@functools.lru_cache(maxsize=16)
def _transfer(disk: Disk, side: int) -> tuple[int, int, NDArray[np.complex128]]:
    """Return a kernel's reach, the side to which images of a side are padded for it, and its transform there."""
    kernel = disk_kernel(disk).astype(np.float64)
    reach = len(kernel) // 2
    padded_side = fft.next_fast_len(side + 2 * reach, real=True)
    return reach, padded_side, fft.rfft2(kernel, s=(padded_side, padded_side))


def convolve(image: NDArray[np.uint8], disk: Disk) -> NDArray[np.uint8]:
    """Convolve an image (3, H, H) with a disk and truncate the result.

    By Fourier transform in float64. Where an area is flat and the kernel sums to 1, truncation turns on the last bit,
    and another convolution may be one level off.
    """
    side = image.shape[-1]
    reach, padded_side, transfer = _transfer(disk, side)
    padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    blurred = np.empty_like(image)
    for result, channel in zip(blurred, padded, strict=True):
        spectrum = fft.rfft2(channel / 255, s=(padded_side, padded_side), overwrite_x=True)
        spectrum *= transfer
        whole = fft.irfft2(spectrum, s=(padded_side, padded_side), overwrite_x=True)
        result[...] = truncated(whole[2 * reach : 2 * reach + side, 2 * reach : 2 * reach + side])
    return blurred

"""Gaussian noise on images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def gaussian_noise(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, standard_deviation: float
) -> NDArray[np.uint8]:
    """Add independent Gaussian noise to every pixel.

    In [0, 1], the noisy image is clipped, and then stored as the nearest multiple of 1/255. Noise of another standard
    deviation is the same noise, scaled.

    Parameters
    ----------
    images
        Shape (N, C, H, W).
    streams
        Each image's random numbers, N of them.
    standard_deviation
        In units of the pixel range [0, 1].

    Returns
    -------
    Noisy images, shape of the images.
    """
    noise = np.stack([stream.standard_normal(image.shape) for image, stream in zip(images, streams, strict=True)])
    noisy = np.clip(images / 255 + standard_deviation * noise, 0, 1)
    return np.rint(noisy * 255).astype(np.uint8)

"""Contrast, pixelation and JPEG compression; and the JPEG files that the published images are stored in."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated

CONTRASTS: Published[float] = {
    224: (0.4, 0.3, 0.2, 0.1, 0.05),
    64: (0.4, 0.3, 0.2, 0.1, 0.05),
    32: (0.75, 0.5, 0.4, 0.3, 0.15),
}
"""The factor on a value's distance from the mean."""

RESOLUTIONS: Published[float] = {
    224: (0.6, 0.5, 0.4, 0.3, 0.25),
    64: (0.9, 0.8, 0.7, 0.6, 0.5),
    32: (0.95, 0.9, 0.85, 0.75, 0.65),
}
"""Of pixelated images: their side in blocks, as a share of the side in pixels."""

QUALITIES: Published[int] = {
    224: (25, 18, 15, 10, 7),
    64: (65, 58, 50, 40, 25),
    32: (80, 65, 58, 50, 40),
}
"""Of JPEG files, on the scale of the Independent JPEG Group (1 to 100)."""

STORED_QUALITY = 85
"""Of the files that ImageNet-C and Tiny-ImageNet-C are published in."""


def contrast(images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int) -> NDArray[np.uint8]:
    """Draw all values towards the mean of their image and channel; shapes as in `Corruption`. Nothing is random."""
    factor = chosen(CONTRASTS, images, severity)
    return corrupted(images, streams, lambda image, _stream: lower_contrast(image, factor))


def lower_contrast(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Draw the values of an image (3, H, H) towards the mean of their channel, and truncate."""
    levels = np.arange(256) / 255
    means = image.reshape(len(image), -1).mean(1, keepdims=True) / 255
    tables = truncated((levels - means) * factor + means)
    return np.stack([table.take(channel) for table, channel in zip(tables, image, strict=True)])


def pixelate(images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int) -> NDArray[np.uint8]:
    """Lower the resolution and show it in blocks; shapes as in `Corruption`. Nothing is random."""
    resolution = chosen(RESOLUTIONS, images, severity)
    return corrupted(images, streams, lambda image, _stream: show_in_blocks(image, resolution))


def show_in_blocks(image: NDArray[np.uint8], resolution: float) -> NDArray[np.uint8]:
    """Average an image (3, H, H) over ``int(H * resolution)`` blocks per side, and show each as one colour.

    Blocks are not of equal size where the one side does not divide the other.
    """
    side = image.shape[-1]
    blocks = int(side * resolution)
    small = np.stack(
        [np.asarray(Image.fromarray(plane).resize((blocks, blocks), Image.Resampling.BOX)) for plane in image]
    )
    nearest = ((np.arange(side) + 0.5) * blocks / side).astype(int)
    shown: NDArray[np.uint8] = small.take(nearest, axis=2).take(nearest, axis=1)
    return shown


def jpeg_compression(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Compress as a JPEG file of low quality; shapes as in `Corruption`. Nothing is random."""
    quality = chosen(QUALITIES, images, severity)
    return corrupted(images, streams, lambda image, _stream: through_jpeg(image, quality))


def saved_as_jpeg(images: NDArray[np.uint8], quality: int = STORED_QUALITY) -> NDArray[np.uint8]:
    """Return images as they are read from JPEG files, in which ImageNet-C is published.

    It is no corruption, but it matters: after it, noise is correlated between the channels, and a network's error under
    fog or low contrast is higher by 0.07. CIFAR-10-C is not published as JPEG. The published files were also optimised,
    which makes them smaller and changes no pixel.

    Parameters
    ----------
    images
        Shape (N, 3, H, W).
    quality
        On the scale of the Independent JPEG Group.
    """
    read = np.empty_like(images)
    for result, image in zip(read, images, strict=True):
        result[...] = through_jpeg(image, quality)
    return read


def through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Compress an image (3, H, W), with colour at half the resolution, and decompress it again.

    Pixels depend on the version of libjpeg by a level or so.
    """
    file = io.BytesIO()
    Image.merge("RGB", [Image.fromarray(plane) for plane in image]).save(file, "JPEG", quality=quality)
    with Image.open(file) as decompressed:
        return np.stack([np.asarray(plane) for plane in decompressed.split()])

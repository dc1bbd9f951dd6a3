"""What all corruptions share: which published parameters hold, the way through a batch, and how pixels are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from robustrepro.errors import UserError

CHANNELS = 3
SEVERITIES = (1, 2, 3, 4, 5)

Parameters = TypeVar("Parameters")

Published = Mapping[int, tuple[Parameters, Parameters, Parameters, Parameters, Parameters]]
"""A corruption's parameters at the five severities, by the side of the published data set's images: 224, 64, 32."""


class Corruption(Protocol):
    """A corruption of a batch: images (N, 3, H, H) and N streams in, images of the same shape out."""

    def __call__(
        self, images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
    ) -> NDArray[np.uint8]:
        """Return the corrupted images."""
        ...  # pragma: no cover


def published_side(side: int) -> int:
    """Return the image side, in pixels, of the published data set whose parameters hold for images of a side.

    Up to 32 pixels those of CIFAR-10-C, up to 64 those of Tiny-ImageNet-C, and above those of ImageNet-C.
    """
    return 32 if side <= 32 else 64 if side <= 64 else 224


def chosen(published: Published[Parameters], images: NDArray[np.uint8], severity: int) -> Parameters:
    """Return the parameters of one severity for images of this size.

    Parameters
    ----------
    published
        The corruption's parameters.
    images
        Shape (N, 3, H, H).
    severity
        1 (mildest) to 5.

    Raises
    ------
    UserError
        If there is no such severity, or the images are not square 8-bit colour images.
    """
    if severity not in SEVERITIES:
        raise UserError(f"severity of a corruption: found {severity!r}, expected one of 1, 2, 3, 4, 5")
    if images.dtype != np.uint8:
        raise UserError(f"images to corrupt: found values of type {images.dtype}, expected uint8 (0 to 255)")
    if images.ndim != 4 or images.shape[1] != CHANNELS or images.shape[2] != images.shape[3]:
        raise UserError(
            f"images to corrupt: found shape {images.shape}, expected (N, {CHANNELS}, H, H): "
            "square images in colour, channels first"
        )
    return published[published_side(images.shape[-1])][severity - 1]


def corrupted(
    images: NDArray[np.uint8],
    streams: Sequence[np.random.Generator],
    corrupt: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Corrupt every image by itself, with its own stream.

    One image at a time stays in the processor's cache, which a whole batch in floating point does not.

    Parameters
    ----------
    images
        Shape (N, 3, H, H).
    streams
        N streams of random numbers.
    corrupt
        Returns an image (3, H, H) corrupted.

    Raises
    ------
    UserError
        If there are more or fewer streams than images.
    """
    if len(streams) != len(images):
        raise UserError(f"random streams of a corruption: found {len(streams)}, expected one per image, {len(images)}")
    results = np.empty_like(images, order="C")
    for result, image, stream in zip(results, np.ascontiguousarray(images), streams, strict=True):
        result[...] = corrupt(image, stream)
    return results


def truncated(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Clip values to [0, 1] and store them in 8 bits, **truncated**, as the benchmark does.

    So every pixel loses half a level on average, and a value that rounding error puts just below a whole level falls
    by a whole one. The values are overwritten.
    """
    np.clip(values, 0, 1, out=values)
    np.multiply(values, 255, out=values)
    return values.astype(np.uint8)

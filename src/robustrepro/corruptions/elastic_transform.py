"""Elastic transform: a random affine jump, then a smooth random displacement of every pixel."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from robustrepro.corruptions.batches import Published, chosen, corrupted, truncated


class Elastic(NamedTuple):
    """A random deformation, all in pixels.

    Attributes
    ----------
    amplitude
        Factor on the smoothed field of displacements.
    sigma
        Standard deviation of the Gaussian that smooths the field.
    jitter
        The furthest that a control point of the affine jump moves, per axis.
    """

    amplitude: float
    sigma: float
    jitter: float


ELASTICS: Published[Elastic] = {
    224: (
        Elastic(488, 170.8, 24.4),
        Elastic(488, 19.52, 48.8),
        Elastic(12.2, 2.44, 4.88),
        Elastic(17.08, 2.44, 4.88),
        Elastic(29.28, 2.44, 4.88),
    ),
    64: (
        Elastic(0, 0, 5.12),
        Elastic(3.2, 19.2, 3.84),
        Elastic(6.4, 5.12, 3.84),
        Elastic(6.4, 1.92, 1.92),
        Elastic(10.24, 1.92, 1.28),
    ),
    32: (
        Elastic(0, 0, 2.56),
        Elastic(1.6, 6.4, 2.24),
        Elastic(2.56, 1.92, 1.92),
        Elastic(3.2, 1.28, 1.6),
        Elastic(3.2, 0.96, 0.96),
    ),
}
"""At 224 pixels they are multiples of 244, as published."""

CORNERS = np.array([[1, 1], [1, -1], [-1, -1]])
"""Where the control points lie from the centre, (x, y) in thirds of the image's side."""

AFFINE_STEPS, POSITION_STEPS = 1024, 32
"""OpenCV, which made the jump, rounds its parts to 1/1024 of a pixel, and the place of a sample to 1/32."""

TRUNCATE, LONG = 3.0, 16
"""The Gaussian is cut off after so many standard deviations; with a reach of so many pixels it is a matrix product."""


class Deformation(NamedTuple):
    """What is drawn for one image.

    Attributes
    ----------
    jitter
        By how much each control point moves, (x, y) in pixels, shape (3, 2).
    right, below
        Fields of displacements before they are smoothed and amplified, in [-1, 1), shape (H, H).
    """

    jitter: NDArray[np.float64]
    right: NDArray[np.float64]
    below: NDArray[np.float64]


def elastic_transform(
    images: NDArray[np.uint8], streams: Sequence[np.random.Generator], *, severity: int
) -> NDArray[np.uint8]:
    """Deform every image; shapes as in `Corruption`.

    Severities are not in order: at 224 pixels the second jumps and bends far more than the third, and networks err more
    often under it, in the published results too.
    """
    elastic, side = chosen(ELASTICS, images, severity), images.shape[-1]
    return corrupted(
        images, streams, lambda image, stream: deform(image, draw_deformation(stream, elastic, side), elastic)
    )


def draw_deformation(stream: np.random.Generator, elastic: Elastic, side: int) -> Deformation:
    """Draw the deformation of an image of a side."""
    jitter = stream.uniform(-elastic.jitter, elastic.jitter, (3, 2))
    right, below = stream.uniform(-1, 1, (2, side, side))
    return Deformation(jitter, right, below)


def deform(image: NDArray[np.uint8], deformation: Deformation, elastic: Elastic) -> NDArray[np.uint8]:
    """Deform an image (3, H, H) and truncate the result.

    It is interpolated twice, after the jump and after the displacement, which smooths it more than once would.
    """
    side = image.shape[-1]
    values = (image / 255).astype(np.float32)
    jumped = sample(values, *affine_positions(deformation.jitter, side), mirrored, np.float32)
    right, below = (
        (smooth(field, elastic.sigma) * elastic.amplitude).astype(np.float32)
        for field in (deformation.right, deformation.below)
    )
    places = np.arange(side)
    return truncated(sample(jumped, places[:, None] + below, places + right, reflected, np.float64))


def affine_positions(jitter: NDArray[np.float64], side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return from which row and column each pixel comes after the jump, in pixels, each (side, side)."""
    points = (side // 2 + CORNERS * (side // 3)).astype(np.float32)
    moved = (points + jitter).astype(np.float32)
    homogeneous = np.column_stack([moved, np.ones(3)]).astype(np.float64)
    inverse = np.linalg.solve(homogeneous, points.astype(np.float64)).T
    places = np.arange(side)
    in_steps = []
    for by_column, by_row, constant in inverse:
        along_rows = np.rint(by_column * places * AFFINE_STEPS).astype(np.int64)
        along_columns = np.rint((by_row * places + constant) * AFFINE_STEPS).astype(np.int64)
        halves = AFFINE_STEPS // POSITION_STEPS // 2
        in_steps.append((along_columns[:, None] + along_rows + halves) // (AFFINE_STEPS // POSITION_STEPS))
    columns, rows = in_steps
    return rows / POSITION_STEPS, columns / POSITION_STEPS


def smooth(field: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Smooth a square field by a Gaussian, with the field reflected at its border as often as the Gaussian reaches."""
    if TRUNCATE * sigma < LONG:
        smoothed: NDArray[np.float64] = ndimage.gaussian_filter(field, sigma, mode="reflect", truncate=TRUNCATE)
        return smoothed
    matrix = _smoothing(len(field), sigma)
    return matrix @ field @ matrix.T


@functools.lru_cache(maxsize=16)
def _smoothing(side: int, sigma: float) -> NDArray[np.float64]:
    """Return the matrix that smooths one axis of a field."""
    matrix: NDArray[np.float64] = ndimage.gaussian_filter1d(
        np.eye(side), sigma, axis=0, mode="reflect", truncate=TRUNCATE
    )
    return matrix


Border = Callable[[NDArray[np.int32], int], NDArray[np.int32]]
"""Returns which pixels of an axis of some length stand for places that may lie beyond it."""


def mirrored(places: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """Mirror at the outermost pixels, which are not repeated."""
    places = np.abs(places) % (2 * length - 2)
    return np.minimum(places, 2 * length - 2 - places)


def reflected(places: NDArray[np.int32], length: int) -> NDArray[np.int32]:
    """Reflect at the image's edge, so that the outermost pixels are repeated."""
    places = places % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def sample(
    values: NDArray[np.float32],
    rows: NDArray[np.floating[Any]],
    columns: NDArray[np.floating[Any]],
    border: Border,
    precision: type[np.float32 | np.float64],
) -> NDArray[np.float32]:
    """Interpolate bilinearly.

    Parameters
    ----------
    values
        Shape (3, H, H).
    rows, columns
        Places of the samples in pixels, each (H, H).
    border
        What there is beyond the image.
    precision
        In which the four nearest pixels are weighted.
    """
    channels, side = len(values), values.shape[-1]
    flat = values.reshape(channels, -1)
    top, left = np.floor(rows).astype(np.int32), np.floor(columns).astype(np.int32)
    down, right = (rows - top).astype(precision), (columns - left).astype(precision)
    total = np.zeros((channels, *rows.shape), dtype=precision)
    for row, row_weight in ((top, 1 - down), (top + 1, down)):
        line = border(row, side) * side
        for column, column_weight in ((left, 1 - right), (left + 1, right)):
            total += flat.take(line + border(column, side), axis=1) * (row_weight * column_weight)
    return total.astype(np.float32)

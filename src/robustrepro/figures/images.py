"""Images from rows of pixels, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

RGB = 3


def pixels(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return an image, shape (height, width, channels), from its rows ``channel``, ``y``, ``x`` and ``value``."""
    shape = tuple(int(rows[name].max()) + 1 for name in ("y", "x", "channel"))
    image = np.zeros(shape)
    image[rows["y"], rows["x"], rows["channel"]] = rows["value"]
    return image


def stretched(image: NDArray[np.float64], originals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what has no range of its own as it is drawn: each channel from the originals' least to largest value.

    Parameters
    ----------
    image, originals
        Shapes (height, width, channels) and (..., height, width, channels).

    Returns
    -------
    Values in [0, 1], of the same shape.
    """
    every_pixel = originals.reshape(-1, originals.shape[-1])
    low, high = every_pixel.min(0), every_pixel.max(0)
    relative: NDArray[np.float64] = (image - low) / np.maximum(high - low, np.finfo(np.float64).tiny)
    return relative.clip(0, 1)


def draw_image(axis: Axes, image: NDArray[np.float64]) -> None:
    """Draw an image, shape (height, width, channels), in grey or in colour, without ticks; its values are in [0, 1]."""
    if image.shape[-1] == RGB:
        axis.imshow(image)
    else:
        axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])

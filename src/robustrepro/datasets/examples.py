"""What every way of making a data set hands over to be stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Examples:
    """One split before it is stored.

    Attributes
    ----------
    inputs
        Images, uint8, shape (N, C, H, W); or points, float32, shape (N, 2).
    labels
        Classes, any integer type, shape (N,).
    """

    inputs: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.integer]

"""What an attack with a bound of its own returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Perturbed(NamedTuple):
    """The images that an attack ends with.

    Attributes
    ----------
    images
        Shape (N, channels, height, width), in [0, 1].
    size
        How large each perturbation is in the attack's own metric, shape (N,).
    """

    images: Tensor
    size: Tensor

"""What an attack with a bound of its own returns, and the two forms that each comes in."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

Form = Literal["faithful", "corrected"]
"""As the published code has it, or without what only weakens it there: each attack says what that is."""


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

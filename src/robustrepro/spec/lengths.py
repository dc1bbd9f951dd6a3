"""Lengths in the space of images, which are in units of the pixel range [0, 1]: no ε of 8 where 8/255 is meant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from robustrepro.errors import UserError
from robustrepro.spec.attacks import BallAttack, Curve
from robustrepro.spec.measurements import walk

IMAGE_DIMENSIONS = 3
"""The length of an image's shape: channels, height and width."""


def require_lengths_within(where: str, declared: Any, shape: tuple[int, ...]) -> None:
    """Refuse an attack on images whose ε or step is longer than any two images are apart.

    Parameters
    ----------
    where
        Where the attacks are named, for the message.
    declared
        Anything with attacks in it.
    shape
        Of one example; only images, (channels, height, width), have pixels in [0, 1].

    Raises
    ------
    UserError
        Which names the option, the length and what may have been meant.
    """
    if len(shape) != IMAGE_DIMENSIONS:
        return
    pixels = math.prod(shape)
    farthest = {"linf": 1.0, "l2": math.sqrt(pixels), "l1": float(pixels)}
    for option, length, norm in _lengths(declared):
        if length > farthest[norm]:
            raise UserError(
                f"{where}: {option} is {length:g}, but no two images of {shape} are further apart than "
                f"{farthest[norm]:g} in {norm}, since pixels are in [0, 1]; did you mean {length:g}/255?"
            )


def _lengths(declared: Any) -> Iterator[tuple[str, float, str]]:
    """Yield the option, the length and the norm of every ε and every step size in a declaration."""
    for attack in walk(declared):
        if isinstance(attack, BallAttack):
            yield "epsilon", attack.epsilon, attack.norm
            if (step_size := getattr(attack, "step_size", None)) is not None:
                yield "step_size", step_size, attack.norm
        elif isinstance(attack, Curve):
            yield from (("epsilons", epsilon, attack.attack.norm) for epsilon in attack.epsilons)

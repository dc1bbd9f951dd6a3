"""How quantities are said in texts for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEVELS = 255
"""Steps of an 8-bit pixel."""

LARGEST = 16
"""So many levels at most are said in levels; papers write larger radii as decimals."""


def epsilon_in_words(epsilon: float) -> str:
    """Return a radius as papers write it: ``8/255`` where it is a few whole or half pixel levels, else a decimal.

    Parameters
    ----------
    epsilon
        In units of the pixel range.
    """
    halves = 2 * LEVELS * epsilon
    if 0 < halves < 2 * LARGEST + 0.5 and abs(halves - round(halves)) < 1e-6:
        return f"{round(halves) / 2:g}/{LEVELS}"
    return f"{epsilon:.4g}"


NAMES = {"fgsm": "FGSM", "bim": "BIM", "pgd": "PGD", "noise": "noise", "autoattack": "AutoAttack"}


def attack_in_words(attack: Mapping[str, Any]) -> str:
    """Return an attack's name, steps and ε: ``PGD, 20 steps, ε = 8/255``.

    Parameters
    ----------
    attack
        The plain form of a declared attack on one model.
    """
    if attack["name"] == "clean":
        return "no attack"
    steps = f", {attack['steps']} steps" if "steps" in attack else ""
    return f"{NAMES[attack['name']]}{steps}, ε = {epsilon_in_words(attack['epsilon'])}"

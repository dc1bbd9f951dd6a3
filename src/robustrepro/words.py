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


def plural(count: int, noun: str) -> str:
    """Return ``1 seed``, ``3 seeds``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


NAMES = {
    "fgsm": "FGSM",
    "bim": "BIM",
    "pgd": "PGD",
    "noise": "uniform noise",
    "autoattack": "AutoAttack",
    "deepfool": "DeepFool",
}
LOSSES = {"margin": "on the margin", "log_odds": "on the log-odds", "training": "on the training objective"}


def attack_in_words(attack: Mapping[str, Any], *, with_epsilon: bool = True) -> str:
    """Return an attack as a sentence would name it: ``PGD, 20 steps, on the margin, ε = 8/255``.

    What most attacks have goes without saying: one restart, the cross-entropy, float32.

    Parameters
    ----------
    attack
        The plain form of a declared attack on one model.
    with_epsilon
        Whether to say the radius.
    """
    if attack["name"] == "clean":
        return "no attack"
    said = [NAMES[attack["name"]]]
    if attack["name"] == "autoattack":
        said.append(f"{attack['version']}, {attack['square_queries']:,} queries of Square")
    elif "steps" in attack:
        said.append(f"{attack['steps']} steps")
    if "draws" in attack:
        said.append(f"worst of {attack['draws']}")
    if attack.get("restarts", 1) > 1:
        said.append(f"{attack['restarts']} restarts")
    if attack.get("loss", "cross_entropy") in LOSSES:
        said.append(LOSSES[attack["loss"]])
    if attack.get("precision", "float32") != "float32":
        said.append(f"in {attack['precision']}")
    if with_epsilon and "epsilon" in attack:
        said.append(f"ε = {epsilon_in_words(attack['epsilon'])}")
    return ", ".join(said)

"""How quantities, attacks and measures are named in texts for people.

Attacks and measures come as plain data: what they were declared with. An attack's name in words is that of its
declaration; a name that nothing declares is said as it is, with its options.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robustrepro.spec.attacks import ATTACKS, Attack

PIXEL_LEVELS = 255
"""Steps between the darkest and the brightest 8-bit pixel."""

MOST_LEVELS_NAMED = 16
"""Radii up to this many pixel levels are written in levels; papers write larger ones as decimals."""

NORM_SYMBOLS = {"linf": "ℓ∞", "l2": "ℓ2", "l1": "ℓ1"}

LOSSES_OTHER_THAN_CROSS_ENTROPY = {
    "clipped_cross_entropy": "on the clipped cross-entropy",
    "margin": "on the margin",
    "log_odds": "on the log-odds",
    "training": "on the training objective",
}
OPTIONS_IN_WORDS = {
    "name",
    "version",
    "square_queries",
    "steps",
    "draws",
    "restarts",
    "loss",
    "precision",
    "form",
    "features",
}
"""Options that have words of their own, whichever attack has them."""

BALL_OPTIONS = {"epsilon", "norm", "bound"}
EXAMPLES_OPTIONS = {"data", "split", "examples", "shards"}
"""Options of a measure that say on what, not what, is measured."""
WITH_WORDS = {"kind", "clipped"} | EXAMPLES_OPTIONS
"""Options of a measure that have words of their own, whichever measure has them."""


def epsilon_in_words(epsilon: float) -> str:
    """Return a radius as papers write it: ``8/255`` where it is a few whole or half pixel levels, else a decimal.

    Parameters
    ----------
    epsilon
        In units of the pixel range.
    """
    halves = 2 * PIXEL_LEVELS * epsilon
    if 0 < halves < 2 * MOST_LEVELS_NAMED + 0.5 and abs(halves - round(halves)) < 1e-6:
        return f"{round(halves) / 2:g}/{PIXEL_LEVELS}"
    return f"{epsilon:.4g}"


def plural(count: int, noun: str) -> str:
    """Return ``1 seed``, ``3 seeds``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def norm_in_words(norm: str) -> str:
    """Return ``ℓ∞``, ``ℓ2`` or ``ℓ1``; any other norm by its name."""
    return NORM_SYMBOLS.get(norm, norm)


def ball_in_words(norm: str, epsilon: float, *, clipped: bool) -> str:
    """Return where an adversary may go: ``ℓ∞, ε = 8/255``, and ``unclipped`` where it may leave the pixel range."""
    return f"{norm_in_words(norm)}, ε = {epsilon_in_words(epsilon)}{'' if clipped else ', unclipped'}"


def attack_in_words(attack: Mapping[str, Any], *, with_epsilon: bool = True) -> str:
    """Return an attack as a sentence would name it: ``PGD, 20 steps, on the margin, ε = 8/255``.

    What most attacks have goes without saying: one restart, the cross-entropy, float32, the ℓ∞ norm, and whatever is as
    the attack has it by default.

    Parameters
    ----------
    attack
        The plain form of a declared attack on one model.
    with_epsilon
        Whether to name the ball: its radius, and its norm where that is not ℓ∞; or a bound in a metric of its own.
    """
    parts = [*_attack_and_effort(attack)]
    if with_epsilon:
        norm = attack.get("norm") or "linf"
        parts += [norm_in_words(norm)] if norm != "linf" else []
        parts += [f"ε = {epsilon_in_words(attack['epsilon'])}"] if attack.get("epsilon") is not None else []
        parts += [f"bound {attack['bound']:g}"] if "bound" in attack else []
    return ", ".join(parts)


def curve_in_words(curve: Mapping[str, Any]) -> str:
    """Return an attack at many radii: ``FGSM, at 10 ε from 0.05 to 0.5``.

    Parameters
    ----------
    curve
        The plain form of a declared curve: ``attack``, which has no ε of its own, and ``epsilons`` in increasing order.
    """
    epsilons: Sequence[float] = curve["epsilons"]
    first, last = epsilon_in_words(epsilons[0]), epsilon_in_words(epsilons[-1])
    radii = f"at ε = {first}" if len(epsilons) == 1 else f"at {len(epsilons)} ε from {first} to {last}"
    return f"{attack_in_words(curve['attack'])}, {radii}"


def transfer_in_words(transfer: Mapping[str, Any]) -> str:
    """Return examples that are made for another model: ``PGD, 40 steps, ε = 0.3, made for mnist-erm``.

    Parameters
    ----------
    transfer
        The plain form of a declared transfer: ``attack`` and, where the examples are made for one model whichever model
        they are tried on, ``source``.
    """
    source = transfer.get("source")
    return f"{attack_in_words(transfer['attack'])}, {f'made for {source}' if source else 'tried on other models'}"


def measure_in_words(measure: Mapping[str, Any]) -> str:
    """Return a measure as a sentence would name it: ``PGD, 20 steps, ε = 8/255, on the first 500 examples``.

    Parameters
    ----------
    measure
        The plain form of a declared measure: its ``kind`` and options.
    """
    match measure["kind"]:
        case "attack":
            what = attack_in_words(measure["attack"])
        case "curve":
            what = curve_in_words(measure["curve"])
        case "over_epochs":
            what = f"{attack_in_words(measure['attack'])}, after each kept epoch"
        case "transfer":
            what = transfer_in_words(measure)
        case kind:
            options = {key: value for key, value in measure.items() if key not in WITH_WORDS}
            what = ", ".join([str(kind).replace("_", " "), *_as_declared(options)])
    parts = [what, "" if measure.get("clipped", True) else "unclipped", _examples_in_words(measure)]
    return ", ".join(filter(None, parts))


def _attack_and_effort(attack: Mapping[str, Any]) -> Iterator[str]:
    """Yield an attack's name and whatever makes it stronger or weaker inside its ball."""
    name = attack["name"]
    kind = ATTACKS.get(name)
    yield kind.words if kind else name
    if name == "autoattack":
        yield attack.get("version", "standard")
        if "square_queries" in attack:
            yield f"{attack['square_queries']:,} queries of Square"
    elif "steps" in attack:
        yield plural(attack["steps"], "step")
    if "draws" in attack:
        yield f"worst of {attack['draws']}"
    if attack.get("restarts", 1) > 1:
        yield f"{attack['restarts']} restarts"
    if attack.get("loss") in LOSSES_OTHER_THAN_CROSS_ENTROPY:
        yield LOSSES_OTHER_THAN_CROSS_ENTROPY[attack["loss"]]
    if attack.get("precision", "float32") != "float32":
        yield f"in {attack['precision']}"
    if attack.get("form") == "corrected":
        yield "corrected"
    if "features" in attack:
        model = attack["features"].get("model")
        yield f"in features of {model}" if model else "in the model's own features"
    others = {key: value for key, value in attack.items() if key not in OPTIONS_IN_WORDS | BALL_OPTIONS}
    yield from _as_declared({key: value for key, value in others.items() if not _goes_without_saying(kind, key, value)})


def _goes_without_saying(kind: type[Attack] | None, option: str, value: Any) -> bool:
    """Tell whether an option of a declared attack is its default, or one that every such attack has to choose."""
    field = kind.model_fields.get(option) if kind else None
    return kind is not None and (field is None or field.is_required() or value == field.default)


def _examples_in_words(measure: Mapping[str, Any]) -> str:
    """Return on which examples a measure is taken; empty where on all test examples of the model's own data."""
    kind = "training example" if measure.get("split") == "train" else "example"
    data = measure.get("data")
    if measure.get("examples"):
        which = f"on the first {plural(measure['examples'], kind)}"
    elif kind != "example":
        which = f"on the {kind}s"
    else:
        return f"on {data}" if data else ""
    return f"{which} of {data}" if data else which


def _as_declared(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield each option that is set as ``step size = 0.01``."""
    for key, value in options.items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{key.replace('_', ' ')} = {text}"

"""The ball of an audit: its radius, and the attacks that run in it after the user's changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from robustrepro.audits.battery import FAR
from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.attacks import Inputs, Norm
from robustrepro.spec.audit import Audit, AuditBall, attack_at, ball_of, built_in_audit, with_templates
from robustrepro.spec.config import merged, validated
from robustrepro.words import NORM_SYMBOLS, PIXEL_LEVELS

ATTACKS_BY_KEY = ("attacks", "escalation", "without_gradients")
"""The keys of the audit under which attacks stand by a key of their own, which None removes."""


def require_radius(norm: Norm, epsilon: float, images: Tensor) -> None:
    """Refuse a ball around an image that holds everything else in the range [0, 1] as well.

    Parameters
    ----------
    norm, epsilon
        The ball; ε in units of the pixel range.
    images
        Images or points, values in [0, 1], shape (N, ...).

    Raises
    ------
    UserError
        If ε is above the largest distance between two of them: 1 in ℓ∞, √D in ℓ2 and D in ℓ1, for D values each.
    """
    values = images[0].numel()
    largest = {"linf": 1.0, "l2": math.sqrt(values), "l1": float(values)}[norm]
    if epsilon > largest:
        meant = f"; did you mean {epsilon:g}/{PIXEL_LEVELS}?" if epsilon / PIXEL_LEVELS <= largest else ""
        raise UserError(
            f"epsilon is {epsilon:g}; expected at most {largest:.4g}, the largest {NORM_SYMBOLS[norm]} distance "
            f"between two inputs with values in [0, 1]{meant}"
        )


def require_ball(norm: str, epsilon: float, images: Tensor) -> None:
    """Refuse what is no norm, and a radius that is not above 0 or too large (see `require_radius`)."""
    if norm not in NORM_SYMBOLS:
        raise UserError(f"norm is '{norm}'; expected one of {', '.join(NORM_SYMBOLS)}")
    if not epsilon > 0:
        raise UserError(f"epsilon is {epsilon:g}; expected a radius above 0, in units of the pixel range")
    require_radius(norm, epsilon, images)  # type: ignore[arg-type]


def changed_audit(changes: Mapping[str, Any] | None, norm: Norm, epsilon: float) -> Audit:
    """Return the built-in audit with a user's changes laid on it, mappings key by key.

    Parameters
    ----------
    changes
        As `robustrepro.api.auditing.audit` takes them; where an attack's key has None, the attack is removed.
    norm, epsilon
        The ball in which a declared attack has to be.

    Raises
    ------
    UserError
        If an attack to be removed is not there, a declared one is in another ball or not registered, or the result is
        no valid audit.
    """
    declared = built_in_audit()
    if not changes:
        return declared
    before = declared.model_dump(exclude_none=True)
    content = merged(before, with_templates(changes, norm, epsilon))
    for part in ATTACKS_BY_KEY:
        if not isinstance(content[part], Mapping):
            continue  # for validation to refuse
        absent = next(
            (key for key, attack in content[part].items() if attack is None and key not in before[part]), None
        )
        if absent is not None:
            raise unknown_name(f"attack to remove in {part}", str(absent), before[part])
        content[part] = {key: attack for key, attack in content[part].items() if attack is not None}
    changed = validated(Audit, content, "attacks")
    _require_own_keys(changed)
    return changed


def _require_own_keys(declared: Audit) -> None:
    """Refuse an attack with a ball of its own, and keys under which two results would be one."""
    seen: dict[str, str] = {}
    for part in ATTACKS_BY_KEY:
        for key, template in getattr(declared, part).items():
            own = next((option for option in ("epsilon", "norm") if option in template), None)
            if own is not None:
                raise UserError(f"{part}.{key}: {own} is that of the ball; expected no epsilon and no norm")
            if key.startswith(FAR):
                raise UserError(f"{part}: '{key}' begins with '{FAR}', as those of an alarm do; expected another key")
            if key in seen:
                raise UserError(f"attacks: '{key}' is a key of {seen[key]} and of {part}; expected another key")
            seen[key] = part


def attacks_in(declared: Audit, norm: Norm, epsilon: float, inputs: Inputs) -> tuple[AuditBall, dict[str, str]]:
    """Return every attack that can run on such inputs, in one ball, and by key of the others the reason."""
    templates = {**declared.attacks, **declared.escalation, **declared.without_gradients}
    reasons = {key: attack_at(template, norm, epsilon).unfit(inputs) for key, template in templates.items()}
    left_out = {key: reason for key, reason in reasons.items() if reason is not None}
    return ball_of(declared, norm, float(epsilon), inputs), left_out

"""An audit by few attacks, which takes a second."""

from __future__ import annotations

from typing import Any

from torch import nn

import robustrepro as rr
from robustrepro.spec.audit import built_in_audit

COUNT = 24
EPSILON = 0.02


def only(part: str, attacks: dict[str, Any]) -> dict[str, Any]:
    """Return the change that leaves these attacks alone in a part of the audit."""
    return {**dict.fromkeys(getattr(built_in_audit(), part)), **attacks}


FEW: dict[str, Any] = {
    "attacks": only(
        "attacks",
        {
            "fgsm": {"name": "fgsm"},
            "pgd": {"name": "pgd", "steps": 5},
            "pgd-margin": {"name": "pgd", "loss": "margin", "steps": 10},
        },
    ),
    "escalation": only("escalation", {"pgd-margin-2": {"name": "pgd", "loss": "margin", "steps": 10, "restarts": 2}}),
    "without_gradients": only("without_gradients", {"rays": {"name": "rays", "queries": 200}}),
    "noises": 2,
}


def quietly(model: nn.Module, images: Any, labels: Any, **options: Any) -> rr.Audit:
    return rr.audit(model, images, labels, **{"epsilon": EPSILON, "attacks": FEW, "progress": False} | options)

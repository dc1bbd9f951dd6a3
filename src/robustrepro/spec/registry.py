"""From a name in YAML to the code that implements it, imported only when a step runs it.

This is the one place where names meet modules. It lies in ``spec`` because a job's sources are found from it (see
:mod:`robustrepro.spec.sources`): a job depends on the modules of the names in its own spec and on no other's.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from robustrepro.errors import unknown_name

ARCHITECTURES: Mapping[str, str] = {
    "lenet5": "robustrepro.models.lenet5:LeNet5",
    "mlp": "robustrepro.models.mlp:MultiLayerPerceptron",
}

OBJECTIVES: Mapping[str, str] = {
    "erm": "robustrepro.objectives.erm:EmpiricalRisk",
    "cem": "robustrepro.objectives.cem:CrossErrorRisk",
    "hrm": "robustrepro.objectives.hrm:HollowRisk",
}

AUGMENTATIONS: Mapping[str, str] = {
    "crop_and_flip": "robustrepro.training.augmentation:CropAndFlip",
}

ATTACKS: Mapping[str, str] = {
    "clean": "robustrepro.attacks.measure:measure",
    "fgsm": "robustrepro.attacks.fgsm:ascent_of",
    "pgd": "robustrepro.attacks.pgd:ascent_of",
}

FIGURES: Mapping[str, str] = {
    "decision_boundaries": "robustrepro.figures.decision_boundaries:draw",
}


def target_of(registry: Mapping[str, str], what: str, name: str) -> str:
    """Return the ``module:attribute`` that implements a name; an unknown one is a user's error."""
    if name not in registry:
        raise unknown_name(what, name, registry)
    return registry[name]


def resolve(registry: Mapping[str, str], what: str, name: str) -> Any:
    """Import and return what implements a name."""
    module, _, attribute = target_of(registry, what, name).partition(":")
    return getattr(importlib.import_module(module), attribute)


def configured(registry: Mapping[str, str], what: str, declared: Mapping[str, Any]) -> Any:
    """Return what a declaration (``name`` and its options) stands for, made with its options."""
    options = dict(declared)
    return resolve(registry, what, options.pop("name"))(**options)

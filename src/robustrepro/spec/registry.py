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
    "convnet": "robustrepro.models.convnet:ConvNet",
    "resnet50": "robustrepro.models.resnet:ResNet50",
}

OBJECTIVES: Mapping[str, str] = {
    "erm": "robustrepro.objectives.erm:EmpiricalRisk",
    "cem": "robustrepro.objectives.cem:CrossErrorRisk",
    "hrm": "robustrepro.objectives.hrm:HollowRisk",
    "v_matrix": "robustrepro.objectives.v_matrix:VMatrixRisk",
}

AUGMENTATIONS: Mapping[str, str] = {
    "crop_and_flip": "robustrepro.training.augmentation:CropAndFlip",
}

ATTACKS: Mapping[str, str] = {
    "autoattack": "robustrepro.attacks.autoattack:autoattack",
    "bim": "robustrepro.attacks.bim:ascent_of",
    "clean": "robustrepro.attacks.measure:measure",
    "curve": "robustrepro.attacks.curve:measure_curve",
    "fgsm": "robustrepro.attacks.fgsm:ascent_of",
    "noise": "robustrepro.attacks.noise:ascent_of",
    "pgd": "robustrepro.attacks.pgd:ascent_of",
}

FIGURES: Mapping[str, str] = {
    "decision_boundaries": "robustrepro.figures.decision_boundaries:draw",
    "gradient_pair": "robustrepro.figures.gradient_pair:draw",
    "training_gradients": "robustrepro.figures.training_gradients:draw",
    "training_paths": "robustrepro.figures.training_paths:draw",
    "kernel_sketch": "robustrepro.figures.kernel_sketch:draw",
    "diagonal_dominance": "robustrepro.figures.diagonal_dominance:draw",
    "heat_map": "robustrepro.figures.heat_map:draw",
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

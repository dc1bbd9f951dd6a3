"""Attacks as YAML declares them: numbers as papers write them, and the code that each stands for."""

from __future__ import annotations

from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from robustrepro.implementations import resolve
from robustrepro.spec.attacks import (
    Attack,
    Curve,
    CurveBim,
    CurveFgsm,
    CurvePgd,
    MinimalDistanceAttack,
    attack_adapter,
)


def declared(text: str):
    return attack_adapter.validate_python(yaml.safe_load(text))


def test_lengths_are_read_as_papers_write_them():
    attack = declared("{name: pgd, epsilon: 8/255, steps: 7, step_size: 2 / 255}")
    assert (attack.epsilon, attack.step_size) == (8 / 255, 2 / 255)
    curve = Curve.model_validate(yaml.safe_load("{epsilons: [1/255, 2/255, 0.5], attack: {name: fgsm}}"))
    assert curve.epsilons == [1 / 255, 2 / 255, 0.5]
    assert declared("{name: deepfool, overshoot: 1/50}").overshoot == 0.02


@pytest.mark.parametrize("epsilon", ["-1/255", "8/0", "8/255/2", "eight", "-0.1", ".inf", ".nan"])
def test_what_is_no_radius_is_refused(epsilon):
    with pytest.raises(ValidationError, match="epsilon"):
        declared(f"{{name: fgsm, epsilon: {epsilon}}}")


@pytest.mark.parametrize("family", [*get_args(Attack), Curve, CurveFgsm, CurveBim, CurvePgd])
def test_every_attack_names_code_that_exists(family):
    flattened = get_args(family) or (family,)
    assert all(callable(resolve(kind.implementation)) for kind in flattened)


@pytest.mark.parametrize("attack", ["name: noise, draws: 3", "name: autoattack", "name: fgsm"])
def test_l1_is_a_norm_of_every_attack_in_a_ball(attack):
    assert declared(f"{{{attack}, epsilon: 2, norm: l1}}").norm == "l1"


def test_a_minimal_distance_attack_has_no_epsilon():
    assert isinstance(declared("{name: deepfool}"), MinimalDistanceAttack)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        declared("{name: deepfool, epsilon: 0.1}")

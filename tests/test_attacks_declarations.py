"""Attacks as YAML declares them: numbers as papers write them, and the code that each stands for."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from robustrepro.attacks.curve import attacks_of
from robustrepro.errors import UserError
from robustrepro.implementations import resolve
from robustrepro.spec.attacks import (
    ATTACKS,
    BallAttack,
    Curve,
    GradientAttack,
    MinimalDistanceAttack,
    attack_adapter,
)
from robustrepro.spec.audit import attack_at
from robustrepro.spec.datasets import dataset_of
from robustrepro.spec.measurements import measure_of
from robustrepro.words import attack_in_words


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


REQUIRED = {"epsilon": 0.1, "steps": 2, "step_size": 0.05, "draws": 2, "features": {"layers": ["features.1"]}}
"""A value for every option that some attack has to choose."""


def smallest(name):
    """Return an attack with no more options than it needs."""
    fields = ATTACKS[name].model_fields
    return {"name": name} | {
        key: REQUIRED[key] for key, field in fields.items() if key in REQUIRED and field.is_required()
    }


@pytest.mark.parametrize("family", [*ATTACKS.values(), Curve])
def test_every_attack_names_code_that_exists(family):
    assert callable(resolve(family.implementation))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_registered_attack_can_be_declared_and_has_words(name):
    attack = attack_adapter.validate_python(smallest(name))
    assert type(attack) is ATTACKS[name]
    assert attack_in_words(attack.model_dump(mode="json"), with_epsilon=False).startswith(ATTACKS[name].words)
    assert len({kind.words for kind in ATTACKS.values()}) == len(ATTACKS)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_attacks_in_a_ball_makes_examples_for_audits_transfer_and_data_sets(name):
    attack = smallest(name)
    template = {key: value for key, value in attack.items() if key not in ("epsilon", "step_size")}
    declarations = [
        lambda: attack_at(template, "l2", 0.5),
        lambda: measure_of({"transfer": {"attack": attack, "targets": ["other"]}}, "measures.m"),
        lambda: dataset_of("fooling", {"adversarial": {"model": "erm", "attacks": [attack]}}, "datasets.fooling"),
    ]
    for declare in declarations:
        if issubclass(ATTACKS[name], BallAttack):
            declare()
        else:
            with pytest.raises((ValidationError, UserError), match=name):
                declare()


@pytest.mark.parametrize("name", ATTACKS)
def test_what_follows_the_gradient_has_a_curve_with_lengths_relative_to_epsilon(name):
    attack = {key: value for key, value in smallest(name).items() if key != "epsilon"}
    if "step_size" in attack:
        attack["relative_step"] = attack.pop("step_size")
    content = {"epsilons": [0.1, 0.4], "attack": attack}
    if not issubclass(ATTACKS[name], GradientAttack):
        with pytest.raises(ValidationError, match=name):
            Curve.model_validate(content)
        return
    curve = Curve.model_validate(content)
    assert curve.attack.implementation == ATTACKS[name].implementation
    expected = [ATTACKS[name](**{**smallest(name), "epsilon": epsilon}) for epsilon in (0.1, 0.4)]
    if "step_size" in smallest(name):
        expected = [each.model_copy(update={"step_size": 0.05 * each.epsilon}) for each in expected]
    assert attacks_of(curve) == expected
    assert Curve.model_validate_json(curve.model_dump_json()) == curve


def test_a_curve_refuses_what_its_attack_refuses():
    pgd = {"name": "pgd", "steps": 2, "relative_step": 0.1}
    for options, why in (
        ({"restarts": 2, "random_start": False}, "they would all be the same"),
        ({"search": "tf32", "precision": "float64"}, "search is tf32"),
    ):
        with pytest.raises(ValidationError, match=why):
            Curve.model_validate({"epsilons": [0.1], "attack": pgd | options})


@pytest.mark.parametrize("attack", ["name: noise, draws: 3", "name: autoattack", "name: fgsm"])
def test_l1_is_a_norm_of_every_attack_in_a_ball(attack):
    assert declared(f"{{{attack}, epsilon: 2, norm: l1}}").norm == "l1"


def test_a_minimal_distance_attack_has_no_epsilon():
    assert isinstance(declared("{name: deepfool}"), MinimalDistanceAttack)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        declared("{name: deepfool, epsilon: 0.1}")

"""How quantities, attacks and measures are named in texts for people."""

from __future__ import annotations

from typing import Any

import pytest

from robustrepro.words import (
    attack_in_words,
    curve_in_words,
    epsilon_in_words,
    measure_in_words,
    norm_in_words,
    transfer_in_words,
)

PGD = {"name": "pgd", "epsilon": 0.3, "steps": 40, "step_size": 0.01}


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [
        (8 / 255, "8/255"),
        (0.5 / 255, "0.5/255"),
        (16 / 255, "16/255"),
        (17 / 255, "0.06667"),
        (0.3, "0.3"),  # 76.5 levels
        (0.2, "0.2"),  # 51 levels
        (1.0, "1"),
        (0.0, "0"),
        (0.0375, "0.0375"),
    ],
)
def test_a_radius_is_written_in_pixel_levels_where_papers_do(epsilon: float, text: str) -> None:
    assert epsilon_in_words(epsilon) == text


@pytest.mark.parametrize(
    ("attack", "text"),
    [
        ({"name": "clean"}, "no attack"),
        ({"name": "fgsm", "epsilon": 16 / 255}, "FGSM, ε = 16/255"),
        ({**PGD, "norm": "linf", "loss": "cross_entropy", "precision": "float32"}, "PGD, 40 steps, ε = 0.3"),
        ({"name": "noise", "epsilon": 0.3, "draws": 20}, "uniform noise, worst of 20, ε = 0.3"),
        (
            {"name": "autoattack", "epsilon": 0.5, "steps": 100, "version": "plus", "square_queries": 20000},
            "AutoAttack, plus, 20,000 queries of Square, ε = 0.5",
        ),
        ({**PGD, "loss": "clipped_cross_entropy"}, "PGD, 40 steps, on the clipped cross-entropy, ε = 0.3"),
        (
            {"name": "pgd", "epsilon": 1.0, "steps": 9, "restarts": 5, "loss": "log_odds", "precision": "float64"},
            "PGD, 9 steps, 5 restarts, on the log-odds, in float64, ε = 1",
        ),
    ],
)
def test_an_attack_is_named_with_its_steps_and_radius(attack: dict[str, Any], text: str) -> None:
    assert attack_in_words(attack) == text
    assert attack_in_words(attack, with_epsilon=False) == text.partition(", ε")[0]


@pytest.mark.parametrize(("norm", "symbol"), [("l1", "ℓ1"), ("l2", "ℓ2")])
def test_a_ball_in_another_norm_than_linf_is_named_with_it(norm: str, symbol: str) -> None:
    attack = {**PGD, "norm": norm, "epsilon": 12.0}
    assert attack_in_words(attack) == f"PGD, 40 steps, {symbol}, ε = 12"
    assert attack_in_words(attack, with_epsilon=False) == "PGD, 40 steps"
    assert norm_in_words(norm) == symbol


@pytest.mark.parametrize(
    ("attack", "text"),
    [
        ({"name": "stadv", "steps": 100, "bound": 0.05, "form": "faithful"}, "StAdv, 100 steps, bound 0.05"),
        (
            {"name": "recoloradv", "steps": 1, "bound": 0.06, "form": "corrected"},
            "ReColorAdv, 1 step, corrected, bound 0.06",
        ),
        (
            {
                "name": "lagrangian_perceptual",
                "steps": 40,
                "bound": 0.5,
                "features": {"layers": ["f.1"], "model": "alex"},
            },
            "LPA, 40 steps, in features of alex, bound 0.5",
        ),
        (
            {"name": "fast_lagrangian_perceptual", "steps": 10, "bound": 1.0, "features": {"layers": ["f.1"]}},
            "Fast-LPA, 10 steps, in the model's own features, bound 1",
        ),
    ],
)
def test_an_attack_in_a_metric_of_its_own_is_named_with_its_form_and_bound(attack: dict[str, Any], text: str) -> None:
    assert attack_in_words(attack) == text
    assert attack_in_words(attack, with_epsilon=False) == text.partition(", bound")[0]
    assert measure_in_words({"kind": "attack", "attack": attack, "examples": 9}) == f"{text}, on the first 9 examples"


def test_an_attack_without_radius_is_named_without_one() -> None:
    assert attack_in_words({"name": "deepfool", "norm": "l2", "steps": 50}) == "DeepFool, 50 steps, ℓ2"
    assert attack_in_words({"name": "deepfool", "norm": "linf", "epsilon": None}) == "DeepFool"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ""),
        ({"random_start": True, "search": None}, ""),
        ({"random_start": False}, ", random start = false"),
        ({"search": "bfloat16"}, ", search = bfloat16"),
    ],
)
def test_an_option_is_said_where_it_is_not_the_attacks_default(options: dict[str, Any], said: str) -> None:
    assert attack_in_words(PGD | options) == f"PGD, 40 steps{said}, ε = 0.3"


def test_an_attack_without_words_of_its_own_is_named_as_declared() -> None:
    attack = {"name": "spsa", "epsilon": 8 / 255, "steps": 1, "delta": 0.9, "start_from": "image", "seed": None}
    assert attack_in_words(attack) == "spsa, 1 step, delta = 0.9, start from = image, ε = 8/255"
    assert norm_in_words("lpips") == "lpips"


def test_a_curve_is_named_by_its_attack_and_the_ends_of_its_radii() -> None:
    attack = {"name": "bim", "steps": 10, "relative_step": 0.1}
    curve = {"name": "curve", "epsilons": [2 / 255, 4 / 255, 8 / 255], "attack": attack}
    assert curve_in_words(curve) == "BIM, 10 steps, at 3 ε from 2/255 to 8/255"
    assert curve_in_words({**curve, "epsilons": [0.3]}) == "BIM, 10 steps, at ε = 0.3"
    assert measure_in_words({"kind": "curve", "curve": curve}) == curve_in_words(curve)


def test_a_measure_over_epochs_is_named_by_its_attack() -> None:
    measure = {"kind": "over_epochs", "attack": {"name": "fgsm", "epsilon": 0.3}, "examples": 1000}
    assert measure_in_words(measure) == "FGSM, ε = 0.3, after each kept epoch, on the first 1,000 examples"


def test_a_transfer_says_which_model_its_examples_are_made_for() -> None:
    transfer = {"kind": "transfer", "attack": PGD, "targets": ["a", "b"], "source": None}
    assert transfer_in_words(transfer) == "PGD, 40 steps, ε = 0.3, tried on other models"
    assert measure_in_words({**transfer, "source": "erm"}) == "PGD, 40 steps, ε = 0.3, made for erm"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"split": "test", "examples": None, "shards": 4}, "FGSM, ε = 0.3"),
        ({"split": "test", "examples": 500}, "FGSM, ε = 0.3, on the first 500 examples"),
        ({"split": "train"}, "FGSM, ε = 0.3, on the training examples"),
        (
            {"split": "train", "examples": 500, "data": "svhn"},
            "FGSM, ε = 0.3, on the first 500 training examples of svhn",
        ),
        ({"data": "svhn"}, "FGSM, ε = 0.3, on svhn"),
        ({"data": "svhn", "clipped": False}, "FGSM, ε = 0.3, unclipped, on svhn"),
        ({"clipped": True}, "FGSM, ε = 0.3"),
    ],
)
def test_a_measure_says_on_which_examples_it_is_taken(options: dict[str, Any], text: str) -> None:
    assert measure_in_words({"kind": "attack", "attack": {"name": "fgsm", "epsilon": 0.3}, **options}) == text


def test_a_kind_of_measure_without_words_of_its_own_is_named_as_declared() -> None:
    assert measure_in_words({"kind": "decision_boundary", "resolution": 200}) == "decision boundary, resolution = 200"

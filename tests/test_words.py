"""How quantities are said in texts for people."""

from __future__ import annotations

from typing import Any

import pytest

from robustrepro.spec.registry import ATTACKS
from robustrepro.words import NAMES, attack_in_words, epsilon_in_words


@pytest.mark.parametrize(
    ("epsilon", "said"),
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
def test_a_radius_is_said_in_pixel_levels_where_papers_do(epsilon: float, said: str) -> None:
    assert epsilon_in_words(epsilon) == said


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ({"name": "clean"}, "no attack"),
        ({"name": "fgsm", "epsilon": 16 / 255}, "FGSM, ε = 16/255"),
        ({"name": "pgd", "epsilon": 0.3, "steps": 40, "step_size": 0.01}, "PGD, 40 steps, ε = 0.3"),
        ({"name": "noise", "epsilon": 0.3, "draws": 20}, "uniform noise, worst of 20, ε = 0.3"),
        (
            {"name": "autoattack", "epsilon": 0.5, "steps": 100, "version": "plus", "square_queries": 20000},
            "AutoAttack, plus, 20,000 queries of Square, ε = 0.5",
        ),
        (
            {"name": "pgd", "epsilon": 1.0, "steps": 9, "restarts": 5, "loss": "log_odds", "precision": "float64"},
            "PGD, 9 steps, 5 restarts, on the log-odds, in float64, ε = 1",
        ),
    ],
)
def test_an_attack_is_said_by_its_name_steps_and_radius(attack: dict[str, Any], said: str) -> None:
    assert attack_in_words(attack) == said
    assert attack_in_words(attack, with_epsilon=False) == said.partition(", ε")[0]


def test_every_attack_on_one_model_has_words() -> None:
    assert set(ATTACKS) - {"curve"} == {*NAMES, "clean"}  # a curve is at many ε

"""Figures without measurements: the mathematics that they draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from figure_cases import declared_with_data
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from torch import Tensor

from robustrepro.figures import curvature_sketch, gradient_pair, kernel_sketch, relaxed_hamming_sketch
from robustrepro.objectives.cem import cross_error_risk
from robustrepro.objectives.hamming import watched
from robustrepro.objectives.hrm import hollow_risk

POINTS = [[0.0, 0.0], [1.0, 0.2], [0.3, 1.0], [1.4, 1.1], [0.6, -0.8]]
RISKS: dict[str, Callable[[Tensor], Tensor]] = {
    "ERM": torch.mean,
    "HRM": lambda losses: hollow_risk(losses.sqrt()),
    "CEM": lambda losses: cross_error_risk(losses.sqrt()),
}
PAIR: dict[str, Any] = {"name": "gradient_pair", "losses": [0.5, 2.0], "lengths": [1.0, 1.2], "angle": 70.0}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


@given(
    st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)),
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
)
def test_the_gradients_of_a_pair_are_those_of_automatic_differentiation(
    losses: tuple[float, float], slopes: list[float]
) -> None:
    first, second = np.array(slopes[:2]), np.array(slopes[2:])
    found = gradient_pair.gradients(losses, first, second)
    for name, risk in RISKS.items():
        # Losses that are linear in two parameters, with the given values and gradients at 0.
        parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        values = torch.tensor(losses, dtype=torch.float64) + torch.tensor(np.stack([first, second])) @ parameters
        (gradient,) = torch.autograd.grad(risk(values), parameters)
        assert found[name] == pytest.approx(gradient.numpy(), rel=1e-9, abs=1e-12)


def test_the_printed_hrm_is_twice_too_long_and_the_printed_cem_points_elsewhere() -> None:
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    right = gradient_pair.gradients([1.0, 4.0], first, second)
    printed = gradient_pair.printed_gradients([1.0, 4.0], first, second)
    assert printed["ERM"].tolist() == right["ERM"].tolist() == [0.5, 0.5]
    assert printed["HRM"].tolist() == (2 * right["HRM"]).tolist() == [2.0, 0.5]
    assert right["CEM"].tolist() == [0.75, 0.375]
    assert printed["CEM"].tolist() == [2.5, 1.0]


@pytest.mark.parametrize("turn", [-170, -90, 0, 30, 179])
def test_an_angle_is_measured_without_its_sign(turn: float) -> None:
    first, second = (np.array([math.cos(angle), math.sin(angle)]) for angle in (0.4, 0.4 + math.radians(turn)))
    assert gradient_pair.angle_between(first, 3 * second) == pytest.approx(abs(turn), abs=1e-9)


def test_the_pair_is_drawn_right_and_as_printed_and_the_difference_is_said(tmp_path: Path) -> None:
    drawn = gradient_pair.draw(*declared_with_data(tmp_path, PAIR))
    first, second = np.array([1.0, 0.0]), 1.2 * np.array([math.cos(math.radians(70)), math.sin(math.radians(70))])
    both = [
        formulas([0.5, 2.0], first, second) for formulas in (gradient_pair.gradients, gradient_pair.printed_gradients)
    ]
    for axis, risks in zip(drawn.axes, both, strict=True):
        tips = {text.get_text(): np.array(text.xy) for text in axis.texts if text.get_text()}  # type: ignore[attr-defined]
        expected = {"∇L₁": first, "∇L₂": second, **risks}
        assert {name: tip.tolist() for name, tip in tips.items()} == {
            name: pytest.approx(tip.tolist()) for name, tip in expected.items()
        }
    cosine = both[0]["CEM"] @ both[1]["CEM"] / np.linalg.norm(both[0]["CEM"]) / np.linalg.norm(both[1]["CEM"])
    off = f"CEM {math.degrees(math.acos(cosine)):.1f}° off its direction"
    assert drawn.axes[1].get_title() == f"as printed: HRM is twice too long, {off}"
    assert drawn.get_suptitle().startswith("scale quick; L₁ = 0.5, L₂ = 2")


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_sketch_says_every_kernel_value_of_the_pair_and_their_product(tmp_path: Path, gamma: float) -> None:
    figure = {"name": "kernel_sketch", "points": POINTS, "gamma": gamma}
    drawn = kernel_sketch.draw(*declared_with_data(tmp_path, figure))

    def kernel(one: int, other: int) -> float:
        return math.exp(-gamma * math.dist(POINTS[one - 1], POINTS[other - 1]) ** 2)

    entry = sum(kernel(k, 1) * kernel(k, 2) for k in range(1, 6))
    assert drawn.axes[0].get_title().endswith(f"= {entry:.3f}")
    shown = dict(text.split(" = ") for text in texts(drawn) if " = " in text)
    pairs = {"G₂₁": (2, 1)} | {
        f"G{k}{i}": (n, m) for n, k in ((3, "₃"), (4, "₄"), (5, "₅")) for m, i in ((1, "₁"), (2, "₂"))
    }
    assert shown == {name: f"{kernel(*pair):.2f}" for name, pair in pairs.items()}
    assert {"x₁", "x₂", "x₃", "x₄", "x₅"} <= set(texts(drawn))


@pytest.mark.parametrize("at", [0.5, 1.8, 2.5])
def test_the_osculating_circle_of_the_sketch_bends_as_the_function_does(tmp_path: Path, at: float) -> None:
    figure = {"name": "curvature_sketch", "slope_at": 0.4, "curvature_at": at}
    drawn = curvature_sketch.draw(*declared_with_data(tmp_path, figure))
    (circle,) = drawn.axes[0].patches
    middle, radius = np.array(circle.center), circle.radius  # type: ignore[attr-defined]
    assert any(f"κ = 1/r = {1 / radius:.2f}" in text for text in texts(drawn))
    # Three points of the sine that come together lie on it.
    for x in (at - 1e-4, at, at + 1e-4):
        assert np.hypot(*(np.array([x, np.sin(x)]) - middle)) == pytest.approx(radius, abs=1e-9)
    assert any(f"slope: J = {np.cos(0.4):.2f}" in text for text in texts(drawn))


def test_the_sketched_distance_is_the_one_that_is_trained_with() -> None:
    pairs = torch.linspace(-2, 2, 9, dtype=torch.float64)
    one, other = (part.flatten() for part in torch.meshgrid(pairs, pairs, indexing="ij"))
    _, trained_with = watched(torch.cat([one, other])[:, None], 3.0)
    np.testing.assert_allclose(relaxed_hamming_sketch.relaxed_distance(one, other, 3.0), trained_with, atol=1e-12)


def test_the_sketch_shows_that_agreeing_patterns_are_near_and_others_far(tmp_path: Path) -> None:
    drawn = relaxed_hamming_sketch.draw(
        *declared_with_data(tmp_path, {"name": "relaxed_hamming_sketch", "sharpness": 1.0})
    )
    surface, contours = drawn.axes
    assert [axis.get_title() for axis in drawn.axes] == ["H_α, α = 1", "H_α, α = 1"]
    assert (surface.name, contours.get_xlabel(), contours.get_ylabel()) == ("3d", "ẑ", "ŷ")
    assert relaxed_hamming_sketch.relaxed_distance(2.0, 2.0, 1.0) == 0
    assert relaxed_hamming_sketch.relaxed_distance(2.0, -2.0, 50.0) == pytest.approx(1)

"""The clipped cross-entropy: its values, its bounds in float32, and where it gives no gradient at all."""

from __future__ import annotations

import math

import pytest
import torch
from objective_cases import step_of
from torch import Tensor, nn

from robustrepro.attacks.losses import attack_loss
from robustrepro.losses import clipped_cross_entropy, cross_entropy
from robustrepro.objectives.base import Objective
from robustrepro.objectives.cem import CrossErrorRisk
from robustrepro.objectives.hrm import HollowRisk

NEAREST_TO_ONE = 1 - 2**-23
"""1 − 1e-7 in float32, whose numbers lie 2⁻²⁴ apart just below 1."""


def gaps(*values: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return logits (N, 2) of two classes where the label's, class 0, is larger by each gap."""
    return torch.tensor([[gap, 0.0] for gap in values], dtype=dtype)


def slopes(logits: Tensor) -> Tensor:
    """Return the gradient of each example's clipped loss in its logits, (N, 2), the label being class 0."""
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(clipped_cross_entropy(logits, labels_of(logits)).sum(), logits)
    return gradient


def labels_of(logits: Tensor) -> Tensor:
    return torch.zeros(len(logits), dtype=torch.long)


def test_the_clipped_loss_is_the_cross_entropy_where_no_probability_is_near_0_or_1():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 3.5], [-9.0, 1.0, 0.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 0])
    torch.testing.assert_close(clipped_cross_entropy(logits, labels), cross_entropy(logits, labels))


def test_in_float32_the_clipped_loss_lies_between_the_bounds_of_keras():
    surest, most_wrong = clipped_cross_entropy(gaps(60, -60), torch.zeros(2, dtype=torch.long)).tolist()
    assert surest == pytest.approx(-math.log(NEAREST_TO_ONE), rel=1e-6)
    assert surest == pytest.approx(1.19e-7, rel=2e-3)
    assert most_wrong == pytest.approx(-math.log(1e-7), rel=1e-6)


@pytest.mark.parametrize("gap", [-60.0, -17.0, 17.0, 60.0])
def test_outside_of_the_bounds_the_gradient_is_exactly_0(gap: float):
    assert slopes(gaps(gap)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("gap", [-15.0, -3.0, 0.0, 3.0])
def test_inside_of_the_bounds_the_gradient_is_the_probability_less_the_label(gap: float):
    wrong = 1 / (1 + math.exp(gap))
    torch.testing.assert_close(slopes(gaps(gap, dtype=torch.float64)), torch.tensor([[-wrong, wrong]]).double())


def test_a_label_surer_by_15_still_has_a_gradient_in_float32():
    assert (slopes(gaps(15.0)) != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_clipped_in_float32(dtype: torch.dtype):
    # In half precision 1 − 1e-7 is 1, whose loss is 0: the root in HRM would have an infinite slope there.
    losses = clipped_cross_entropy(gaps(20, 4, dtype=dtype), torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(losses, clipped_cross_entropy(gaps(20, 4), torch.zeros(2, dtype=torch.long)))


@pytest.mark.parametrize("risk", [CrossErrorRisk, HollowRisk])
def test_clipped_risks_need_no_guard_where_those_of_the_plain_loss_do(risk: type[CrossErrorRisk | HollowRisk]):
    sure = gaps(200, 150, 120)

    def gradient(objective: Objective) -> Tensor:
        logits = sure.clone().requires_grad_()
        value = objective(nn.Identity(), step_of(logits, labels_of(logits))).value
        return torch.autograd.grad(value, logits)[0]

    assert gradient(risk(0.0, "clipped_cross_entropy")).tolist() == [[0.0, 0.0]] * 3
    assert gradient(risk(0.0, "cross_entropy")).isnan().any()


def test_an_attack_on_the_clipped_loss_stands_still_on_a_sure_image_and_one_on_the_margin_moves():
    for name, moves in (("clipped_cross_entropy", False), ("margin", True)):
        logits = gaps(30).requires_grad_()
        (gradient,) = torch.autograd.grad(attack_loss(name)(logits, labels_of(logits)).sum(), logits)
        assert bool(gradient.any()) is moves, name


def test_confidence_beyond_five_hardly_shows_in_the_cross_entropy() -> None:
    """Yu et al., "Interpreting Adversarial Robustness", 2018, Section 8.1: ten networks' logits of a label 0."""
    logits = torch.ones(10, 10, dtype=torch.float64)
    logits[:, 0] = torch.arange(10)
    found = cross_entropy(logits, torch.zeros(10, dtype=torch.int64))
    # Printed without their further digits, but for the ninth, which is rounded; the last one is wrong either way.
    printed = [3.23, 2.30, 1.46, 0.79, 0.37, 0.15, 0.05, 0.02, 0.01, 0.01]
    assert [math.floor(100 * value) / 100 for value in found[:8].tolist()] == printed[:8]
    assert round(found[8].item(), 2) == printed[8]
    assert found[9].item() == pytest.approx(0.003, abs=5e-5)

"""Objectives against the double loops that define them, and what their guard and their attacks promise."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from hypothesis import given
from hypothesis import strategies as st
from objective_cases import step_of
from torch import Tensor, nn

from robustrepro.implementations import made
from robustrepro.losses import cross_entropy
from robustrepro.objectives.base import Objective, guarded_roots
from robustrepro.objectives.cem import CrossErrorRisk, cross_error_risk
from robustrepro.objectives.erm import EmpiricalRisk
from robustrepro.objectives.hrm import HollowRisk, hollow_risk
from robustrepro.objectives.label_smoothing import SmoothedRisk
from robustrepro.objectives.v_matrix import VMatrixRisk
from robustrepro.spec.objectives import RadialBasisKernel, objective_adapter

GUARD = 1e-8
OURS = {
    "cem": lambda losses: cross_error_risk(guarded_roots(losses, GUARD)),
    "hrm": lambda losses: hollow_risk(guarded_roots(losses, GUARD)),
}
RBF = RadialBasisKernel(name="rbf", gamma=0.1)
EVERY_OBJECTIVE = [
    EmpiricalRisk(),
    CrossErrorRisk(GUARD),
    HollowRisk(GUARD),
    VMatrixRisk(RBF, hollow=False, guard=GUARD),
    VMatrixRisk(RBF, hollow=True, guard=GUARD),
]
losses_of_a_batch = st.lists(st.floats(0, 20, allow_subnormal=False), min_size=2, max_size=7).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


def over_pairs(losses: Tensor, guard: float, *, diagonal: bool) -> Tensor:
    """Return the mean of √((Lᵢ + δ)(Lⱼ + δ)) over all pairs, term by term."""
    terms = [
        (losses[i] + guard).sqrt() * (losses[j] + guard).sqrt()
        for i in range(len(losses))
        for j in range(len(losses))
        if diagonal or i != j
    ]
    return torch.stack(terms).mean()


def gradient(value: Tensor, inputs: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(value, inputs)
    return found


def test_smoothed_labels_mix_the_label_with_all_classes() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]]), torch.tensor([0, 2])
    negative = -logits.log_softmax(1)
    expected = 0.9 * negative[torch.arange(2), labels] + 0.1 * negative.mean(1)
    torch.testing.assert_close(SmoothedRisk(0.1).example_losses(logits, labels), expected)
    torch.testing.assert_close(SmoothedRisk(0.0).example_losses(logits, labels), cross_entropy(logits, labels))


@pytest.mark.parametrize("name", OURS)
@given(losses=losses_of_a_batch)
def test_the_closed_form_and_its_gradient_are_those_of_the_double_loop(name: str, losses: Tensor) -> None:
    def reference(values: Tensor) -> Tensor:
        return over_pairs(values, GUARD, diagonal=name == "cem")

    losses = losses.clone().requires_grad_()
    ours, theirs = OURS[name](losses), reference(losses)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient(ours, losses), gradient(theirs, losses), rtol=1e-9, atol=1e-12)


@given(losses=losses_of_a_batch)
def test_cem_is_hrm_and_the_diagonal(losses: Tensor) -> None:
    count = len(losses)
    whole = count**2 * OURS["cem"](losses)
    hollow = count * (count - 1) * OURS["hrm"](losses)
    torch.testing.assert_close(whole, hollow + count * (losses + GUARD).mean(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 128])
def test_hrm_of_equal_losses_is_their_mean(count: int) -> None:
    losses = torch.full((count,), 0.7, dtype=torch.float64)
    assert hollow_risk(losses.sqrt()).item() == pytest.approx(0.7, rel=1e-12)


def test_hrm_of_one_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two losses, not 1"):
        hollow_risk(torch.ones(1))


def logits_with_losses_of_zero(count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 2
    logits = 2000.0 * F.one_hot(labels, 2).double()
    assert cross_entropy(logits, labels).tolist() == [0.0] * count
    return logits, labels


@pytest.mark.parametrize(
    "objective",
    [
        CrossErrorRisk(0.25),
        HollowRisk(0.25),
        VMatrixRisk(RBF, hollow=False, guard=0.25),
        VMatrixRisk(RBF, hollow=True, guard=0.25),
    ],
)
def test_the_guard_is_in_every_place_so_that_without_losses_the_risk_is_the_guard(objective: Objective) -> None:
    # In the first sum of HRM alone, it would come to N/(N − 1) times the guard.
    logits, labels = logits_with_losses_of_zero(4)
    assert objective(nn.Identity(), step_of(logits, labels)).value.item() == pytest.approx(0.25, rel=1e-12)


@pytest.mark.parametrize("objective", EVERY_OBJECTIVE)
@pytest.mark.parametrize("right", [1, 4])
def test_gradients_are_finite_where_losses_are_zero(objective: Objective, right: int) -> None:
    logits, labels = logits_with_losses_of_zero(4)
    logits[right:] = 0.0
    logits.requires_grad_()
    assert gradient(objective(nn.Identity(), step_of(logits, labels)).value, logits).isfinite().all()


@pytest.mark.parametrize("name", ["erm", "cem", "hrm"])
def test_an_objective_is_its_formula_over_the_cross_entropies_of_the_model(name: str) -> None:
    model, inputs, labels = a_model_and_a_batch()
    options = {} if name == "erm" else {"guard": 0.01}
    declared = objective_adapter.validate_python({"name": name, **options})
    risk = made(declared)(model, step_of(inputs, labels))
    logits = model(inputs)
    losses = torch.stack([-logits[i].log_softmax(0)[label] for i, label in enumerate(labels)])
    expected = losses.mean() if name == "erm" else over_pairs(losses, 0.01, diagonal=name == "cem")
    torch.testing.assert_close(risk.value, expected)
    assert torch.equal(risk.logits, logits)


def a_model_and_a_batch() -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model, torch.randn(6, 3, generator=generator, dtype=torch.float64), torch.arange(6) % 4


@pytest.mark.parametrize("objective", EVERY_OBJECTIVE)
def test_an_attack_with_the_training_objective_points_where_cross_entropy_and_the_batch_point(
    objective: Objective,
) -> None:
    model, inputs, labels = a_model_and_a_batch()
    inputs.requires_grad_()
    ours = gradient(objective.example_losses(model(inputs), labels).sum(), inputs)
    entropy = gradient(F.cross_entropy(model(inputs), labels, reduction="sum"), inputs)
    batch = gradient(objective(model, step_of(inputs, labels)).value, inputs)
    for other in (entropy, batch):
        assert F.cosine_similarity(ours, other, dim=1).tolist() == pytest.approx([1.0] * len(inputs), abs=1e-12)


def test_the_slope_at_a_loss_of_zero_is_that_of_the_guard() -> None:
    losses = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    assert gradient(guarded_roots(losses, 1e-4).sum(), losses).item() == pytest.approx(1 / (2 * math.sqrt(1e-4)))

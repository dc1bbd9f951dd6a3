"""Gradient regularisation: its norms against closed forms, its second derivatives against finite differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from objective_cases import step_of
from pydantic import ValidationError
from torch import Tensor, nn
from torch.func import grad, vmap
from training_cases import a_training

from robustrepro.implementations import made
from robustrepro.logit_functions import FUNCTIONS
from robustrepro.losses import cross_entropy
from robustrepro.objectives.adversarial import AdversarialRisk
from robustrepro.objectives.base import Objective, Step
from robustrepro.spec.objectives import objective_adapter
from robustrepro.training import loop

FEATURES, CLASSES = 5, 3
LENGTHS = {
    "l1": lambda slopes: slopes.abs().sum(1),
    "l2": lambda slopes: slopes.square().sum(1).sqrt(),
    "linf": lambda slopes: slopes.abs().amax(1),
    "squared_l2": lambda slopes: slopes.square().sum(1),
}
FGSM = {"name": "fgsm", "epsilon": 0.1}


def objective(**options: Any) -> Objective:
    declared = {"name": "gradient_regularisation", "function": "margin", "norm": "l2", "coefficient": 0.5, **options}
    return made(objective_adapter.validate_python(declared))


@pytest.fixture
def model() -> nn.Module:
    """Smooth, so that finite differences are near its derivatives everywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh(), nn.Linear(8, CLASSES)).double()


@pytest.fixture
def step() -> Step:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(12, FEATURES, generator=generator, dtype=torch.float64)
    return step_of(inputs, torch.arange(12) % CLASSES)


def slopes_one_by_one(model: nn.Module, step: Step, function: str) -> Tensor:
    """Return ∂L/∂x of each example, from each example alone, by another differentiator."""

    def of_one(image: Tensor, label: Tensor) -> Tensor:
        return FUNCTIONS[function](model(image[None]), label[None])[0]

    return vmap(grad(of_one))(step.inputs, step.labels)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("norm", LENGTHS)
def test_it_is_equation_11_with_each_norm_and_each_function(model, step, function, norm) -> None:
    risk = objective(function=function, norm=norm, coefficient=0.7)(model, step)
    loss = F.cross_entropy(model(step.inputs), step.labels)
    steepness = LENGTHS[norm](slopes_one_by_one(model, step, function)).mean()
    torch.testing.assert_close(risk.value, loss + 0.7 * steepness)
    torch.testing.assert_close(dict(risk.terms), {"loss_without_norm": loss, "gradient_norm": steepness})
    torch.testing.assert_close(risk.logits, model(step.inputs))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("norm", LENGTHS)
def test_the_gradient_of_the_weights_is_that_of_finite_differences(model, step, function, norm) -> None:
    risk_of = objective(function=function, norm=norm, coefficient=2.0)
    weights = model[0].weight
    (found,) = torch.autograd.grad(risk_of(model, step).value, weights)
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    start, tiny, values = weights.detach().clone(), 1e-5, []
    for sign in (1, -1):
        weights.data = start + sign * tiny * direction
        values.append(risk_of(model, step).value.item())
    assert (found * direction).sum().item() == pytest.approx((values[0] - values[1]) / (2 * tiny), rel=1e-5)


@pytest.mark.parametrize("norm", LENGTHS)
def test_the_margin_of_a_linear_model_is_as_steep_as_the_difference_of_two_rows(norm) -> None:
    linear = nn.Linear(FEATURES, CLASSES, bias=False).double()
    weights = torch.tensor([[1.0, 0, 2, 0, 0], [0, -3, 0, 0, 4], [0, 0, 0, 0, 0]])
    linear.weight.data = weights.double()
    risk = objective(norm=norm)(linear, step_of(torch.ones(1, FEATURES).double(), torch.tensor([0])))
    # Logits 3, 1 and 0: the label 0 wins over 1.
    expected = {"l1": 10.0, "l2": 30**0.5, "linf": 4.0, "squared_l2": 30.0}[norm]
    assert risk.terms["gradient_norm"].item() == pytest.approx(expected)


@pytest.mark.parametrize("norm", LENGTHS)
def test_a_model_that_does_not_look_at_its_images_has_a_finite_gradient(step, norm) -> None:
    blind = nn.Linear(FEATURES, CLASSES).double()
    blind.weight.data.zero_()
    risk = objective(norm=norm)(blind, step)
    assert risk.terms["gradient_norm"] == 0
    risk.value.backward()
    assert blind.weight.grad.isfinite().all()


def test_beside_adversarial_training_its_risk_takes_the_place_of_the_loss(model, step) -> None:
    beside = {"name": "adversarial", "adversary": FGSM, "clean_weight": 0.5, "clipped": False}
    declared = objective_adapter.validate_python(beside)
    alone = AdversarialRisk(declared.adversary, clean_weight=0.5, clipped=False)(model, step)
    risk = objective(beside=beside, coefficient=0.3)(model, step)
    steepness = LENGTHS["l2"](slopes_one_by_one(model, step, "margin")).mean()
    torch.testing.assert_close(risk.value, alone.value + 0.3 * steepness)
    assert {*risk.terms} == {"clean_loss", "adversarial_loss", "loss_without_norm", "gradient_norm"}
    torch.testing.assert_close(risk.logits, alone.logits)


def test_the_batch_is_left_as_it_was_and_no_gradient_reaches_the_images(model, step) -> None:
    before = step.inputs.clone()
    objective()(model, step).value.backward()
    assert torch.equal(step.inputs, before)
    assert not step.inputs.requires_grad
    assert step.inputs.grad is None


def test_training_with_it_flattens_the_margin(tmp_path: Path) -> None:
    steepness = {}
    for name, used in {"without": objective(coefficient=1e-9), "with": objective(coefficient=1.0)}.items():
        model, training = a_training("lenet5", objective=used, epochs=6)
        history = loop.train(model, training, tmp_path / name, report=lambda _: None)
        steepness[name] = history[-1]["gradient_norm"]
    assert steepness["with"] < 0.5 * steepness["without"]


def test_the_losses_that_an_attack_ascends_are_those_without_the_norm(model, step) -> None:
    logits = model(step.inputs)
    torch.testing.assert_close(objective().example_losses(logits, step.labels), cross_entropy(logits, step.labels))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coefficient": 0}, "greater than 0"),
        ({"norm": "l3"}, "'l1', 'l2', 'linf' or 'squared_l2'"),
        ({"function": "logits"}, "'margin', 'confidence' or 'cross_entropy'"),
        (
            {"beside": {"name": "adversarial", "adversary": FGSM, "loss": "clipped_cross_entropy"}},
            "beside.loss is clipped_cross_entropy, but loss is cross_entropy; expected the same",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_when_it_is_declared(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        objective(**options)

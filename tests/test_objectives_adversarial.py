"""Adversarial training: its steps against brute force over the ball, its two losses, and what it leaves alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from objective_cases import step_of
from pydantic import ValidationError
from torch import Tensor, nn
from training_cases import Recording, same, trained

from robustrepro.attacks.norms import NORMS
from robustrepro.losses import cross_entropy
from robustrepro.objectives.adversarial import AdversarialRisk
from robustrepro.objectives.base import Step
from robustrepro.spec.attacks import ATTACKS, Fgsm, GradientAttack, Pgd
from robustrepro.spec.objectives import objective_adapter

FEATURES = 5
EPSILON = 0.3


def fgsm(norm: str = "linf", epsilon: float = EPSILON) -> Fgsm:
    return Fgsm(name="fgsm", norm=norm, epsilon=epsilon)


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 3)).double()


@pytest.fixture
def step() -> Step:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(12, FEATURES, generator=generator, dtype=torch.float64)
    return step_of(inputs, torch.arange(12) % 3)


def gradient_at(model: nn.Module, step: Step) -> Tensor:
    inputs = step.inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(model(inputs), step.labels, reduction="sum"), inputs)
    return gradient


def extreme_points(norm: str) -> Tensor:
    """Points of the unit ball among which a linear function has its maximum, in ℓ2 to within 2%."""
    if norm == "linf":
        return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=FEATURES)), dtype=torch.float64)
    if norm == "l1":
        return torch.cat([torch.eye(FEATURES), -torch.eye(FEATURES)]).double()
    directions = torch.randn(200_000, FEATURES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return F.normalize(directions, dim=1)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_step_maximises_the_linear_loss_over_its_ball(model, step, norm) -> None:
    moved = AdversarialRisk(fgsm(norm), clipped=False).adversarial_examples(model, step) - step.inputs
    assert (NORMS[norm].length(moved) <= EPSILON * (1 + 1e-12)).all()
    gradient = gradient_at(model, step)
    reached = (gradient * moved).sum(1)
    best = (gradient @ (EPSILON * extreme_points(norm)).T).amax(1)
    assert (reached >= best * (1 - 1e-12)).all()
    assert (reached <= best * (1.02 if norm == "l2" else 1 + 1e-12)).all()


def test_in_the_maximum_norm_it_is_the_fast_gradient_sign_method(model, step) -> None:
    found = AdversarialRisk(fgsm(), clipped=False).adversarial_examples(model, step)
    torch.testing.assert_close(found, step.inputs + EPSILON * gradient_at(model, step).sign(), rtol=0, atol=1e-15)


def test_in_the_sum_norm_it_changes_one_coordinate_of_each_example(model, step) -> None:
    moved = AdversarialRisk(fgsm("l1"), clipped=False).adversarial_examples(model, step) - step.inputs
    assert (moved.ne(0).sum(1) == 1).all()
    assert torch.equal(moved.abs().argmax(1), gradient_at(model, step).abs().argmax(1))


def test_without_clean_weight_only_adversarial_examples_count_and_their_change_carries_no_gradient(model, step) -> None:
    objective = AdversarialRisk(fgsm())
    points = objective.adversarial_examples(model, step)
    assert not points.requires_grad
    risk = objective(model, step)
    by_hand = F.cross_entropy(model(points), step.labels)
    torch.testing.assert_close(risk.value, by_hand)
    assert torch.equal(risk.logits, model(points))
    assert risk.terms == {}
    ours, theirs = (torch.autograd.grad(value, list(model.parameters())) for value in (risk.value, by_hand))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("weight", [0.25, 0.5])
def test_with_clean_weight_it_is_equation_3(model, step, weight) -> None:
    objective = AdversarialRisk(fgsm(), clean_weight=weight)
    risk = objective(model, step)
    clean = F.cross_entropy(model(step.inputs), step.labels)
    adversarial = F.cross_entropy(model(objective.adversarial_examples(model, step)), step.labels)
    torch.testing.assert_close(risk.value, weight * clean + (1 - weight) * adversarial)
    torch.testing.assert_close(dict(risk.terms), {"clean_loss": clean, "adversarial_loss": adversarial})


def test_on_a_linear_model_it_is_the_closed_form_of_the_robust_problem(step) -> None:
    weights = torch.randn(FEATURES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    class TwoClasses(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            score = inputs @ weights
            return torch.stack([score, -score], dim=1)

    labels = step.labels % 2
    signs = 1.0 - 2 * labels
    for norm, dual in (("linf", 1), ("l2", 2), ("l1", torch.inf)):
        objective = AdversarialRisk(fgsm(norm), clipped=False)
        found = objective(TwoClasses(), step_of(step.inputs, labels)).value
        margins = signs * (step.inputs @ weights) - EPSILON * torch.linalg.vector_norm(weights, dual)
        torch.testing.assert_close(found, F.softplus(-2 * margins).mean())


def test_pixels_stay_in_their_range_unless_they_may_leave_it(model, step) -> None:
    inside, outside = (
        AdversarialRisk(fgsm(), clipped=clipped).adversarial_examples(model, step) for clipped in (True, False)
    )
    assert (inside.min(), inside.max()) == (0, 1)
    assert outside.min() < 0
    assert outside.max() > 1


def test_the_mode_of_the_model_its_gradients_and_the_random_state_are_left_alone(step) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = torch.random.get_rng_state()
    AdversarialRisk(Pgd(name="pgd", epsilon=EPSILON, steps=2, step_size=0.2))(model, step)
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_random_start_is_drawn_from_the_generator_of_the_step(model, step) -> None:
    objective = AdversarialRisk(Pgd(name="pgd", epsilon=EPSILON, steps=1, step_size=1e-9))

    def points(seed: int) -> Tensor:
        return objective.adversarial_examples(model, step_of(step.inputs, step.labels, seed=seed))

    assert torch.equal(points(0), points(0))
    assert (points(0) != points(1)).any(1).all()
    without = AdversarialRisk(fgsm())
    state = step.generator.get_state()
    without(model, step)
    assert torch.equal(step.generator.get_state(), state)


def test_an_interrupted_adversarial_training_continues_to_the_same_bits(tmp_path: Path) -> None:
    def objective() -> AdversarialRisk:
        return AdversarialRisk(Pgd(name="pgd", epsilon=0.1, steps=2, step_size=0.05), clean_weight=0.5)

    whole, history = trained(tmp_path / "whole", objective=objective())
    assert {"clean_loss", "adversarial_loss"} <= history[0].keys()
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state", objective=Recording(objective(), stop_in_batch=5))
    assert same(trained(tmp_path / "state", objective=objective())[0], whole)


def test_its_attack_with_the_training_objective_ascends_the_loss_of_an_example() -> None:
    logits, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(4)), torch.arange(6) % 3
    assert torch.equal(AdversarialRisk(fgsm()).example_losses(logits, labels), cross_entropy(logits, labels))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clean_weight": 1}, "clean_weight"),
        ({"adversary": {"name": "fgsm", "epsilon": 0.1, "precision": "float64"}}, "a training computes in float32"),
        (
            {"adversary": {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.1, "restarts": 2}},
            "every update attacks anew, expected restarts: 1",
        ),
        ({"adversary": {"name": "noise", "epsilon": 0.1}}, "'fgsm', 'bim', 'mi_fgsm', 'pgd'"),
        ({"adversary": {"name": "autoattack", "epsilon": 0.1}}, "'fgsm', 'bim', 'mi_fgsm', 'pgd'"),
    ],
    ids=["clean weight", "precision", "restarts", "noise", "adversary"],
)
def test_an_adversary_that_suits_no_training_is_refused(change, message) -> None:
    declared = {"name": "adversarial", "adversary": {"name": "fgsm", "epsilon": 0.1}}
    objective_adapter.validate_python(declared)
    with pytest.raises(ValidationError, match=message):
        objective_adapter.validate_python(declared | change)


def test_every_registered_attack_that_follows_a_gradient_can_train() -> None:
    lengths = {"epsilon": 0.1, "step_size": 0.02, "steps": 2}
    for name, kind in ATTACKS.items():
        if issubclass(kind, GradientAttack):
            options = {key: value for key, value in lengths.items() if key in kind.model_fields}
            adversary = {"name": name, **options}
            declared = objective_adapter.validate_python({"name": "adversarial", "adversary": adversary})
            assert type(declared.adversary) is kind

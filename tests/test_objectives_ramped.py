"""Adversarial training in a growing ball: what ε each update meets, and that it is adversarial training otherwise."""

from __future__ import annotations

import pytest
import torch
from objective_cases import step_of
from pydantic import ValidationError
from torch import nn

from robustrepro.objectives.adversarial import AdversarialRisk
from robustrepro.objectives.base import Step
from robustrepro.objectives.ramped_adversarial import RampedAdversarialRisk
from robustrepro.spec.attacks import Bim, Pgd
from robustrepro.spec.objectives import objective_adapter

BIM = Bim(name="bim", epsilon=0.3, steps=3, step_size=0.2)
PGD = {"name": "pgd", "epsilon": 0.3, "steps": 2, "step_size": 0.2}


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).double()


def step_at(epoch: float) -> Step:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(12, 5, generator=generator, dtype=torch.float64)
    step = step_of(inputs, torch.arange(12) % 3)
    return Step(step.inputs, step.labels, step.indices, epoch, step.generator)


@pytest.mark.parametrize(("epoch", "share"), [(0.0, 0.0), (0.5, 0.25), (1.5, 0.75), (2.0, 1.0), (7.0, 1.0)])
def test_the_ball_and_the_steps_grow_along_a_line_until_the_ball_is_full(
    model: nn.Module, epoch: float, share: float
) -> None:
    step, risk = step_at(epoch), RampedAdversarialRisk(BIM, ramp=2.0)
    moved = (risk.within_ball_of(epoch).adversarial_examples(model, step) - step.inputs).abs().amax()
    assert moved.item() == pytest.approx(share * 0.3, abs=1e-12)
    single = RampedAdversarialRisk(BIM.model_copy(update={"steps": 1}), ramp=2.0)
    first = (single.within_ball_of(epoch).adversarial_examples(model, step) - step.inputs).abs().amax()
    assert first.item() == pytest.approx(share * 0.2, abs=1e-12)


@pytest.mark.parametrize("clean_weight", [0.0, 0.5])
def test_with_a_full_ball_it_is_adversarial_training(model: nn.Module, clean_weight: float) -> None:
    ramped = RampedAdversarialRisk(BIM, ramp=2.0, clean_weight=clean_weight)(model, step_at(2.0))
    plain = AdversarialRisk(BIM, clean_weight)(model, step_at(2.0))
    assert torch.equal(ramped.value, plain.value)
    assert ramped.terms.keys() == plain.terms.keys()


def test_at_the_very_start_the_examples_are_the_images(model: nn.Module) -> None:
    step = step_at(0.0)
    value = RampedAdversarialRisk(BIM, ramp=2.0)(model, step).value
    assert value.item() == pytest.approx(nn.functional.cross_entropy(model(step.inputs), step.labels).item())


def test_random_starts_stay_in_the_small_ball(model: nn.Module) -> None:
    step = step_at(0.1)
    risk = RampedAdversarialRisk(Pgd.model_validate(PGD), ramp=2.0)
    moved = (risk.within_ball_of(0.1).adversarial_examples(model, step) - step.inputs).abs().amax()
    assert 0 < moved.item() <= 0.05 * 0.3 + 1e-12


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ramp": 0}, "greater than 0"),
        ({"adversary": {"name": "fgsm", "epsilon": 0.3}}, "bim"),
        ({"adversary": {**PGD, "restarts": 2}}, "expected restarts: 1"),
        ({"adversary": {**PGD, "precision": "float64"}}, "a training computes in float32"),
    ],
)
def test_what_no_training_can_run_is_refused(changed: dict, message: str) -> None:
    declared = {"name": "ramped_adversarial", "ramp": 2, "adversary": PGD, **changed}
    with pytest.raises(ValidationError, match=message):
        objective_adapter.validate_python(declared)

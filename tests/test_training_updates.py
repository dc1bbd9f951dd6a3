"""What happens in an update: optimisers, schedules, and what an objective sees, draws and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from training_cases import EPOCHS, Recording, a_training, same, stop_after, trained

from robustrepro.objectives.base import Risk, Step
from robustrepro.objectives.erm import EmpiricalRisk
from robustrepro.schedules import value_at
from robustrepro.spec.schedules import Ramp
from robustrepro.training import loop

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam, cosine": {"name": "adam", "learning_rate": {"name": "cosine", "initial": 0.05, "final": 0.0, "epochs": 4}},
    "sgd": {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.01},
    "momentum, ramp": {
        "name": "sgd",
        "learning_rate": {"name": "ramp", "initial": 0.0, "final": 0.1, "epochs": 3},
        "momentum": 0.9,
        "nesterov": True,
    },
    "momentum, steps": {
        "name": "sgd",
        "learning_rate": {"name": "steps", "initial": 0.1, "factor": 0.5, "at": [1, 2.5]},
        "momentum": 0.5,
    },
    "of Torch7": {"name": "torch7_sgd", "learning_rate": 0.1, "momentum": 0.9},
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_optimiser_and_schedule_continue_to_the_same_bits(tmp_path: Path, optimizer: dict[str, Any]) -> None:
    expected, _ = trained(tmp_path / "other", optimizer=optimizer)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "state", optimizer=optimizer, report=stop_after(2))
    assert same(trained(tmp_path / "state", optimizer=optimizer)[0], expected)
    assert not same(trained(tmp_path / "adam")[0], expected)


@pytest.mark.parametrize(("name", "momentum"), [("sgd", 0.0), ("sgd", 0.9), ("torch7_sgd", 0.9)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_sgd_takes_the_steps_of_its_definition_at_the_rates_of_its_schedule(
    tmp_path: Path, name: str, momentum: float, weight_decay: float
) -> None:
    nesterov, dampening = name == "sgd" and momentum > 0, momentum if name == "torch7_sgd" else 0.0
    rate = {"name": "ramp", "initial": 0.2, "final": 0.0, "epochs": EPOCHS}
    optimizer = {"name": name, "learning_rate": rate, "momentum": momentum} | ({"nesterov": True} if nesterov else {})
    values: list[Tensor] = []
    gradients: list[Tensor] = []

    def observe(model: nn.Module) -> None:
        values.append(parameters_to_vector(model.parameters()).detach().clone())
        gradients.append(torch.cat([value.grad.flatten() for value in model.parameters() if value.grad is not None]))

    weights, _ = trained(tmp_path / "state", optimizer={**optimizer, "weight_decay": weight_decay}, observe=observe)
    values.append(torch.cat([value.flatten() for value in weights.values()]))
    velocity = torch.zeros_like(values[0])
    for update, gradient in enumerate(gradients):
        learning_rate = 0.2 * (1 - update / len(gradients))  # two updates per epoch
        decayed = gradient + weight_decay * values[update]
        # Torch7, too, begins with the first gradient as it is.
        velocity = momentum * velocity + (1 - dampening if update else 1) * decayed
        direction = decayed + momentum * velocity if nesterov else velocity
        torch.testing.assert_close(values[update + 1], values[update] - learning_rate * direction)


def test_a_step_says_when_it_is_and_which_examples_it_sees(tmp_path: Path) -> None:
    objective = Recording(EmpiricalRisk())
    model, training = a_training(objective=objective)
    loop.train(model, training, tmp_path / "state", report=lambda _: None)
    assert [step.epoch for step in objective.steps] == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    for step in objective.steps:
        assert torch.equal(training.inputs[step.indices], step.inputs)
        assert torch.equal(training.labels[step.indices], step.labels)


class Drawing(Recording):
    """An objective that draws from its generator, or does not."""

    def __init__(self, draws: int) -> None:
        super().__init__(EmpiricalRisk())
        self.draws = draws
        self.drawn: list[float] = []

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        if self.draws:
            self.drawn.append(torch.rand(self.draws, generator=step.generator)[0].item())
        return super().__call__(model, step)


def test_what_an_objective_draws_changes_no_other_random_number_and_is_resumed(tmp_path: Path) -> None:
    drawing, silent = Drawing(3), Drawing(0)
    assert same(trained(tmp_path / "1", objective=drawing)[0], trained(tmp_path / "2", objective=silent)[0])
    assert drawing.batches == silent.batches
    assert len(set(drawing.drawn)) == 2 * EPOCHS
    resumed = Drawing(3)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", objective=Drawing(3), report=stop_after(2))
    trained(tmp_path / "cut", objective=resumed)
    assert resumed.drawn == drawing.drawn[4:]
    other = Drawing(3)
    trained(tmp_path / "other", objective=other, seed=1)
    assert not set(other.drawn) & set(drawing.drawn)


def test_terms_become_columns_weighted_by_the_size_of_the_batch(tmp_path: Path) -> None:
    class WithTerms(Recording):
        """The n-th batch has a term n; 33 examples in batches of 20 are batches of 20 and 13."""

        def __call__(self, model: nn.Module, step: Step) -> Risk:
            risk = super().__call__(model, step)
            return risk._replace(terms={"number": torch.tensor(float(len(self.batches))), "half": risk.value / 2})

    weights, history = trained(tmp_path / "state", objective=WithTerms(EmpiricalRisk()), batch_size=20)
    assert list(history[0]) == ["epoch", "loss", "accuracy", "number", "half", "seconds", "images_per_second"]
    assert history[0]["number"] == (20 * 1 + 13 * 2) / 33
    assert history[1]["number"] == (20 * 3 + 13 * 4) / 33
    assert [entry["half"] for entry in history] == pytest.approx([entry["loss"] / 2 for entry in history], rel=1e-6)
    assert same(weights, trained(tmp_path / "without", objective=EmpiricalRisk(), batch_size=20)[0])


@pytest.mark.parametrize(
    ("names", "message"),
    [(["loss"], "loss: a column of every history"), (["a", "b"], "the same terms in every batch")],
    ids=["a name that is taken", "names that change"],
)
def test_terms_that_cannot_be_columns_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    class WithTerms(Recording):
        def __call__(self, model: nn.Module, step: Step) -> Risk:
            risk = super().__call__(model, step)
            return risk._replace(terms={names[len(self.batches) % len(names)]: risk.value})

    with pytest.raises(ValueError, match=message):
        trained(tmp_path / "state", objective=WithTerms(EmpiricalRisk()))


def test_the_weight_of_a_term_follows_its_schedule_also_after_an_interrupt(tmp_path: Path) -> None:
    class Weighted(Recording):
        """Cross-entropy with a weight that rises from 0 to 1 within two epochs."""

        def __call__(self, model: nn.Module, step: Step) -> Risk:
            weight = value_at(Ramp(name="ramp", initial=0.0, final=1.0, epochs=2.0), step.epoch)
            risk = super().__call__(model, step)
            return risk._replace(value=weight * risk.value, terms={"weight": torch.tensor(weight)})

    whole, history = trained(tmp_path / "whole", objective=Weighted(EmpiricalRisk()))
    assert [entry["weight"] for entry in history] == [0.125, 0.625, 1, 1]
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", objective=Weighted(EmpiricalRisk()), report=stop_after(1))
    resumed, history = trained(tmp_path / "cut", objective=Weighted(EmpiricalRisk()))
    assert same(resumed, whole)
    assert [entry["weight"] for entry in history] == [0.125, 0.625, 1, 1]

"""Trainings on a few random examples, and objectives that record what they see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustrepro.models.build import build_network
from robustrepro.objectives.base import Objective, Risk, Step
from robustrepro.objectives.hrm import HollowRisk
from robustrepro.spec.training import TrainingSpec
from robustrepro.training import loop

Weights = dict[str, Tensor]
EPOCHS = 4
ADAM: dict[str, Any] = {"name": "adam", "learning_rate": 0.01}
NETWORKS: dict[str, tuple[dict[str, Any], tuple[int, ...], int]] = {
    "mlp": ({"name": "mlp", "hidden": [8, 8]}, (2,), 2),
    "lenet5": ({"name": "lenet5"}, (1, 28, 28), 10),
}


def a_training(
    network: str = "mlp", *, objective: Objective | None = None, seed: int = 0, **options: Any
) -> tuple[nn.Module, loop.Training]:
    """Return a network and its training on 33 random examples: two batches of 16 and one example left over."""
    architecture, shape, classes = NETWORKS[network]
    augment = options.pop("augment", None)
    spec = TrainingSpec.model_validate(
        {
            "dataset": "none",
            "network": {"architecture": architecture},
            "objective": {"name": "erm"},
            "optimizer": ADAM,
            "epochs": EPOCHS,
            "batch_size": 16,
            **options,
        }
    )
    inputs = torch.rand(33, *shape, generator=torch.Generator().manual_seed(1))
    objective = objective or HollowRisk(1e-8)
    training = loop.Training("a-model", seed, spec, inputs, torch.arange(33) % classes, objective, augment)
    return build_network(spec.network, shape, classes, seed=seed), training


def trained(
    state: Path,
    network: str = "mlp",
    *,
    report: Callable[[loop.Epoch], None] = lambda _: None,
    evaluate: Callable[[nn.Module], float] | None = None,
    observe: Callable[[nn.Module], None] | None = None,
    **options: Any,
) -> tuple[Weights, list[loop.Epoch]]:
    """Train and return weights and history."""
    model, training = a_training(network, **options)
    history = loop.train(model, training, state, report=report, evaluate=evaluate, observe=observe)
    return model.state_dict(), history


def same(first: Weights, second: Weights) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stop_after(epoch: int, error: type[BaseException] = KeyboardInterrupt) -> Callable[[loop.Epoch], None]:
    def report(entry: loop.Epoch) -> None:
        if entry["epoch"] == epoch:
            raise error

    return report


class Recording:
    """An objective that notes its batches, and can stop in the middle of an epoch."""

    def __init__(self, objective: Objective, stop_in_batch: int | None = None) -> None:
        self.objective, self.stop_in_batch = objective, stop_in_batch
        self.batches: list[list[list[float]]] = []
        self.steps: list[Step] = []

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        if len(self.batches) == self.stop_in_batch:
            raise KeyboardInterrupt
        self.batches.append(step.inputs.tolist())
        self.steps.append(step)
        return self.objective(model, step)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.objective.example_losses(logits, labels)

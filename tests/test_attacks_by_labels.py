"""The attacks that see labels alone: they find what gradients find on a network, and need none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from attack_cases import linear_case, random_case
from torch import Tensor, nn

from robustrepro.attacks.measure import measure
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.errors import UserError
from robustrepro.spec.attacks import Inputs, attack_adapter

COUNT = 40
RAYS = {"name": "rays", "queries": 2000}
HOP = {"name": "hop_skip_jump", "steps": 15}


class LabelsOnly(nn.Module):
    """A model that says its class, and how sure it is not."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.model(inputs)
        return nn.functional.one_hot(logits.argmax(1), logits.shape[1]).to(inputs.dtype)


def attacked(model: nn.Module, images: Tensor, labels: Tensor, **attack: Any) -> AttackOutcome:
    spec = attack_adapter.validate_python(attack)
    return measure(model, images, labels, torch.arange(len(labels)), spec, seed=0, keep_adversarial=True)


@pytest.mark.parametrize(
    ("attack", "beyond"),
    [({**RAYS, "epsilon": 0.05}, 2), ({**HOP, "epsilon": 0.05}, 6), ({**HOP, "norm": "l2", "epsilon": 0.5}, 10)],
    ids=["rays", "hop-skip-jump, linf", "hop-skip-jump, l2"],
)
def test_labels_alone_break_nearly_as_much_as_gradients(attack: dict[str, Any], beyond: int) -> None:
    model, images, labels = random_case(COUNT)
    norm = {"norm": attack.get("norm", "linf"), "epsilon": attack["epsilon"], "step_size": attack["epsilon"] / 4}
    by_gradients = attacked(model, images, labels, name="pgd", loss="margin", steps=20, restarts=3, **norm)
    by_labels = attacked(LabelsOnly(model).eval(), images, labels, **attack)
    assert 0 < by_gradients.robust.sum() + beyond < (by_labels.clean_prediction == labels).sum()
    assert by_labels.robust.sum() <= by_gradients.robust.sum() + beyond
    broken = ~by_labels.robust & (by_labels.clean_prediction == labels)
    distance = by_labels.linf if norm["norm"] == "linf" else by_labels.l2
    assert (distance[broken] > 0).all()
    assert (distance[broken] <= attack["epsilon"] * (1 + 1e-5)).all()
    with torch.no_grad():
        assert (model(by_labels.adversarial[broken]).argmax(1) != labels[broken]).all()


@pytest.mark.parametrize("attack", [RAYS, HOP], ids=["rays", "hop-skip-jump"])
def test_the_same_seed_gives_the_same_points_and_the_global_state_is_left(attack: dict[str, Any]) -> None:
    model, images, labels = random_case(12)
    state = torch.random.get_rng_state()
    first, again = (attacked(model, images, labels, epsilon=0.1, **attack) for _ in range(2))
    assert torch.equal(first.adversarial, again.adversarial)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_rays_finds_the_exact_distance_of_a_linear_model() -> None:
    model, images, labels, _ = linear_case((1, 2, 3))
    model, images = model.float(), images.float() * 0.2 + 0.4
    with torch.no_grad():
        logits = model(images)
        labels = logits.argmax(1)
        margin = (logits.gather(1, labels[:, None]) - logits.gather(1, 1 - labels[:, None])).squeeze(1)
    weights = model[1].weight.detach()
    exact = margin / (weights[0] - weights[1]).abs().sum()
    nearer, farther = exact.sort().values[len(exact) // 2 - 1 : len(exact) // 2 + 1].tolist()
    epsilon = (nearer + farther) / 2
    outcome = attacked(model, images, labels, epsilon=epsilon, **{**RAYS, "queries": 5000})
    assert torch.equal(outcome.robust, exact > epsilon)
    assert 0 < outcome.robust.sum() < len(labels)


def test_rays_asks_no_more_than_its_queries() -> None:
    model, images, labels = random_case(COUNT)
    outcome = attacked(model, images, labels, epsilon=1e-4, **{**RAYS, "queries": 30})
    assert int(outcome.queries.max()) <= 30 + 12  # a bisection is not left in the middle


def test_a_model_of_one_class_leaves_nothing_to_begin_from() -> None:
    class Constant(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.tensor([[0.0, 1.0]]).expand(len(inputs), 2)

    _, images, _ = random_case(5)
    for attack in (RAYS, HOP):
        outcome = attacked(Constant().eval(), images, torch.ones(5, dtype=torch.int64), epsilon=0.1, **attack)
        assert outcome.robust.all()


@pytest.mark.parametrize(
    ("attack", "inputs", "reason"),
    [
        ({**RAYS, "norm": "l2"}, Inputs((1, 8, 8), 4), "rays moves every pixel by the same amount, in linf; found l2"),
        ({**HOP, "norm": "l1"}, Inputs((1, 8, 8), 4), "hop_skip_jump runs in linf and l2; found l1"),
        (
            {**HOP},
            Inputs((2,), 2, in_range=False),
            "hop_skip_jump needs pixels in [0, 1]; these inputs have no such range",
        ),
        (RAYS, Inputs((2,), 2, in_range=False), None),
        ({**HOP, "norm": "l2"}, Inputs((1, 8, 8), 4), None),
    ],
)
def test_where_an_attack_cannot_run_it_says_why(attack: dict[str, Any], inputs: Inputs, reason: str | None) -> None:
    assert attack_adapter.validate_python({**attack, "epsilon": 0.1}).unfit(inputs) == reason


def test_hop_skip_jump_refuses_inputs_that_its_library_would_clip() -> None:
    model, images, labels = random_case(5)
    spec = attack_adapter.validate_python({**HOP, "epsilon": 0.1})
    with pytest.raises(UserError, match=r"needs pixels in \[0, 1\]"):
        measure(model, images, labels, torch.arange(5), spec, seed=0, box=None)

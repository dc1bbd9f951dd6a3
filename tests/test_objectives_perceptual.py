"""Adversarial training against perceptual attacks: on just what the attack makes of each batch, and with whose eyes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from objective_cases import step_of
from perceptual_networks import random_colour_case
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.perceptual.jpeg import jpeg
from robustrepro.attacks.perceptual.lagrangian import fast_lagrangian
from robustrepro.attacks.perceptual.lpips import features_of
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.attacks.perceptual.recoloradv import recoloradv
from robustrepro.attacks.perceptual.stadv import stadv
from robustrepro.implementations import made
from robustrepro.losses import cross_entropy
from robustrepro.objectives.base import Step
from robustrepro.spec.objectives import objective_adapter

COUNT = 8
FAST = "fast_lagrangian_perceptual"
FUNCTIONS = {"stadv": stadv, "recoloradv": recoloradv, "jpeg": jpeg, FAST: fast_lagrangian}
BOUNDS = {"stadv": 0.05, "recoloradv": 0.06, "jpeg": 0.25, FAST: 0.5}
OWN = {"layers": ["2"]}
EYES = {"layers": ["0"], "model": "eyes"}


@pytest.fixture
def model() -> nn.Module:
    """A small network in the mode of training, with dropout, which draws anew in each pass."""
    network, _, _ = random_colour_case(COUNT)
    network.insert(3, nn.Dropout(0.2))
    return network.float().train()


@pytest.fixture
def step() -> Step:
    network, images, _ = random_colour_case(COUNT)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        eyes = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()).eval().requires_grad_(False)
    labels = network(images).argmax(1)
    update = step_of(images.float(), labels)
    return Step(update.inputs, labels, update.indices + 40, 0.0, update.generator, {"eyes": eyes})


def declared(name: str, *, form: str = "faithful", **options: Any) -> dict[str, Any]:
    features = {"features": OWN} if name == FAST else {}
    return {"name": name, "steps": 3, "form": form, **features, **options}


def objective(adversary: dict[str, Any], **options: Any) -> Any:
    return made(objective_adapter.validate_python({"name": "adversarial", "adversary": adversary, **options}))


def by_itself(name: str, form: str, model: nn.Module, step: Step, eyes: nn.Module | None = None) -> Perturbed:
    """Run an attack's function on the batch of an update, with the seed that is drawn for it."""
    options: dict[str, Any] = {"bound": BOUNDS[name], "steps": 3, "form": form}
    if name in ("jpeg", FAST):
        options |= {"seed": int(torch.randint(2**62, (), generator=step.generator)), "indices": step.indices}
    compared = [features_of(eyes or model, ["0"] if eyes else OWN["layers"])] if name == FAST else []
    return FUNCTIONS[name](model, step.inputs, step.labels, *compared, **options)


@pytest.mark.parametrize("form", ["faithful", "corrected"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_examples_of_an_update_are_what_the_attack_makes_of_the_network_as_it_is(model, step, name, form) -> None:
    twin, generator = copy.deepcopy(model), torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        points = objective(declared(name, form=form)).adversarial_examples(model, step)
        after = torch.rand(())
        torch.manual_seed(3)
        expected = by_itself(name, form, twin, Step(**{**vars(step), "generator": generator}))
        assert torch.equal(after, torch.rand(()))
    assert torch.equal(points, expected.images)
    assert not points.requires_grad
    assert not torch.equal(points, step.inputs)
    # Every pass was one of training, and weights are left as they were.
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    for name_of_buffer, buffer in twin.named_buffers():
        assert torch.equal(model.get_buffer(name_of_buffer), buffer)
    assert int(model.get_buffer("1.num_batches_tracked")) >= 3


@pytest.mark.parametrize("form", ["faithful", "corrected"])
def test_features_may_be_those_of_another_network_that_the_training_is_handed(model, step, form) -> None:
    model.eval()
    twin = Step(**{**vars(step), "generator": torch.Generator().manual_seed(0)})
    points = objective(declared(FAST, form=form, features=EYES)).adversarial_examples(model, step)
    assert torch.equal(points, by_itself(FAST, form, model, twin, step.others["eyes"]).images)
    own = objective(declared(FAST, form=form)).adversarial_examples(model, step)
    assert not torch.equal(points, own)
    blind = Step(step.inputs, step.labels, step.indices, 0.0, step.generator)
    with pytest.raises(ValueError, match="features of eyes are compared, whose network is not among the others"):
        objective(declared(FAST, features=EYES))(model, blind)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_risk_is_the_loss_of_the_examples_and_updates_lower_it(model, step, name) -> None:
    model.eval()  # nothing but the weights changes between two updates
    risk_of, optimizer = objective(declared(name)), torch.optim.Adam(model.parameters(), lr=0.01)
    risks = []
    for _ in range(10):
        twins = [Step(**{**vars(step), "generator": torch.Generator().manual_seed(0)}) for _ in range(2)]
        points, risk = risk_of.adversarial_examples(model, twins[0]), risk_of(model, twins[1])
        torch.testing.assert_close(risk.value, cross_entropy(model(points), step.labels).mean())
        assert torch.equal(risk.logits, model(points))
        optimizer.zero_grad()
        risk.value.backward()
        optimizer.step()
        risks.append(risk.value.item())
    assert risks[-1] < 0.9 * risks[0]


def test_with_clean_weight_both_losses_are_terms(model, step) -> None:
    risk = objective(declared("stadv"), clean_weight=0.5)(model.eval(), step)
    assert risk.value == (risk.terms["clean_loss"] + risk.terms["adversarial_loss"]) / 2
    assert risk.terms["adversarial_loss"] > risk.terms["clean_loss"]


def test_random_starts_differ_from_update_to_update(model, step) -> None:
    model.eval()
    attack = objective(declared("jpeg"))
    first, second = (attack.adversarial_examples(model, step) for _ in range(2))
    assert not torch.equal(first, second)


def test_a_perceptual_training_can_stand_beside_a_regularised_gradient(step) -> None:
    adversary = declared(FAST, features=EYES)
    content = {"name": "gradient_regularisation", "function": "margin", "norm": "l2", "coefficient": 1.0}
    beside = {"name": "adversarial", "adversary": adversary}
    regularised = made(objective_adapter.validate_python({**content, "beside": beside}))
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 4))
    twin = Step(**{**vars(step), "generator": torch.Generator().manual_seed(0)})
    risk, alone = regularised(network, step), objective(adversary)(network, twin)
    torch.testing.assert_close(risk.terms["loss_without_norm"], alone.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clipped": False}, "clipped is false, but stadv makes images in \\[0, 1\\]; expected true"),
        ({"adversary": {"name": "stadv", "epsilon": 0.1}}, "epsilon"),
        ({"adversary": {"name": FAST}}, "features"),
        ({"adversary": {"name": "lagrangian_perceptual", "features": OWN}}, "lagrangian_perceptual"),
        ({"name": "ramped_adversarial", "ramp": 1}, "stadv"),
    ],
    ids=["clipped", "epsilon", "features", "the slow one", "a ball that grows"],
)
def test_a_perceptual_adversary_that_suits_no_training_is_refused(change: dict[str, Any], message: str) -> None:
    content = {"name": "adversarial", "adversary": {"name": "stadv"}}
    objective_adapter.validate_python(content)
    with pytest.raises(ValidationError, match=message):
        objective_adapter.validate_python(content | change)


def test_an_attack_with_the_training_objective_ascends_the_loss_of_an_example() -> None:
    logits: Tensor = torch.randn(6, 3, generator=torch.Generator().manual_seed(4))
    labels = torch.arange(6) % 3
    found = objective(declared("stadv")).example_losses(logits, labels)
    assert torch.equal(found, cross_entropy(logits, labels))


@pytest.mark.parametrize("name", ["stadv", "recoloradv", "jpeg"])
def test_in_training_every_pass_is_of_the_whole_batch(step: Step, name: str) -> None:
    network, _, _ = random_colour_case(COUNT)
    seen: list[int] = []
    network.float().train().register_forward_pre_hook(lambda _, images: seen.append(len(images[0])))
    adversary = objective(declared(name, form="corrected", steps=6, bound=4 * BOUNDS[name]))
    images = adversary.adversarial_examples(network, step)
    assert set(seen) == {COUNT}
    seen.clear()
    network.eval()
    found = adversary.adversarial_examples(network, step)
    assert min(seen) < COUNT  # those that are done left
    assert images.shape == found.shape

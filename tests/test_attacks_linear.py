from __future__ import annotations

import pytest
import torch
from attack_cases import linear_case
from torch import Tensor

from robustrepro.attacks.fgsm import fgsm
from robustrepro.attacks.losses import classification_margin, margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.pgd import pgd
from robustrepro.attacks.threat_models import ThreatModel, unit_ball_noise
from robustrepro.losses import cross_entropy
from robustrepro.spec.attacks import attack_adapter

SHAPES = [(6,), (2, 3, 4)]


def lowest_margin(norm, epsilon, box, model, inputs, labels, uphill) -> Tensor:
    """The smallest margin within reach, in closed form; for ℓ2 and ℓ1 without a box."""
    with torch.no_grad():
        if norm == "l1":
            return classification_margin(model(inputs), labels) - epsilon * uphill.flatten(1).abs().amax(1)
        if norm == "l2":
            return classification_margin(model(inputs), labels) - epsilon * uphill.flatten(1).norm(dim=1)
        corner = inputs + epsilon * uphill.sign()
        return classification_margin(model(corner if box is None else corner.clamp(*box)), labels)


CASES = [("linf", None), ("linf", (0.0, 1.0)), ("l2", None), ("l1", None)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("norm", "box"), CASES)
@pytest.mark.parametrize("loss", [cross_entropy, margin])
def test_fgsm_reaches_the_optimum_of_a_linear_model(shape, norm, box, loss):
    model, inputs, labels, uphill = linear_case(shape)
    found = fgsm(model, inputs, labels, epsilon=0.2, norm=norm, loss=loss, box=box)
    expected = lowest_margin(norm, 0.2, box, model, inputs, labels, uphill)
    torch.testing.assert_close(classification_margin(model(found), labels), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("norm", "box"), CASES)
@pytest.mark.parametrize("random_start", [False, True])
def test_pgd_reaches_the_optimum_of_a_linear_model(shape, norm, box, random_start):
    model, inputs, labels, uphill = linear_case(shape)
    count = len(inputs)
    noise = unit_ball_noise(norm, shape, seed=0, indices=range(count), restarts=[0] * count)
    starts = ThreatModel(norm, 0.2, box).random_start(inputs, noise) if random_start else inputs
    found = pgd(model, inputs, labels, epsilon=0.2, steps=60, step_size=0.1, starts=starts, norm=norm, box=box)
    expected = lowest_margin(norm, 0.2, box, model, inputs, labels, uphill)
    torch.testing.assert_close(classification_margin(model(found), labels), expected)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("norm", "box"), CASES)
@pytest.mark.parametrize("name", ["fgsm", "mi_fgsm", "pgd"])
def test_a_measurement_finds_exactly_the_images_that_can_be_broken(batch_size, shape, norm, box, name):
    model, inputs, labels, uphill = linear_case(shape)
    epsilon = {"linf": 0.12, "l2": 0.3, "l1": 0.4}[norm]
    options = {"name": name, "epsilon": epsilon, "norm": norm, "precision": "float64"}
    steps = {} if name == "fgsm" else {"steps": 40, "step_size": epsilon / 2}
    spec = attack_adapter.validate_python(options | steps)
    outcome = measure(model, inputs, labels, torch.arange(len(inputs)), spec, seed=0, box=box, batch_size=batch_size)
    expected = lowest_margin(norm, epsilon, box, model, inputs, labels, uphill)
    clean = classification_margin(model(inputs), labels).detach()
    assert torch.equal(outcome.robust, expected > 0)
    assert 0 < outcome.robust.sum() < (clean > 0).sum() < len(inputs)
    torch.testing.assert_close(outcome.margin[outcome.robust], expected[outcome.robust])
    torch.testing.assert_close(outcome.clean_margin, clean)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_l1_step_moves_one_pixel_and_is_clipped_to_the_box(shape):
    model, inputs, labels, uphill = linear_case(shape)
    moved = fgsm(model, inputs, labels, epsilon=0.4, norm="l1")
    steepest = uphill.flatten(1).abs().argmax(1, keepdim=True)
    expected = (
        inputs.flatten(1).scatter_add(1, steepest, 0.4 * uphill.flatten(1).gather(1, steepest).sign()).clamp(0, 1)
    )
    torch.testing.assert_close(moved.flatten(1), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_l1_pgd_in_a_box_stays_inside_and_gains_on_the_single_step(shape):
    model, inputs, labels, _ = linear_case(shape)
    options = {"epsilon": 0.6, "norm": "l1", "loss": margin}
    reached = pgd(model, inputs, labels, steps=40, step_size=0.1, starts=inputs, **options)
    ThreatModel("l1", 0.6).check(reached, inputs, "pgd")
    single = fgsm(model, inputs, labels, **options)
    assert (classification_margin(model(reached), labels) <= classification_margin(model(single), labels) + 1e-12).all()


def test_pgd_and_fgsm_leave_the_weights_as_they_found_them():
    model, inputs, labels, _ = linear_case((6,))
    model[1].bias.requires_grad_(False)

    def failing(*_):
        raise RuntimeError("no loss")

    fgsm(model, inputs, labels, epsilon=0.1)
    pgd(model, inputs, labels, epsilon=0.1, steps=2, step_size=0.1, starts=inputs)
    with pytest.raises(RuntimeError, match="no loss"):
        fgsm(model, inputs, labels, epsilon=0.1, loss=failing)
    assert model[1].weight.requires_grad
    assert not model[1].bias.requires_grad
    assert model[1].weight.grad is None

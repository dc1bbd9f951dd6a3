"""What StAdv and ReColorAdv share: the bound, the search on displacements, and what an attack leaves alone."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from perceptual_networks import random_colour_case
from torch import nn

from robustrepro.attacks.losses import margin
from robustrepro.attacks.perceptual import displacements
from robustrepro.attacks.perceptual.displacements import roughness, search, within
from robustrepro.attacks.perceptual.recoloradv import recoloradv
from robustrepro.attacks.perceptual.stadv import stadv

BOUND, STEPS = 0.02, 12
ATTACKS = pytest.mark.parametrize("attack", [stadv, recoloradv])
FORMS = pytest.mark.parametrize("form", ["faithful", "corrected"])


@pytest.fixture(scope="module")
def case():
    return random_colour_case(6)


def margins(model, images, labels):
    with torch.no_grad():
        return margin(model(images), labels)


@FORMS
@ATTACKS
def test_the_size_is_within_the_bound_and_reaches_it(case, attack, form):
    perturbed = attack(*case, bound=0.01, steps=STEPS, form=form)
    assert (perturbed.size <= 0.01).all()
    assert (perturbed.size == 0.01).any()
    assert perturbed.images.min() >= 0
    assert perturbed.images.max() <= 1


@FORMS
@ATTACKS
def test_a_larger_bound_is_a_stronger_attack(case, attack, form):
    model, _, labels = case
    reached = torch.stack(
        [
            margins(model, attack(*case, bound=bound, steps=STEPS, form=form).images, labels)
            for bound in (0.0025, 0.01, 0.04)
        ]
    )
    successes = (reached > 0).sum(1)
    assert (successes.diff() >= 0).all()
    assert successes[-1] > successes[0]
    assert (reached.mean(1).diff() > 0).all()


@FORMS
@ATTACKS
def test_no_image_depends_on_its_batch(case, attack, form):
    model, images, labels = case
    whole = attack(*case, bound=BOUND, steps=STEPS, form=form)
    for row in range(0, len(labels), 2):
        rows = slice(row, row + 2)
        part = attack(model, images[rows], labels[rows], bound=BOUND, steps=STEPS, form=form)
        torch.testing.assert_close(part.images, whole.images[rows], rtol=0, atol=1e-9)
        torch.testing.assert_close(part.size, whole.size[rows], rtol=0, atol=1e-9)


@FORMS
@ATTACKS
def test_the_model_and_the_global_random_state_are_left_alone(case, attack, form):
    model, images, labels = copy.deepcopy(case[0]), case[1].clone(), case[2]
    model[0].bias.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 (watched only)
    attack(model, images, labels, bound=BOUND, steps=2, form=form)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]  # noqa: NPY002
    assert torch.equal(images, case[1])
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    trainable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trainable == set(dict(model.named_parameters())) - {"0.bias"}
    assert all(weight.grad is None for weight in model.parameters())


@FORMS
@ATTACKS
def test_an_attack_runs_where_gradients_are_switched_off(case, attack, form):
    expected = attack(*case, bound=BOUND, steps=2, form=form)
    with torch.no_grad():
        assert torch.equal(attack(*case, bound=BOUND, steps=2, form=form).images, expected.images)
    assert not expected.images.requires_grad


@ATTACKS
def test_a_misclassified_image_is_its_own_first_misclassified_iterate(case, attack):
    model, images, labels = case
    labels = labels.clone()
    labels[::2] = (labels[::2] + 1) % 4
    perturbed = attack(model, images, labels, bound=BOUND, steps=3, form="corrected")
    assert torch.equal(perturbed.images[::2], images[::2])
    assert (perturbed.size[::2] == 0).all()
    assert (perturbed.size[1::2] > 0).all()


@ATTACKS
def test_the_corrected_form_keeps_the_first_success_and_else_the_largest_margin(case, attack):
    model, _, labels = case
    reached = torch.stack(
        [
            margins(model, attack(*case, bound=BOUND, steps=steps, form="corrected").images, labels)
            for steps in range(STEPS)
        ]
    )
    broken = reached > 0
    assert broken[-1].any()
    # What a further step brings is taken before a success if it is better, and never after.
    assert (reached.diff(dim=0) >= -1e-12).all()
    assert (reached.diff(dim=0)[broken[:-1]].abs() < 1e-12).all()


@ATTACKS
def test_only_the_faithful_form_holds_back_for_smoothness(case, attack, monkeypatch):
    monkeypatch.setitem(attack.__globals__, "PENALTY", 0.0)
    free = {form: attack(*case, bound=BOUND, steps=5, form=form).images for form in ("faithful", "corrected")}
    monkeypatch.undo()
    held = {form: attack(*case, bound=BOUND, steps=5, form=form).images for form in ("faithful", "corrected")}
    model, _, labels = case
    assert torch.equal(held["corrected"], free["corrected"])
    assert margins(model, held["faithful"], labels).mean() < margins(model, free["faithful"], labels).mean()


class OneNumber:
    """Images of one pixel, which is its displacement."""

    def project(self, displacements):
        return displacements.clamp(-0.5, 0.5)

    def render(self, displacements, _rows):
        return displacements[:, :, None, :]


class Hill(nn.Module):
    """Two logits whose margin is highest at a pixel of 0.34."""

    def __init__(self, height):
        super().__init__()
        self.height = height

    def forward(self, images):
        logit = self.height - (images.flatten() - 0.34).abs()
        return torch.stack([torch.zeros_like(logit), logit], 1)


@pytest.mark.parametrize(("height", "expected"), [(-0.1, 0.3), (0.05, 0.3), (0.15, 0.2), (0.4, 0.0)])
def test_of_a_path_across_a_hill_the_first_success_or_the_highest_point_is_kept(height, expected):
    """Adam's first steps are as long as its rate where the gradient is constant: 0.1, 0.2, 0.3, 0.4."""

    def ends(steps, form):
        start, labels = torch.zeros(1, 1, 1), torch.zeros(1, dtype=torch.int64)
        options = {"steps": steps, "learning_rate": 0.1, "penalty": 0.0, "form": form}
        return search(Hill(height), labels, start, OneNumber(), **options)

    for steps in (3, 8):
        kept = ends(steps, "corrected")
        assert kept.size.item() == pytest.approx(expected, abs=1e-5)
        assert kept.images.item() == kept.size.item()
    path = [ends(steps, "faithful").images.item() for steps in range(9)]
    assert path[:5] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-5)
    assert max(path) > 0.45  # Adam's momentum carries it on.


def test_displacements_lead_nowhere_beyond_the_limits():
    lowest, highest = within(torch.tensor([0.0, 0.3, 1.0]), 0.5, 0.0, 1.0)
    torch.testing.assert_close(lowest, torch.tensor([0.0, -0.3, -0.5]))
    torch.testing.assert_close(highest, torch.tensor([0.5, 0.5, 0.0]))


def test_roughness_counts_each_pair_of_neighbours_twice(monkeypatch):
    monkeypatch.setattr(displacements, "SMOOTHING", 0.0)
    field = torch.zeros(3, 4, 5, 2)
    field[1, 2, 2] = torch.tensor([3.0, 4.0])  # four neighbours, each 5 away
    field[2, 0, 0] = torch.tensor([3.0, 4.0])  # two neighbours
    torch.testing.assert_close(roughness(field), torch.tensor([0.0, 40.0, 20.0]))
    colours = torch.zeros(1, 3, 3, 3, 3)
    colours[0, 1, 1, 1] = torch.tensor([2.0, 3.0, 6.0])  # six neighbours, each 7 away
    torch.testing.assert_close(roughness(colours), torch.tensor([84.0]))


def test_roughness_has_a_finite_gradient_where_neighbours_move_alike():
    field = torch.ones(1, 4, 5, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(roughness(field).sum(), field)
    assert (gradient == 0).all()


def test_the_steps_are_those_of_torchs_adam():
    generator = torch.Generator().manual_seed(0)
    own = theirs = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    theirs = theirs.clone()
    adam, optimiser = displacements._Adam(own, 0.01), torch.optim.Adam([theirs], lr=0.01, maximize=True)
    for _ in range(6):
        theirs.grad = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        own = adam.ascended(own, theirs.grad)
        optimiser.step()
    torch.testing.assert_close(own, theirs)

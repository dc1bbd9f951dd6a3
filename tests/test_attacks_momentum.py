"""MI-FGSM: the paper's algorithm, one image at a time, is what the active set does with many."""

from __future__ import annotations

import foolbox
import pytest
import torch
from attack_cases import random_case
from foolbox.attacks import L2MomentumIterativeFastGradientMethod, LinfMomentumIterativeFastGradientMethod
from foolbox.attacks.gradient_descent_base import normalize_lp_norms
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.attacks.active_set import ActiveSet
from robustrepro.attacks.craft import craft
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.mi_fgsm import MomentumAscent
from robustrepro.attacks.subject import subject_of
from robustrepro.attacks.threat_models import UNIT_BOX, ThreatModel, unit_ball_noise
from robustrepro.losses import cross_entropy
from robustrepro.spec.attacks import Bim, MiFgsm

COUNT = 60
INDICES = torch.arange(COUNT)
EPSILONS = {"linf": 0.05, "l2": 0.25, "l1": 1.0}
NORMS = list(EPSILONS)


@pytest.fixture(scope="module")
def case():
    model, inputs, labels = random_case(COUNT)
    return model.double(), inputs.double(), labels


def mi_fgsm_of(norm, **changes) -> MiFgsm:
    epsilon = EPSILONS[norm]
    fields = {"epsilon": epsilon, "norm": norm, "steps": 6, "step_size": epsilon / 3, "precision": "float64"}
    return MiFgsm(**{"name": "mi_fgsm", **fields, **changes})


def by_hand(model, image, label, spec, start=None):
    """Return every iterate of Algorithm 1 of Dong et al. (2018) on one image, the start first."""
    threat = ThreatModel(spec.norm, spec.epsilon)
    point = image if start is None else start
    iterates, accumulated = [point], torch.zeros_like(image)
    for _ in range(spec.steps):
        variable = point.clone().requires_grad_(True)
        loss = functional.cross_entropy(model(variable.unsqueeze(0)), label.unsqueeze(0))
        (gradient,) = torch.autograd.grad(loss, variable)
        accumulated = spec.decay * accumulated + gradient / gradient.abs().sum()
        if spec.norm == "linf":
            direction = accumulated.sign()
        elif spec.norm == "l2":
            direction = accumulated / accumulated.norm()
        else:
            direction = torch.where(accumulated.abs() == accumulated.abs().max(), accumulated.sign(), 0.0)
        moved = (point + spec.step_size * direction).unsqueeze(0)
        point = threat.project(moved, image.unsqueeze(0))[0]
        iterates.append(point)
    return torch.stack(iterates)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("decay", [0.5, 1.0])
def test_a_crafted_point_is_the_last_iterate_of_the_papers_algorithm(case, norm, decay):
    spec = mi_fgsm_of(norm, decay=decay)
    found = craft(*case, INDICES, spec, seed=0, batch_size=16)
    expected = torch.stack([by_hand(case[0], *one, spec)[-1] for one in zip(*case[1:], strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert not torch.equal(found, craft(*case, INDICES, spec.model_copy(update={"decay": 0.0}), seed=0))


@pytest.mark.parametrize("batch_size", [1, 7, COUNT])
@pytest.mark.parametrize("norm", NORMS)
def test_every_image_remembers_its_own_gradients_whoever_leaves_the_batch(case, norm, batch_size):
    model, inputs, labels = case
    spec = mi_fgsm_of(norm)
    outcome = measure(*case, INDICES, spec, seed=0, batch_size=batch_size)
    lost_at = set()
    for place in (outcome.clean_prediction == labels).nonzero().flatten().tolist():
        iterates = by_hand(model, inputs[place], labels[place], spec)
        margins = classification_margin(model(iterates), labels[place].expand(len(iterates))).detach()
        broken = (margins < 0).nonzero().flatten().tolist()
        assert outcome.robust[place] == (not broken)
        expected = margins[broken[0]] if broken else margins[1:].min()
        torch.testing.assert_close(outcome.margin[place], expected)
        lost_at.add(broken[0] if broken else None)
    assert len(lost_at) > 3  # images leave the batch at different steps, and some stay


@pytest.mark.parametrize("norm", NORMS)
def test_a_restart_begins_without_a_memory(case, norm):
    model, inputs, labels = case
    spec, restarts = mi_fgsm_of(norm, steps=3), 3
    threat = ThreatModel(norm, spec.epsilon)
    ascent = MomentumAscent(
        "mi_fgsm", threat, spec.steps, spec.step_size, cross_entropy, restarts, from_noise=True, decay=1.0
    )
    subject = subject_of(*case, INDICES, precision=torch.float64, box=UNIT_BOX, batch_size=16, seed=5)
    outcome = ActiveSet(subject, [ascent]).run()
    by_restart = set()
    for place in (outcome.clean_prediction == labels).nonzero().flatten().tolist():
        lowest, broken_in = torch.inf, -1
        for restart in range(restarts):
            noise = unit_ball_noise(norm, inputs.shape[1:], seed=5, indices=[place], restarts=[restart])
            start = threat.random_start(inputs[place].unsqueeze(0), noise.double())[0]
            iterates = by_hand(model, inputs[place], labels[place], spec, start)
            margins = classification_margin(model(iterates), labels[place].expand(len(iterates))).detach()
            if (margins < 0).any():
                lowest, broken_in = margins[margins < 0][0], restart
                break
            lowest = min(lowest, margins.min())
        assert outcome.restart[place] == broken_in
        torch.testing.assert_close(outcome.margin[place], torch.as_tensor(lowest))
        by_restart.add(broken_in)
    assert by_restart >= {-1, 0}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_without_decay_it_is_bim_bit_for_bit(case, norm, precision):
    spec = mi_fgsm_of(norm, decay=0.0, precision=precision)
    bim = Bim(name="bim", **spec.model_dump(exclude={"name", "decay"}))
    outcomes = [measure(*case, INDICES, each, seed=0, keep_adversarial=True) for each in (spec, bim)]
    assert 0 < outcomes[0].robust.sum() < COUNT
    assert torch.equal(outcomes[0].adversarial, outcomes[1].adversarial)
    assert torch.equal(outcomes[0].margin, outcomes[1].margin)
    assert torch.equal(craft(*case, INDICES, spec, seed=0), craft(*case, INDICES, bim, seed=0))


@pytest.mark.parametrize(
    ("norm", "theirs"),
    [("linf", LinfMomentumIterativeFastGradientMethod), ("l2", L2MomentumIterativeFastGradientMethod)],
)
def test_it_ends_where_foolbox_ends_once_foolbox_divides_by_the_gradients_l1_norm(case, norm, theirs):
    # Foolbox 3 accumulates signs, or gradients of unit l2 norm, where the paper accumulates gradients of unit l1 norm.
    class AsInThePaper(theirs):
        def normalize(self, gradients, *, x, bounds):  # noqa: ARG002
            return normalize_lp_norms(gradients, p=1)

    model, inputs, labels = case
    spec = mi_fgsm_of(norm, decay=0.7)
    attack = AsInThePaper(momentum=0.7, abs_stepsize=spec.step_size, steps=spec.steps)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    _, found, _ = attack(wrapped, inputs, labels, epsilons=spec.epsilon)
    torch.testing.assert_close(craft(*case, INDICES, spec, seed=0), found, rtol=0, atol=1e-9)


def test_a_gradient_of_zero_leaves_the_momentum_as_it_is_but_for_its_decay():
    ascent = MomentumAscent("mi_fgsm", ThreatModel("linf", 1.0, None), 2, 0.1, cross_entropy, decay=0.5)
    origins = torch.zeros(2, 3)
    gradient = torch.tensor([[3.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    points, memory = ascent.advance(origins, origins, gradient, ascent.first_memory(origins))
    torch.testing.assert_close(memory[0], torch.tensor([[0.75, -0.25, 0.0], [0.0, 0.0, 0.0]]))
    points, memory = ascent.advance(points, origins, torch.zeros(2, 3), memory)
    torch.testing.assert_close(memory[0], torch.tensor([[0.375, -0.125, 0.0], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(points, torch.tensor([[0.2, -0.2, 0.0], [0.0, 0.0, 0.0]]))


def test_a_gradient_that_is_nearly_zero_still_counts_as_much_as_any_other():
    ascent = MomentumAscent("mi_fgsm", ThreatModel("l2", 1.0, None), 2, 0.1, cross_entropy)
    origins = torch.zeros(1, 2)
    _, memory = ascent.advance(origins, origins, torch.tensor([[1e-36, 0.0]]), ascent.first_memory(origins))
    _, memory = ascent.advance(origins, origins, torch.tensor([[0.0, 5.0]]), memory)
    torch.testing.assert_close(memory[0], torch.tensor([[1.0, 1.0]]))


class Plateau(nn.Module):
    """Rises with the first feature up to 0.55, is flat beyond that, and errs from 0.6 on."""

    def forward(self, inputs: Tensor) -> Tensor:
        first = inputs[:, 0]
        rising = first.clamp(max=0.55) - 1
        return torch.stack([torch.zeros_like(first), torch.where(first > 0.6, 1.0, rising)], dim=1)


def test_what_was_accumulated_carries_across_a_plateau_where_bim_stands_still():
    inputs, labels = torch.full((3, 2), 0.5, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    spec = mi_fgsm_of("linf", epsilon=0.2, steps=10, step_size=0.02)
    bim = Bim(name="bim", **spec.model_dump(exclude={"name", "decay"}))
    with_momentum, without = (
        measure(Plateau().eval(), inputs, labels, INDICES[:3], each, seed=0) for each in (spec, bim)
    )
    assert not with_momentum.robust.any()
    assert without.robust.all()

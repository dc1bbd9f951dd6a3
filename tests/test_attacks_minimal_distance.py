"""DeepFool and the base that it stands on: closed forms, Foolbox 3, and failures that stay failures."""

from __future__ import annotations

import foolbox
import pytest
import torch
from attack_cases import Scaled, linear_case, random_case
from foolbox.attacks import L2DeepFoolAttack, LinfDeepFoolAttack
from pydantic import ValidationError
from torch import nn

from robustrepro.attacks.deepfool import search
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.minimal_distance import Proposals, measure_distances
from robustrepro.attacks.threat_models import OutsideThreatModelError
from robustrepro.errors import UserError
from robustrepro.spec.attacks import DeepFool, attack_adapter

COUNT = 60
INDICES = torch.arange(1000, 1000 + COUNT)
FOOLBOX = {"linf": LinfDeepFoolAttack, "l2": L2DeepFoolAttack}
TARGET = "robustrepro.attacks.minimal_distance.resolve"


@pytest.fixture(scope="module")
def case():
    model, inputs, labels = random_case(COUNT)
    return model.double(), inputs.double(), labels


def deepfool(**changes) -> DeepFool:
    return DeepFool(**{"name": "deepfool", "precision": "float64", **changes})


@pytest.mark.parametrize("shape", [(6,), (2, 3, 4)])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_distance_on_a_linear_model_is_that_of_its_boundary(shape, norm):
    model, inputs, labels, uphill = linear_case(shape)
    spec = deepfool(norm=norm, overshoot=0.0)
    outcome = measure_distances(model, inputs, labels, torch.arange(len(labels)), spec, box=None)
    clean = classification_margin(model(inputs), labels).detach()
    dual = uphill.flatten(1).norm(dim=1) if norm == "l2" else uphill.flatten(1).abs().sum(1)
    correct = clean > 0
    assert 0 < correct.sum() < len(labels)
    assert outcome.succeeded.all()
    # The step goes 1e-4 beyond the boundary, as Foolbox's does.
    distances = getattr(outcome, norm)
    torch.testing.assert_close(distances[correct], (clean / dual)[correct] + 1e-4, rtol=1e-6, atol=1e-9)
    # Clean pass, first pass, the pass after the only step, verdict.
    assert (outcome.queries[correct] == 4).all()


@pytest.mark.parametrize("shape", [(6,), (2, 3, 4)])
def test_the_overshoot_lengthens_the_step(shape):
    model, inputs, labels, _ = linear_case(shape)
    index = torch.arange(len(labels))
    exact, longer = (
        measure_distances(model, inputs, labels, index, deepfool(overshoot=overshoot), box=None)
        for overshoot in (0.0, 0.5)
    )
    torch.testing.assert_close(longer.l2, 1.5 * exact.l2)


@pytest.mark.parametrize("options", [{}, {"steps": 3}, {"candidates": 2, "overshoot": 0.3}])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_ends_where_foolboxs_does(case, norm, options):
    model, inputs, labels = case
    attack = FOOLBOX[norm](**{"steps": 50, "candidates": 10, "overshoot": 0.02, **options})
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs, _, broken = attack(wrapped, inputs, labels, epsilons=None)
    outcome = measure_distances(*case, INDICES, deepfool(norm=norm, **options), keep_adversarial=True)
    assert torch.equal(outcome.succeeded, broken)
    assert broken.sum() > COUNT / 2
    torch.testing.assert_close(outcome.adversarial[broken], theirs[broken], rtol=0, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_distances_do_not_depend_on_the_batch_size(case, norm, batch_size):
    whole, other = (
        measure_distances(*case, INDICES, deepfool(norm=norm), batch_size=size) for size in (COUNT, batch_size)
    )
    assert torch.equal(other.prediction, whole.prediction)
    assert torch.equal(other.queries, whole.queries)
    assert len(whole.queries.unique()) > 2
    torch.testing.assert_close(other.l2, whole.l2)


def test_reported_predictions_and_distances_are_those_of_the_adversarial_points(case):
    model, inputs, _ = case
    outcome = measure_distances(*case, INDICES, deepfool(steps=2), keep_adversarial=True)
    assert 0 < outcome.succeeded.sum() < COUNT
    with torch.no_grad():
        assert torch.equal(model(outcome.adversarial).argmax(1), outcome.prediction)
    difference = (outcome.adversarial - inputs).flatten(1)
    hit = outcome.succeeded
    torch.testing.assert_close(outcome.linf[hit], difference.abs().amax(1)[hit])
    torch.testing.assert_close(outcome.l2[hit], difference.norm(dim=1)[hit])
    torch.testing.assert_close(outcome.l1[hit], difference.abs().sum(1)[hit])
    assert torch.equal(outcome.index, INDICES)


def test_a_failure_has_an_infinite_distance_and_a_misclassified_image_none(case):
    _, inputs, labels = case
    outcome = measure_distances(*case, INDICES, deepfool(steps=1), keep_adversarial=True)
    missed = outcome.clean_prediction != labels
    failed = ~outcome.succeeded
    assert missed.sum() == COUNT / 5
    assert failed.any()
    for distance in (outcome.linf, outcome.l2, outcome.l1):
        assert (distance[missed] == 0).all()
        assert torch.isinf(distance[failed]).all()
    assert (outcome.queries[missed] == 1).all()
    assert torch.equal(outcome.prediction[failed], labels[failed])
    assert torch.equal(outcome.adversarial[failed | missed], inputs[failed | missed])


def test_an_image_without_a_gradient_is_a_failure():
    class Flat(nn.Module):
        def forward(self, inputs):
            return 0 * inputs[:, :3] + torch.tensor([1.0, 0.0, -1.0])

    inputs, labels = torch.rand(4, 5), torch.zeros(4, dtype=torch.int64)
    outcome = measure_distances(Flat().eval(), inputs, labels, torch.arange(4), deepfool(precision="float32", steps=3))
    assert not outcome.succeeded.any()
    assert (outcome.queries == 1 + 3 + 1).all()


def test_no_image_is_queried_after_it_is_misclassified(case):
    model, inputs, labels = case
    sizes: list[int] = []
    hook = model.register_forward_hook(lambda *call: sizes.append(len(call[1][0])))
    try:
        outcome = measure_distances(model, inputs, labels, INDICES, deepfool())
    finally:
        hook.remove()
    assert sum(sizes) == outcome.queries.sum()
    assert sizes[1] == COUNT * 4 / 5
    assert sizes[2:-1] == sorted(sizes[2:-1], reverse=True)


def test_a_proposal_that_the_model_gets_right_is_a_failure(case, monkeypatch):
    def half_right(model, images, labels, box, spec):
        proposals = search(model, images, labels, box, spec)
        proposals.points[::2] = images[::2]
        return proposals

    monkeypatch.setattr(TARGET, lambda _: half_right)
    outcome = measure_distances(*case, INDICES, deepfool())
    correct = (outcome.clean_prediction == outcome.label).nonzero().flatten()
    assert not outcome.succeeded[correct[::2]].any()
    assert outcome.succeeded[correct[1::2]].all()


@pytest.mark.parametrize("spoil", [lambda points: points + 1.0, lambda points: points * torch.nan])
def test_a_proposal_outside_the_box_is_refused(case, monkeypatch, spoil):
    def outside(_model, images, labels, *_):
        return Proposals(spoil(images), torch.zeros_like(labels))

    monkeypatch.setattr(TARGET, lambda _: outside)
    with pytest.raises(OutsideThreatModelError, match=r"'DeepFool' returned a pixel outside the box \[0, 1\]"):
        measure_distances(*case, INDICES, deepfool())


def test_without_a_box_nothing_is_clipped():
    model, inputs, labels, _ = linear_case((6,))
    spec = deepfool(overshoot=20.0)
    outcome = measure_distances(model, inputs, labels, torch.arange(40), spec, box=None, keep_adversarial=True)
    assert outcome.adversarial.max() > 1
    clipped = measure_distances(model, inputs, labels, torch.arange(40), spec, keep_adversarial=True)
    assert clipped.adversarial.max() <= 1


def test_logits_that_are_not_finite_are_not_taken_for_predictions(case):
    broken = nn.Sequential(case[0], Scaled(float("nan"))).eval()
    with pytest.raises(UserError, match="logits are not finite"):
        measure_distances(broken, case[1], case[2], INDICES, deepfool())


def test_progress_counts_every_image_once(case):
    told: list[int] = []
    measure_distances(*case, INDICES, deepfool(), batch_size=16, progress=told.append)
    assert sum(told) == COUNT


def test_the_defaults_are_foolboxs_and_mistakes_are_refused():
    spec, theirs = attack_adapter.validate_python({"name": "deepfool"}), L2DeepFoolAttack()
    assert (spec.steps, spec.candidates, spec.overshoot) == (theirs.steps, theirs.candidates, theirs.overshoot)
    for option in ({"norm": "l1"}, {"candidates": 1}, {"steps": 0}, {"epsilon": 0.1}):
        with pytest.raises(ValidationError):
            attack_adapter.validate_python({"name": "deepfool", **option})

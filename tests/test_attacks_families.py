"""BIM, noise and crafted points: what each does beyond the ascent that all share."""

from __future__ import annotations

import copy

import pytest
import torch
from attack_cases import random_case
from pydantic import ValidationError

from robustrepro.attacks.craft import craft
from robustrepro.attacks.fgsm import fgsm
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.pgd import pgd
from robustrepro.attacks.threat_models import OutsideThreatModelError, ThreatModel, unit_ball_noise
from robustrepro.losses import cross_entropy
from robustrepro.spec.attacks import AutoAttack, Bim, Fgsm, Noise, Pgd, attack_adapter

COUNT = 60
INDICES = torch.arange(1000, 1000 + COUNT)
EPSILONS = {"linf": 0.05, "l2": 0.25, "l1": 1.0}


@pytest.fixture(scope="module")
def case():
    model, inputs, labels = random_case(COUNT)
    return model.double(), inputs.double(), labels


def pgd_of(norm: str, **changes) -> Pgd:
    epsilon = EPSILONS[norm]
    fields = {"epsilon": epsilon, "norm": norm, "steps": 4, "step_size": epsilon / 3, "precision": "float64"}
    return Pgd(**{"name": "pgd", **fields, **changes})


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_bim_is_pgd_from_the_image_itself(case, norm):
    spec = pgd_of(norm, random_start=False)
    bim = Bim(name="bim", **spec.model_dump(exclude={"name", "restarts", "random_start"}))
    expected, outcome = (measure(*case, INDICES, attack, seed=0, batch_size=16) for attack in (spec, bim))
    assert 0 < outcome.robust.sum() < 40
    assert torch.equal(outcome.prediction, expected.prediction)
    assert torch.equal(outcome.margin, expected.margin)
    # The clean pass carries the first gradient; four steps are then looked at.
    assert (outcome.queries[outcome.robust] == 1 + 4).all()


def test_bim_knows_neither_restarts_nor_random_starts():
    fields = {"name": "bim", "epsilon": 0.1, "steps": 2, "step_size": 0.05}
    for option in ({"restarts": 2}, {"random_start": True}):
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            attack_adapter.validate_python({**fields, **option})


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_noise_takes_the_first_draw_that_breaks_the_image(case, norm):
    model, inputs, labels = case
    epsilon, draws = 4 * EPSILONS[norm], 6
    spec = Noise(name="noise", epsilon=epsilon, norm=norm, draws=draws, precision="float64")
    outcome = measure(*case, INDICES, spec, seed=3, batch_size=16, keep_adversarial=True)
    wrong = []
    for draw in range(draws):
        noise = unit_ball_noise(norm, (1, 8, 8), seed=3, indices=INDICES.tolist(), restarts=[draw] * COUNT)
        points = ThreatModel(norm, epsilon).random_start(inputs, noise.double())
        wrong.append(model(points).argmax(1) != labels)
    hits = torch.stack(wrong, dim=1)
    attacked = outcome.clean_prediction == labels
    first = torch.where(hits.any(1), hits.int().argmax(1), -1)
    assert torch.equal(outcome.restart[attacked], first[attacked])
    assert len(outcome.restart[attacked].unique()) > 3
    assert torch.equal(outcome.robust, attacked & ~hits.any(1))
    # The clean pass, then one a draw until one breaks the image.
    spent = torch.where(first < 0, draws, first + 1)
    assert torch.equal(outcome.queries[attacked], 1 + spent[attacked])
    assert torch.equal(model(outcome.adversarial).argmax(1), outcome.prediction)


def test_noise_needs_no_gradient(case):
    model, inputs, labels = case
    needed: list[bool] = []
    hook = model.register_forward_hook(lambda *call: needed.append(call[2].requires_grad))
    try:
        measure(model, inputs, labels, INDICES, Noise(name="noise", epsilon=0.2, draws=2), seed=0)
    finally:
        hook.remove()
    assert len(needed) > 1
    assert not any(needed)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_outcome_of_noise_does_not_depend_on_the_batch_size(case, norm):
    spec = Noise(name="noise", epsilon=4 * EPSILONS[norm], norm=norm, draws=4, precision="float64")
    whole = measure(*case, INDICES, spec, seed=0, batch_size=COUNT)
    for batch_size in (1, 7):
        other = measure(*case, INDICES, spec, seed=0, batch_size=batch_size)
        assert torch.equal(other.restart, whole.restart)
        assert torch.equal(other.queries, whole.queries)
        torch.testing.assert_close(other.margin, whole.margin)


@pytest.mark.parametrize("batch_size", [7, 256])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_crafted_points_are_last_iterates_from_the_starts_of_a_measurement(case, norm, batch_size):
    model, inputs, labels = case
    spec = pgd_of(norm)
    crafted = craft(model, inputs, labels, INDICES, spec, seed=2, batch_size=batch_size)
    noise = unit_ball_noise(norm, (1, 8, 8), seed=2, indices=INDICES.tolist(), restarts=[0] * COUNT)
    starts = ThreatModel(norm, spec.epsilon).random_start(inputs, noise.double())
    options = {"epsilon": spec.epsilon, "steps": spec.steps, "step_size": spec.step_size, "norm": norm}
    torch.testing.assert_close(crafted, pgd(model, inputs, labels, starts=starts, **options))
    # Those that a measurement would have left alone or stopped early were moved to the end like the others.
    outcome = measure(*case, INDICES, spec, seed=2, keep_adversarial=True)
    assert ((crafted - inputs).flatten(1).abs().amax(1) > 0).all()
    assert (outcome.queries < 2 + spec.steps).any()
    single = Noise(name="noise", epsilon=spec.epsilon, norm=norm, draws=1, precision="float64")
    begun = measure(*case, INDICES, single, seed=2, keep_adversarial=True)
    attacked = begun.clean_prediction == labels
    torch.testing.assert_close(begun.adversarial[attacked], starts[attacked])


@pytest.mark.parametrize("loss", ["cross_entropy", "training"])
def test_crafted_fgsm_points_are_fgsms(case, loss):
    model, inputs, labels = case
    spec = Fgsm(name="fgsm", epsilon=0.1, loss=loss, precision="float64")
    own = None if loss == "cross_entropy" else lambda logits, labels: -cross_entropy(logits, labels)
    crafted = craft(model, inputs, labels, INDICES, spec, seed=0, training_loss=own)
    chosen = {} if own is None else {"loss": own}
    torch.testing.assert_close(crafted, fgsm(model, inputs, labels, epsilon=0.1, **chosen))


def test_crafting_leaves_the_model_and_the_random_state_alone(case):
    model, inputs, labels = case
    state = torch.get_rng_state()
    craft(model.float(), inputs.float(), labels, INDICES, pgd_of("linf"), seed=0)
    assert all(weight.dtype == torch.float32 and weight.requires_grad for weight in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    model.double()


@pytest.mark.parametrize("batch_size", [7, 256])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_of_several_restarts_the_point_of_smallest_margin_is_crafted(case, norm, batch_size):
    model, inputs, labels = case
    spec = pgd_of(norm, restarts=3)
    crafted = craft(*case, INDICES, spec, seed=2, batch_size=batch_size)
    options = {"epsilon": spec.epsilon, "steps": spec.steps, "step_size": spec.step_size, "norm": norm}
    reached = []
    for restart in range(3):
        noise = unit_ball_noise(norm, (1, 8, 8), seed=2, indices=INDICES.tolist(), restarts=[restart] * COUNT)
        starts = ThreatModel(norm, spec.epsilon).random_start(inputs, noise.double())
        reached.append(pgd(model, inputs, labels, starts=starts, **options))
    margins = torch.stack([classification_margin(model(points), labels) for points in reached])
    best = margins.argmin(0)
    assert len(best.unique()) == 3
    torch.testing.assert_close(crafted, torch.stack(reached)[best, torch.arange(COUNT)])


def test_crafted_noise_is_the_draw_of_smallest_margin(case):
    model, _, labels = case
    spec = Noise(name="noise", epsilon=0.1, draws=5, precision="float64")
    crafted = craft(*case, INDICES, spec, seed=2)
    # PGD whose steps are too short to matter begins where a draw lies.
    still = Pgd(name="pgd", epsilon=0.1, steps=1, step_size=1e-12, restarts=5, precision="float64")
    torch.testing.assert_close(crafted, craft(*case, INDICES, still, seed=2))
    draws = [craft(*case, INDICES, spec.model_copy(update={"draws": count}), seed=2) for count in (1, 3, 5)]
    margins = [classification_margin(model(points), labels) for points in draws]
    assert (margins[0] >= margins[1]).all()
    assert (margins[1] >= margins[2]).all()
    assert (margins[0] > margins[2]).sum() > COUNT / 4


def test_crafted_autoattack_points_are_those_that_it_returns(case):
    model, inputs, labels = copy.deepcopy(case[0]).float(), case[1].float(), case[2]
    spec = AutoAttack(name="autoattack", epsilon=0.02, steps=5, square_queries=20)
    crafted = craft(model, inputs, labels, INDICES, spec, seed=2)
    outcome = measure(model, inputs, labels, INDICES, spec, seed=2)
    broken = (outcome.clean_prediction == labels) & ~outcome.robust
    assert 5 < broken.sum() < COUNT - 5
    assert torch.equal(model(crafted).argmax(1)[broken], outcome.prediction[broken])
    assert torch.equal(crafted[~broken], inputs[~broken])
    assert ((crafted - inputs).abs().flatten(1).amax(1) <= 0.02 + 1e-6).all()


def test_crafted_points_outside_the_ball_are_refused(case, monkeypatch):
    monkeypatch.setattr(ThreatModel, "project", lambda _, points, origins: origins + 2.5 * (points - origins))
    with pytest.raises(OutsideThreatModelError, match="'fgsm' returned a point"):
        craft(*case, INDICES, Fgsm(name="fgsm", epsilon=0.05), seed=0)

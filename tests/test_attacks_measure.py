from __future__ import annotations

import copy
import itertools
import random

import numpy as np
import pytest
import torch
from attack_cases import Scaled, random_case
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.threat_models import OutsideThreatModelError, ThreatModel, unit_ball_noise
from robustrepro.errors import UserError
from robustrepro.losses import clipped_cross_entropy, cross_entropy
from robustrepro.spec.attacks import Clean, Fgsm, Pgd

COUNT = 60
INDICES = torch.arange(1000, 1000 + COUNT)


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor, Tensor]:
    return random_case(COUNT)


def declared(**changes) -> Pgd:
    fields = {"name": "pgd", "epsilon": 0.05, "steps": 2, "step_size": 0.0125, "restarts": 3, "precision": "float64"}
    return Pgd(**{**fields, **changes})


class Window(nn.Module):
    """Breaks where the first feature lies above 0.6, and gives the attack no gradient to find that."""

    def forward(self, inputs: Tensor) -> Tensor:
        wrong = (inputs[:, 0] > 0.6).to(inputs.dtype) + 0 * inputs.sum(1)
        return torch.stack([torch.full_like(wrong, 0.5), wrong], dim=1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_verdicts_do_not_depend_on_the_batch_size(case, norm, precision):
    epsilon = 0.05 if norm == "linf" else 0.25
    spec = declared(norm=norm, epsilon=epsilon, step_size=epsilon / 4, precision=precision)
    whole = measure(*case, INDICES, spec, seed=0, batch_size=COUNT)
    assert 0 < whole.robust.sum() < 0.8 * COUNT
    assert len(whole.restart.unique()) > 2
    for batch_size in (1, 7, 32):
        other = measure(*case, INDICES, spec, seed=0, batch_size=batch_size)
        assert torch.equal(other.prediction, whole.prediction)
        assert torch.equal(other.restart, whole.restart)
        assert torch.equal(other.queries, whole.queries)
        torch.testing.assert_close(other.margin, whole.margin, rtol=0, atol=1e-4 if precision == "float32" else 1e-10)


def test_an_images_outcome_does_not_depend_on_the_images_beside_it(case):
    model, inputs, labels = case
    whole = measure(*case, INDICES, declared(), seed=0)
    chosen = torch.tensor([41, 3, 17])
    part = measure(model, inputs[chosen], labels[chosen], INDICES[chosen], declared(), seed=0)
    assert torch.equal(part.prediction, whole.prediction[chosen])
    assert torch.equal(part.queries, whole.queries[chosen])
    assert torch.equal(part.index, whole.index[chosen])


def test_the_seed_changes_the_starts(case):
    first, second = (measure(*case, INDICES, declared(), seed=seed) for seed in (0, 1))
    assert not torch.equal(first.margin, second.margin)


@pytest.mark.parametrize("random_start", [True, False])
def test_an_image_without_a_gradient_is_attacked_no_further_with_the_same_outcome(case, random_start):
    model, inputs, labels = case
    saturated = nn.Sequential(model, Scaled(1000.0)).eval()
    spec = declared(steps=20, restarts=1, loss="clipped_cross_entropy", random_start=random_start)
    outcome = measure(saturated, inputs, labels, INDICES, spec, seed=0, keep_adversarial=True)
    still = outcome.robust & (outcome.queries <= 3)
    assert 0 < still.sum() < (outcome.clean_prediction == labels).sum()
    _, gradient = input_gradient(copy.deepcopy(saturated).double(), outcome.adversarial, labels, clipped_cross_entropy)
    without = ~gradient.flatten(1).any(1)
    assert torch.equal(still, outcome.robust & without)
    first = measure(
        saturated, inputs, labels, INDICES, declared(**spec.model_dump() | {"steps": 1}), seed=0, keep_adversarial=True
    )
    assert torch.equal(outcome.adversarial[still], first.adversarial[still])


@pytest.mark.parametrize("batch_size", [3, 256])
def test_each_restart_begins_at_noise_of_its_own_and_the_worst_counts(batch_size):
    inputs, labels = torch.full((200, 2), 0.5), torch.zeros(200, dtype=torch.int64)
    indices = torch.arange(200)
    spec = Pgd(name="pgd", epsilon=0.125, steps=1, step_size=0.01, restarts=6)
    outcome = measure(Window().eval(), inputs, labels, indices, spec, seed=5, batch_size=batch_size)
    drawn = [
        unit_ball_noise("linf", (2,), seed=5, indices=indices.tolist(), restarts=[restart] * 200)
        for restart in range(6)
    ]
    hits = torch.stack([0.5 + 0.125 * noise[:, 0] > 0.6 for noise in drawn], dim=1)
    first_hit = torch.where(hits.any(1), hits.int().argmax(1), -1)
    assert torch.equal(outcome.restart, first_hit)
    assert torch.equal(outcome.robust, ~hits.any(1))
    assert set(first_hit.tolist()) == {-1, 0, 1, 2, 3, 4, 5}


def test_more_restarts_never_help_the_model(case):
    outcomes = [measure(*case, INDICES, declared(restarts=restarts), seed=0) for restarts in (1, 2, 5)]
    for fewer, more in itertools.pairwise(outcomes):
        assert not (more.robust & ~fewer.robust).any()
        assert (more.margin <= fewer.margin).all()
    assert outcomes[2].robust.sum() < outcomes[0].robust.sum()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_what_is_reported_is_what_the_model_says_of_the_returned_points(case, norm, name):
    model, inputs, labels = case
    epsilon = 0.1 if norm == "linf" else 0.3
    fields = {"name": name, "epsilon": epsilon, "norm": norm}
    spec = Fgsm(**fields) if name == "fgsm" else Pgd(**fields, steps=5, step_size=epsilon / 4, restarts=2)
    outcome = measure(model, inputs, labels, INDICES, spec, seed=0, batch_size=16, keep_adversarial=True)
    with torch.no_grad():
        logits = model(outcome.adversarial)
    assert torch.equal(logits.argmax(1), outcome.prediction)
    torch.testing.assert_close(classification_margin(logits, labels), outcome.margin, rtol=0, atol=1e-4)
    difference = (outcome.adversarial.double() - inputs.double()).flatten(1)
    torch.testing.assert_close(difference.abs().amax(1), outcome.linf)
    torch.testing.assert_close(difference.norm(dim=1), outcome.l2)
    attacked = outcome.clean_prediction == labels
    assert (outcome.linf[attacked] > 0).all()
    assert ((outcome.restart >= 0) == (attacked & ~outcome.robust)).all()


class Valley(nn.Module):
    """Its margin is smallest at 0.52, which a step of 0.1 from 0.5 jumps over."""

    def forward(self, inputs: Tensor) -> Tensor:
        margin = 1 + (inputs[:, 0] - 0.52).abs()
        return torch.stack([margin, torch.zeros_like(margin)], dim=1)


def test_a_step_that_helps_the_model_is_reported_as_it_is():
    label, index = torch.tensor([0]), torch.tensor([0])
    outcome = measure(Valley().eval(), torch.tensor([[0.5]]), label, index, Fgsm(name="fgsm", epsilon=0.1), seed=0)
    assert outcome.linf.item() == pytest.approx(0.1, abs=1e-6)
    assert outcome.margin.item() == pytest.approx(1.08, abs=1e-6)
    assert outcome.clean_margin.item() == pytest.approx(1.02, abs=1e-6)


def test_an_image_already_misclassified_is_returned_untouched(case):
    model, inputs, labels = case
    outcome = measure(model, inputs, labels, INDICES, declared(), seed=0, keep_adversarial=True)
    missed = outcome.clean_prediction != labels
    assert missed.sum() == COUNT / 5
    assert (outcome.queries[missed] == 1).all()
    assert (outcome.restart[missed] == -1).all()
    assert (outcome.linf[missed] == 0).all()
    assert torch.equal(outcome.adversarial[missed], inputs[missed].double())
    assert torch.equal(outcome.margin[missed], outcome.clean_margin[missed])
    assert not outcome.robust[missed].any()


@pytest.mark.parametrize("batch_size", [7, 256])
def test_no_pass_is_spent_that_tells_nothing_new(case, batch_size):
    model, inputs, labels = case
    sizes: list[int] = []
    hook = model.register_forward_hook(lambda *call: sizes.append(len(call[1][0])))
    try:
        outcome = measure(model, inputs, labels, INDICES, declared(restarts=2), seed=0, batch_size=batch_size)
    finally:
        hook.remove()
    assert sum(sizes) == outcome.queries.sum()
    assert max(sizes) <= batch_size
    # The clean pass, then for each restart one pass a step and one at the last point.
    assert outcome.robust.any()
    assert (outcome.queries[outcome.robust] == 1 + 2 * 3).all()
    # The places of broken images are taken at once: passes are full until the queue is empty, so all that are
    # not are the last clean one and, for each restart, those of the rows that were left.
    assert sum(size < batch_size for size in sizes) <= 1 + 2 * 3


def test_fgsm_costs_a_clean_pass_that_carries_the_gradient_and_a_look_at_the_result(case):
    outcome = measure(*case, INDICES, Fgsm(name="fgsm", epsilon=0.1), seed=0)
    attacked = outcome.clean_prediction == outcome.label
    assert (outcome.queries[attacked] == 2).all()


@pytest.mark.parametrize("spec", [Clean(), Fgsm(name="fgsm", epsilon=0.0), declared(epsilon=0.0)])
def test_no_attack_and_an_epsilon_of_zero_give_the_clean_outcome(case, spec):
    outcome = measure(*case, INDICES, spec, seed=0)
    assert torch.equal(outcome.prediction, outcome.clean_prediction)
    assert torch.equal(outcome.margin, outcome.clean_margin)
    assert (outcome.queries == 1).all()
    assert outcome.robust.sum() == COUNT * 4 / 5


def test_the_global_random_states_are_left_alone(case):
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    measure(*case, INDICES, declared(), seed=0)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True))  # noqa: NPY002
    assert random.getstate() == python_state


def test_the_model_is_left_as_it_was(case):
    model, inputs, labels = case
    model[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure(model, inputs, labels, INDICES, declared(), seed=0)
    with pytest.raises(ValueError, match="one loss per example"):
        measure(
            *case, INDICES, declared(loss="training"), seed=0, training_loss=lambda z, y: cross_entropy(z, y).mean()
        )
    assert [weight.requires_grad for weight in model.parameters()] == [True, False, *[True] * 6]
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype
        assert value.is_contiguous()
        assert torch.equal(value, before[name])


def test_the_square_root_of_the_loss_leads_a_sign_attack_the_same_way(case):
    spec = declared(loss="training")
    own = measure(*case, INDICES, spec, seed=0, training_loss=lambda z, y: cross_entropy(z, y).sqrt())
    plain = measure(*case, INDICES, declared(), seed=0)
    assert torch.equal(own.prediction, plain.prediction)
    torch.testing.assert_close(own.margin, plain.margin)


def test_float64_sees_a_gradient_that_float32_rounds_away(case):
    model, inputs, labels = case
    confident = nn.Sequential(model, Scaled(3000.0)).eval()

    def robust(precision, loss):
        spec = declared(epsilon=0.06, steps=5, step_size=0.015, precision=precision, loss=loss)
        return measure(confident, inputs, labels, INDICES, spec, seed=0).robust.sum()

    assert robust("float64", "margin") < robust("float64", "cross_entropy") < robust("float32", "cross_entropy")


@pytest.mark.parametrize("spec", [Clean(), Fgsm(name="fgsm", epsilon=0.1), declared()])
def test_progress_counts_every_image_once(case, spec):
    told: list[int] = []
    measure(*case, INDICES, spec, seed=0, batch_size=16, progress=told.append)
    assert sum(told) == COUNT


@pytest.mark.parametrize("name", ["fgsm", "pgd"])
def test_an_attack_that_leaves_its_ball_is_refused(case, monkeypatch, name):
    monkeypatch.setattr(ThreatModel, "project", lambda _, points, origins: origins + 2.5 * (points - origins))
    spec = Fgsm(name="fgsm", epsilon=0.05) if name == "fgsm" else declared()
    with pytest.raises(OutsideThreatModelError, match=rf"'{name}' returned a point 0\.\d+ outside .* epsilon 0\.05"):
        measure(*case, INDICES, spec, seed=0)


def test_unbounded_inputs_need_the_box_switched_off():
    model = nn.Linear(2, 2).eval()
    inputs = torch.tensor([[-3.0, 4.0], [2.5, -1.0]])
    labels = model(inputs).argmax(1)
    spec = Fgsm(name="fgsm", epsilon=0.5)
    with pytest.raises(ValueError, match=r"from -3 to 4; expected \[0, 1\]. Pass box=None"):
        measure(model, inputs, labels, torch.arange(2), spec, seed=0)
    outcome = measure(model, inputs, labels, torch.arange(2), spec, seed=0, box=None)
    torch.testing.assert_close(outcome.linf, torch.full((2,), 0.5, dtype=torch.float64), rtol=0, atol=1e-6)


def test_a_model_in_training_mode_is_refused_by_the_layers_name(case):
    model, inputs, labels = case
    model[1].train()
    try:
        with pytest.raises(ValueError, match=r"^1 is in training mode; call model\.eval\(\)"):
            measure(model, inputs, labels, INDICES, declared(), seed=0)
    finally:
        model.eval()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.full((COUNT, 1, 8, 8), 1.01)}, "inputs run from 1.01 to 1.01"),
        ({"inputs": torch.full((COUNT, 1, 8, 8), torch.nan)}, "inputs run from nan"),
        ({"inputs": torch.zeros(COUNT, 1, 8, 8, dtype=torch.uint8)}, "torch.uint8 .*expected floats"),
        ({"inputs": torch.zeros(COUNT, 8, 8)}, r"shape \(60, 8, 8\)"),
        ({"labels": torch.zeros(COUNT)}, "labels are torch.float32"),
        (
            {"labels": torch.zeros(COUNT - 1, dtype=torch.int64)},
            r"labels are .*\(59,\); expected int64 of shape \(60,\)",
        ),
        ({"labels": torch.full((COUNT,), 4)}, "labels run from 4 to 4; expected 0 to 3"),
        ({"labels": torch.full((COUNT,), -1)}, "labels run from -1 to -1"),
        ({"indices": torch.arange(3)}, "indices are"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_arguments_are_refused(case, change, message):
    model, inputs, labels = case
    arguments = {"inputs": inputs, "labels": labels, "indices": INDICES, "spec": declared(), "seed": 0, **change}
    with pytest.raises(ValueError, match=message):
        measure(model, **arguments)


def test_an_empty_test_set_is_refused(case):
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="there are no inputs"):
        measure(case[0], torch.zeros(0, 1, 8, 8), none, none, declared(), seed=0)


@pytest.mark.parametrize("spec", [Clean(), declared()])
def test_logits_that_are_not_finite_are_not_taken_for_predictions(case, spec):
    broken = nn.Sequential(case[0], Scaled(float("nan"))).eval()
    with pytest.raises(UserError, match="logits are not finite"):
        measure(broken, case[1], case[2], INDICES, spec, seed=0)


def test_restarts_without_a_random_start_are_refused():
    with pytest.raises(ValidationError, match="restarts is 3, but without random_start"):
        declared(random_start=False)

from __future__ import annotations

import random
import sys

import numpy as np
import pyautoattack
import pytest
import torch
from attack_cases import linear_case, random_case
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.measure import measure
from robustrepro.attacks.threat_models import OutsideThreatModelError
from robustrepro.errors import UserError
from robustrepro.spec.attacks import AutoAttack, Clean, Pgd

COUNT = 16
INDICES = torch.arange(500, 500 + COUNT)
EPSILONS = {"linf": 0.03, "l2": 0.15, "l1": 0.5}


@pytest.fixture(scope="module")
def case():
    return random_case(COUNT)


def declared(**changes) -> AutoAttack:
    return AutoAttack(**{"name": "autoattack", "epsilon": 0.03, "steps": 20, "square_queries": 10, **changes})


class Recorder:
    """Stands for the library's ensemble: returns what it is told to, and remembers what it was given."""

    def __init__(self, monkeypatch, move) -> None:
        self.given: list[tuple[Tensor, Tensor]] = []

        def run(_, images, labels, *, batch_size):
            assert batch_size == 256
            self.given.append((images, labels))
            return move(images), labels

        monkeypatch.setattr(pyautoattack.AutoAttack, "run_standard_evaluation", run)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_autoattack_breaks_all_that_pgd_breaks_and_reports_what_the_model_says(case, norm):
    model, inputs, labels = case
    epsilon = EPSILONS[norm]
    outcome = measure(*case, INDICES, declared(epsilon=epsilon, norm=norm), seed=0, keep_adversarial=True)
    pgd = Pgd(name="pgd", epsilon=epsilon, norm=norm, steps=20, step_size=epsilon / 8, restarts=2)
    correct = outcome.clean_prediction == labels
    assert 0 < outcome.robust.sum() < correct.sum()
    assert not (outcome.robust & ~measure(*case, INDICES, pgd, seed=0).robust).any()
    with torch.no_grad():
        logits = model(outcome.adversarial)
    assert torch.equal(logits.argmax(1), outcome.prediction)
    torch.testing.assert_close(classification_margin(logits, labels), outcome.margin, rtol=0, atol=1e-5)
    difference = (outcome.adversarial.double() - inputs.double()).flatten(1)
    torch.testing.assert_close(difference.abs().amax(1), outcome.linf)
    torch.testing.assert_close(difference.norm(dim=1), outcome.l2)
    assert ((outcome.restart >= 0) == (correct & ~outcome.robust)).all()
    assert torch.equal(outcome.index, INDICES)


def test_its_steps_are_those_declared_in_every_norm(case):
    # So small a ball that nothing breaks: every attack of the ensemble takes all of its steps.
    small = {norm: declared(epsilon=1e-4, norm=norm, steps=2) for norm in EPSILONS}
    linf, l2, l1 = (measure(*case, INDICES, small[norm], seed=0).queries.sum() for norm in ("linf", "l2", "l1"))
    assert linf / 2 < l2 < 2 * linf
    assert linf / 2 < l1 < 2 * linf


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_without_a_box_it_searches_all_of_the_ball(case, norm):
    model, inputs, labels = case
    # Pixels at the ends of their range, beyond which half of every ball lies.
    images = (inputs > 0.5).float()
    labels, epsilon = model(images).argmax(1), 2 * EPSILONS[norm]
    spec = declared(epsilon=epsilon, norm=norm)
    outcome = measure(model, images, labels, INDICES, spec, seed=0, box=None, keep_adversarial=True)
    clipped = measure(model, images, labels, INDICES, spec, seed=0)
    assert outcome.robust.sum() < clipped.robust.sum()
    assert outcome.adversarial[~outcome.robust].min() < 0
    assert outcome.adversarial[~outcome.robust].max() > 1
    assert torch.equal(outcome.adversarial[outcome.robust], images[outcome.robust])
    length = {"linf": outcome.linf, "l2": outcome.l2}.get(norm, (outcome.adversarial - images).flatten(1).norm(1, 1))
    assert length.max() <= epsilon * (1 + 1e-5)
    pgd = Pgd(name="pgd", epsilon=epsilon, norm=norm, steps=20, step_size=epsilon / 8, restarts=2)
    assert not (outcome.robust & ~measure(model, images, labels, INDICES, pgd, seed=0, box=None).robust).any()


def test_an_image_that_rounding_alone_breaks_counts_as_broken():
    # Margins below the rounding error of an image that is rescaled and back: the library may see it broken already.
    torch.manual_seed(0)
    linear = nn.Linear(64, 4, bias=False)
    model = nn.Sequential(nn.Flatten(), linear).eval()
    images = torch.rand(200, 1, 8, 8)
    with torch.no_grad():
        first, second = linear.weight[0], linear.weight[1]
        normal = (first - second) / (first - second).norm()
        flat = images.flatten(1)
        images = (flat - (flat @ normal)[:, None] * normal).reshape(images.shape).clamp(0, 1)
        linear.weight[2:] = -10
    labels = model(images).argmax(1)
    tiny = declared(epsilon=0.05, steps=5)
    outcome = measure(model, images, labels, torch.arange(200), tiny, seed=0, box=None)
    pgd = Pgd(name="pgd", epsilon=0.05, steps=5, step_size=0.02)
    assert not (outcome.robust & ~measure(model, images, labels, torch.arange(200), pgd, seed=0, box=None).robust).any()


def test_images_of_another_range_are_attacked_as_if_they_were_in_the_unit_box(case):
    model, inputs, labels = case

    class Halved(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = model((images + 1) / 2)
            return logits

    plain = measure(model, inputs, labels, INDICES, declared(), seed=0)
    doubled = 2 * inputs - 1
    wide = measure(Halved().eval(), doubled, labels, INDICES, declared(epsilon=0.06), seed=0, box=(-1.0, 1.0))
    assert (plain.robust == wide.robust).double().mean() >= 0.9
    assert 0 < wide.robust.sum() < len(labels)


def test_plus_runs_all_six_attacks(case, monkeypatch):
    recorder = Recorder(monkeypatch, lambda images: images)
    outcome = measure(*case, INDICES, declared(version="plus"), seed=0)
    assert len(recorder.given) == 6
    assert torch.equal(outcome.robust, outcome.clean_prediction == outcome.label)


def test_only_what_the_model_gets_right_and_no_attack_has_broken_is_attacked(case, monkeypatch):
    _, inputs, labels = case
    recorder = Recorder(monkeypatch, lambda images: (images + 0.5 * torch.linspace(-1, 1, 8)).clamp(0, 1))
    outcome = measure(*case, INDICES, declared(epsilon=0.5), seed=0)
    correct = outcome.clean_prediction == labels
    assert correct.sum() == COUNT - 4
    assert torch.equal(recorder.given[0][0], inputs[correct])
    assert 0 < (outcome.restart == 0).sum() < correct.sum()
    for images, truth in recorder.given[1:]:
        assert torch.equal(images, inputs[outcome.robust])
        assert torch.equal(truth, labels[outcome.robust])
    assert (outcome.queries[~correct] == 1).all()


def test_a_point_that_the_model_still_gets_right_breaks_nothing(case, monkeypatch):
    Recorder(monkeypatch, lambda images: (images + 1e-6).clamp(0, 1))
    outcome = measure(*case, INDICES, declared(), seed=0)
    assert torch.equal(outcome.robust, outcome.clean_prediction == outcome.label)
    assert torch.equal(outcome.margin, outcome.clean_margin)


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (lambda images: images + 0.07 * (images < 0.5), r"'autoattack \(apgd-ce\)' returned a point 0\.04 outside"),
        (lambda images: images + 0.03 * torch.sign(images - 0.5), r"a pixel 0\.0\d+ outside the box \[0, 1\]"),
        (lambda images: images * torch.nan, "a point nan outside"),
    ],
)
def test_a_returned_point_outside_the_threat_model_is_an_error(case, monkeypatch, move, message):
    Recorder(monkeypatch, move)
    with pytest.raises(OutsideThreatModelError, match=message):
        measure(*case, INDICES, declared(), seed=0)


def test_queries_add_up_to_the_rows_that_went_through_the_model(case):
    model, inputs, labels = case
    sizes: list[int] = []
    hook = model.register_forward_hook(lambda *call: sizes.append(len(call[1][0])))
    try:
        outcome = measure(model, inputs, labels, INDICES, declared(), seed=0)
    finally:
        hook.remove()
    # Each of four attacks rounds its share to whole passes; one row tells how many classes there are.
    assert outcome.queries.sum().item() == pytest.approx(sum(sizes) - 1, abs=4 * COUNT / 2)
    early = outcome.queries[outcome.restart == 0]
    assert len(early) > 0
    assert (early < outcome.queries[outcome.robust].min()).all()


def test_squares_budget_is_the_declared_one(case):
    few, many = (measure(*case, INDICES, declared(square_queries=queries), seed=0) for queries in (5, 105))
    assert (many.queries[many.robust] - few.queries[few.robust] == 100).all()


def test_the_seed_decides_and_the_global_states_are_left_alone(case):
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002

    def tracer(*_):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        first = measure(*case, INDICES, declared(), seed=0, keep_adversarial=True)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_state, strict=True))  # noqa: NPY002
    assert random.getstate() == python_state
    torch.rand(3)
    again, other = (measure(*case, INDICES, declared(), seed=seed, keep_adversarial=True) for seed in (0, 1))
    assert torch.equal(again.adversarial, first.adversarial)
    assert not torch.equal(other.adversarial, first.adversarial)


def test_it_says_nothing_also_where_the_library_warns(case, capfd):
    class Constant(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return 0 * inputs.flatten(1)[:, :5] + torch.tensor([1.0, 0, 0, 0, 0])

    inputs, labels = case[1], torch.zeros(COUNT, dtype=torch.int64)
    outcome = measure(Constant().eval(), inputs, labels, INDICES, declared(), seed=0)
    assert outcome.robust.all()
    assert capfd.readouterr() == ("", "")


def test_progress_counts_every_image_once(case):
    told: list[int] = []
    outcome = measure(*case, INDICES, declared(), seed=0, progress=told.append)
    assert sum(told) == COUNT
    assert told[-1] == outcome.robust.sum()


def test_an_epsilon_of_zero_gives_the_clean_outcome(case):
    outcome = measure(*case, INDICES, declared(epsilon=0.0), seed=0)
    clean = measure(*case, INDICES, Clean(), seed=0)
    assert torch.equal(outcome.margin, clean.margin)
    assert (outcome.queries == 1).all()


def test_a_model_with_too_few_classes_is_refused():
    model, inputs, labels, _ = linear_case((1, 6, 6))
    with pytest.raises(UserError, match="at least 4 classes, for its targeted DLR loss; this one has 2"):
        measure(model, inputs, labels, torch.arange(len(labels)), declared(), seed=0)


def test_inputs_that_are_no_images_are_refused():
    model = nn.Linear(3, 5).eval()
    inputs = torch.rand(4, 3)
    labels = model(inputs).argmax(1)
    with pytest.raises(UserError, match=r"needs images; found shape \(3,\)"):
        measure(model, inputs, labels, torch.arange(4), declared(), seed=0, box=None)
    low = nn.Sequential(nn.Flatten(), nn.Linear(16, 5)).eval()
    images = torch.rand(3, 1, 4, 4)
    with pytest.raises(UserError, match=r"norm l2 needs images of height 5 at least; found \(1, 4, 4\)"):
        measure(low, images, low(images).argmax(1), torch.arange(3), declared(norm="l2"), seed=0)


def test_a_budget_of_no_queries_and_unknown_versions_are_refused():
    with pytest.raises(ValidationError, match="square_queries"):
        declared(square_queries=0)
    with pytest.raises(ValidationError, match="'standard' or 'plus'"):
        declared(version="rand")

from __future__ import annotations

import pytest
import torch
from attack_cases import random_case
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from robustrepro.attacks.curve import attacks_of, measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.attacks.threat_models import OutsideThreatModelError, ThreatModel
from robustrepro.spec.attacks import Curve, Fgsm, Pgd

COUNT = 60
INDICES = torch.arange(1000, 1000 + COUNT)
EPSILONS = {"linf": [0.01, 0.03, 0.08, 0.2], "l2": [0.05, 0.2, 0.6, 1.5], "l1": [0.2, 0.8, 2.5, 6.0]}
ATTACKS = {
    "fgsm": {"name": "fgsm"},
    "bim": {"name": "bim", "steps": 3, "relative_step": 0.4},
    "mi_fgsm": {"name": "mi_fgsm", "steps": 3, "relative_step": 0.4, "decay": 0.9},
    "pgd": {"name": "pgd", "steps": 3, "relative_step": 0.4, "restarts": 2},
    "margin": {"name": "pgd", "steps": 2, "relative_step": 0.6, "random_start": False, "loss": "margin"},
}


@pytest.fixture(scope="module")
def case():
    return random_case(COUNT)


def curve(attack: str, norm: str = "linf", **options) -> Curve:
    declared = {"name": "curve", "epsilons": EPSILONS[norm], "attack": {**ATTACKS[attack], "norm": norm, **options}}
    return TypeAdapter(Curve).validate_python(declared)


@pytest.mark.parametrize("batch_size", [16, 256])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_curve_gives_the_verdicts_of_separate_attacks_on_every_image(case, attack, norm, batch_size):
    spec = curve(attack, norm, precision="float64")
    outcome = measure_curve(*case, INDICES, spec, seed=4, batch_size=batch_size)
    separate = [measure(*case, INDICES, attack, seed=4) for attack in attacks_of(spec)]
    for level, (epsilon, expected) in enumerate(zip(EPSILONS[norm], separate, strict=True)):
        rows = slice(level, None, len(separate))
        assert (outcome.epsilon[rows] == epsilon).all()
        for column in ("index", "label", "clean_prediction", "prediction", "queries", "robust"):
            assert torch.equal(getattr(outcome, column)[rows], getattr(expected, column)), column
        torch.testing.assert_close(outcome.margin[rows], expected.margin)
    counts = [expected.robust.sum().item() for expected in separate]
    assert counts[0] > counts[1] > counts[-1]


def test_a_curve_of_fgsm_computes_every_images_gradient_once(case):
    model, inputs, labels = case
    passes = {True: 0, False: 0}

    def count(_, arguments, answer):
        passes[answer.requires_grad] += len(arguments[0])

    hook = model.register_forward_hook(count)
    try:
        outcome = measure_curve(model, inputs, labels, INDICES, curve("fgsm"), seed=0, batch_size=32)
    finally:
        hook.remove()
    correct = int((outcome.clean_prediction == outcome.label).sum())
    assert passes == {True: COUNT, False: correct}


class Band(nn.Module):
    """Wrong only where the first feature lies between 0.55 and 0.65; its margin falls with it everywhere."""

    def forward(self, inputs: Tensor) -> Tensor:
        first = inputs[:, 0]
        wrong = ((first > 0.55) & (first < 0.65)).to(first.dtype)
        return torch.stack([1 - 0.1 * first - 2 * wrong, 0 * first], dim=1)


def test_an_image_that_a_smaller_epsilon_breaks_may_resist_a_larger_one():
    inputs, label = torch.full((1, 2), 0.5), torch.tensor([0])
    spec = Curve.model_validate({"name": "curve", "epsilons": [0.02, 0.1, 0.3], "attack": {"name": "fgsm"}})
    outcome = measure_curve(Band().eval(), inputs, label, torch.tensor([7]), spec, seed=0)
    assert outcome.robust.tolist() == [True, False, True]
    assert outcome.index.tolist() == [7, 7, 7]


def test_progress_counts_every_pair_once(case):
    told: list[int] = []
    measure_curve(*case, INDICES, curve("pgd"), seed=0, batch_size=16, progress=told.append)
    assert sum(told) == COUNT * 4


def test_steps_scale_with_epsilon():
    assert attacks_of(curve("pgd"))[2] == Pgd(name="pgd", epsilon=0.08, steps=3, step_size=0.4 * 0.08, restarts=2)
    assert attacks_of(curve("fgsm", "l2"))[0] == Fgsm(name="fgsm", epsilon=0.05, norm="l2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilons": [0.1, 0.1]}, "expected each larger than the one before"),
        ({"epsilons": []}, "at least 1 item"),
        ({"epsilons": [0.0, 0.1]}, "greater than 0"),
        ({"attack": {"name": "fgsm", "epsilon": 0.1}}, "Extra inputs"),
        ({"attack": {"name": "bim", "steps": 2, "step_size": 0.1}}, "relative_step"),
        ({"attack": {"name": "noise", "draws": 2}}, "does not match any of the expected tags"),
        (
            {"attack": {"name": "pgd", "steps": 2, "relative_step": 0.1, "restarts": 2, "random_start": False}},
            "restarts is 2, but without random_start",
        ),
    ],
)
def test_a_curve_that_makes_no_sense_is_refused(change, message):
    declared = {"name": "curve", "epsilons": [0.1, 0.2], "attack": {"name": "fgsm"}, **change}
    with pytest.raises(ValidationError, match=message):
        Curve.model_validate(declared)


def test_a_violation_names_the_epsilon_that_was_left(case, monkeypatch):
    def project(threat, points, origins):
        reached = ThreatModel.__dict__["direction"](threat, points - origins)
        radius = threat.epsilon.reshape(-1, 1, 1, 1)
        return origins + reached * torch.where(radius > 0.1, radius + 0.5, radius)

    monkeypatch.setattr(ThreatModel, "project", project)
    with pytest.raises(OutsideThreatModelError, match=r"a point 0\.5 outside the linf ball of epsilon 0\.2"):
        measure_curve(*case, INDICES, curve("fgsm"), seed=0, box=None)

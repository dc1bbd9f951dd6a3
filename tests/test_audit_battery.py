"""The audit's attacks on one model: their order, the images that each is given, and when alarms go off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from attack_cases import Scaled, random_case
from torch import Tensor, nn

from robustrepro.attacks.measure import measure
from robustrepro.audit.alarms import MOST_ZERO_GRADIENTS, alarms, zero_gradient_share
from robustrepro.audit.battery import BallOutcome, Battery
from robustrepro.precision import float32_products
from robustrepro.spec.attacks import Inputs, Norm
from robustrepro.spec.audit import Audit, AuditBall, ball_of

EPSILON = 0.05
COUNT = 40
STRONGER = {"pgd-2": {"name": "pgd", "loss": "margin", "steps": 5, "restarts": 2}, "square": {"name": "autoattack"}}


def ball(norm: Norm = "linf", **more: dict[str, Any]) -> AuditBall:
    """Return a ball with FGSM, PGD and more attacks, which come first."""
    audit = Audit.model_validate(
        {
            "examples": COUNT,
            "attacks": more | {"fgsm": {"name": "fgsm"}, "pgd": {"name": "pgd", "steps": 5}},
            "transfer": {"name": "fgsm"},
            "escalation": STRONGER,
            "smaller": {"shares": [0.25, 0.5], "attack": {"name": "pgd", "steps": 5, "relative_step": 0.5}},
            "noises": 2,
        }
    )
    return ball_of(audit, norm, EPSILON, Inputs((1, 8, 8), 4))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Let the library's attacks break every image that they are given; return which these were, call by call."""
    given: list[list[int]] = []

    def spy(model: nn.Module, inputs: Tensor, labels: Tensor, indices: Tensor, spec: Any, **options: Any) -> Any:
        if spec.name != "autoattack":
            return measure(model, inputs, labels, indices, spec, **options)
        given.append(indices.tolist())
        return SimpleNamespace(prediction=(labels + 1) % 4)

    monkeypatch.setattr("robustrepro.audit.battery.measure", spy)
    return given


def silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustrepro.audit.battery.alarms", lambda *_, **__: [])


def test_the_library_comes_last_and_attacks_only_what_the_others_left(
    library: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    silenced(monkeypatch)
    model, images, labels = random_case(COUNT)
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(ball(autoattack={"name": "autoattack"}))
    assert list(outcome.predictions) == ["fgsm", "pgd", "autoattack"]
    others = BallOutcome({name: outcome.predictions[name] for name in ("fgsm", "pgd")}).resisted(labels)
    assert 0 < others.sum() < COUNT
    assert library == [others.nonzero().flatten().tolist()]
    # What another attack has broken counts as broken by the library, too.
    assert not (outcome.predictions["autoattack"] == labels).any()
    assert not outcome.resisted(labels).any()


def test_a_library_that_is_left_nothing_is_not_run(library: list[list[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    silenced(monkeypatch)
    model, images, labels = random_case(COUNT)
    wide = ball(autoattack={"name": "autoattack"})
    wider = wide.attacks["pgd"].model_copy(update={"epsilon": 1.0, "step_size": 0.5, "loss": "margin"})
    wide = wide.model_copy(update={"attacks": wide.attacks | {"pgd": wider}})
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(wide)
    assert not (outcome.predictions["pgd"] == labels).any()
    assert library == []
    assert not (outcome.predictions["autoattack"] == labels).any()


def test_every_attack_predicts_what_it_would_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    silenced(monkeypatch)
    model, images, labels = random_case(COUNT)
    declared = ball()
    outcome = Battery(model, images, labels, seed=5, box=(0.0, 1.0)).run(declared)
    for name, attack in declared.attacks.items():
        alone = measure(model, images, labels, torch.arange(COUNT), attack, seed=5).prediction
        assert torch.equal(outcome.predictions[name], alone)


def test_fewer_images_resist_the_larger_the_epsilon(monkeypatch: pytest.MonkeyPatch) -> None:
    silenced(monkeypatch)
    model, images, labels = random_case(COUNT)
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(ball())
    assert list(outcome.smaller) == [EPSILON / 4, EPSILON / 2]
    predictions = (*outcome.smaller.values(), outcome.predictions["pgd"])
    resisting = [int((prediction == labels).sum()) for prediction in predictions]
    assert resisting == sorted(resisting, reverse=True)
    assert resisting[0] > resisting[-1]


def test_an_alarm_adds_the_stronger_attacks_and_the_examples_of_copies(library: list[list[int]]) -> None:
    model, images, labels = random_case(COUNT)
    # Rounding leaves such logits no gradient.
    masked = nn.Sequential(model, Scaled(1e5)).eval()
    outcome = Battery(masked, images, labels, seed=0, box=(0.0, 1.0)).run(ball())
    assert "zero gradients" in {alarm.name for alarm in outcome.alarms if alarm.goes_off}
    assert list(outcome.predictions) == ["fgsm", "pgd", "pgd-2, rescaled copy", "pgd-2", "square"]
    resisting = {name: int((prediction == labels).sum()) for name, prediction in outcome.predictions.items()}
    assert resisting["pgd-2, rescaled copy"] < resisting["pgd"]
    before = BallOutcome({name: answers for name, answers in outcome.predictions.items() if name != "square"})
    assert library == [before.resisted(labels).nonzero().flatten().tolist()]


def test_an_example_of_a_copy_makes_no_misclassified_image_robust(
    library: list[list[int]],  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, images, labels = random_case(COUNT)
    masked = nn.Sequential(model, Scaled(1e5)).eval()
    with torch.no_grad():
        clean = masked(images).argmax(1)
    # Examples that the model gets right, every one.
    exemplars = torch.stack([images[clean == label][0] for label in labels])
    monkeypatch.setattr("robustrepro.audit.battery.craft", lambda *_, **__: exemplars)
    outcome = Battery(masked, images, labels, seed=0, box=(0.0, 1.0)).run(ball())
    assert torch.equal(outcome.predictions["pgd-2, rescaled copy"] == labels, clean == labels)


def test_where_no_image_is_classified_correctly_there_is_nothing_to_alarm(library: list[list[int]]) -> None:
    model, images, _ = random_case(COUNT)
    with torch.no_grad():
        wrong = (model(images).argmax(1) + 1) % 4
    outcome = Battery(model, images, wrong, seed=0, box=(0.0, 1.0)).run(ball(autoattack={"name": "autoattack"}))
    assert outcome.alarms == []
    assert list(outcome.predictions) == ["fgsm", "pgd", "autoattack"]
    assert library == []
    assert not outcome.resisted(wrong).any()


def test_every_pass_of_the_battery_is_in_true_float32(library: list[list[int]]) -> None:  # noqa: ARG001
    model, images, labels = random_case(COUNT)
    masked = nn.Sequential(model, Scaled(1e5)).eval()  # sets off an alarm, so that the copies are attacked too
    settings: set[str] = set()
    masked.register_forward_hook(lambda *_: settings.add(torch.backends.cudnn.conv.fp32_precision))
    with float32_products("tf32"):
        Battery(masked, images, labels, seed=0, box=(0.0, 1.0)).run(ball())
    assert settings == {"ieee"}


@pytest.mark.parametrize(("norm", "reach"), [("linf", 0.5), ("l2", 0.5 * 8), ("l1", 0.5 * 64)])
def test_the_far_attack_can_turn_every_image_grey(
    monkeypatch: pytest.MonkeyPatch,
    norm: Norm,
    reach: float,
) -> None:
    model, images, labels = random_case(COUNT)
    attacks: list[Any] = []

    def spy(model: nn.Module, inputs: Tensor, labels: Tensor, indices: Tensor, spec: Any, **options: Any) -> Any:
        attacks.append(spec)
        return measure(model, inputs, labels, indices, spec, **options)

    monkeypatch.setattr("robustrepro.audit.battery.measure", spy)
    declared = ball(norm)
    Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(declared)
    far = [attack for attack in attacks if attack.epsilon != EPSILON]
    assert far[0].epsilon == reach
    attacks.clear()
    low, high = float(images.min()), float(images.max())
    Battery(model, images, labels, seed=0, box=None).run(declared)
    unclipped = [attack for attack in attacks if attack.epsilon != EPSILON]
    assert unclipped[0].epsilon == pytest.approx(reach * (high - low))
    assert far[0].step_size / far[0].epsilon == pytest.approx(declared.attacks["pgd"].step_size / EPSILON)


# -- alarms --------------------------------------------------------------------------------------------------

QUIET = {"zero_gradients": 0.0, "noise": 0.9, "far": 0.1, "largest_class": 0.2}


@pytest.mark.parametrize(
    ("accuracy", "changed", "goes_off"),
    [
        ({"fgsm": 0.5, "pgd": 0.4}, {}, []),
        ({"fgsm": 0.5, "pgd": 0.5}, {"noise": 0.5, "far": 0.2, "zero_gradients": MOST_ZERO_GRADIENTS}, []),
        ({"fgsm": 0.5, "pgd": 0.4}, {"zero_gradients": 0.011}, ["zero gradients"]),
        ({"fgsm": 0.3, "pgd": 0.4}, {}, ["one step beats many"]),
        ({"fgsm": 0.5, "pgd": 0.4}, {"noise": 0.39}, ["noise beats gradients"]),
        ({"fgsm": 0.5, "pgd": 0.4}, {"far": 0.21}, ["robust beyond reason"]),
    ],
)
def test_an_alarm_goes_off_above_its_bound(
    accuracy: dict[str, float], changed: dict[str, float], goes_off: list[str]
) -> None:
    raised = alarms(accuracy, **QUIET | changed)
    assert [alarm.name for alarm in raised if alarm.goes_off] == goes_off
    assert len(raised) == 4
    assert [alarm.as_data()["goes_off"] for alarm in raised] == [alarm.name in goes_off for alarm in raised]


@pytest.mark.parametrize("batch_size", [2, 3, 256])
def test_the_share_without_gradient_counts_images_whose_gradient_is_zero_everywhere(batch_size: int) -> None:
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    model = nn.Sequential(nn.ReLU(), layer).eval()
    # Negative values stop at the rectifier: two of seven points have no gradient, two have it in one coordinate.
    points = torch.tensor([[1.0, 2], [-1, 2], [-1, -1], [2, 1], [3, -1], [-2, -3], [1, 1]])
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0])
    assert zero_gradient_share(model, points, labels, batch_size) == 2 / 7

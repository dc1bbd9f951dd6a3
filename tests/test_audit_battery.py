"""The audit's attacks on one model: their order, the images that each is given, and when alarms go off."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyautoattack  # type: ignore[import-untyped]
import pytest
import torch
from attack_cases import Scaled, random_case
from hidden_models import LINES, InALine, sine
from hidden_models import images as hidden_images
from hidden_models import network as hidden_network
from torch import Tensor, nn

from robustrepro.attacks.autoattack import SQUARE
from robustrepro.attacks.measure import measure
from robustrepro.audits.alarms import (
    MOST_WRONG_GRADIENTS,
    MOST_ZERO_GRADIENTS,
    alarms,
    has_no_gradient,
    has_shattered_gradient,
    wrong_gradient_share,
)
from robustrepro.audits.battery import BallOutcome, Battery
from robustrepro.precision import float32_products
from robustrepro.spec.attacks import Inputs, Norm
from robustrepro.spec.audit import Audit, AuditBall, attack_at, ball_of

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
def library(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[list[int]]:
    """Let the library's attacks break every image that they are given; return which these were, call by call."""
    given: list[list[int]] = []
    broken_by = getattr(request, "param", [SQUARE])

    def spy(model: nn.Module, inputs: Tensor, labels: Tensor, indices: Tensor, spec: Any, **options: Any) -> Any:
        if spec.name != "autoattack":
            return measure(model, inputs, labels, indices, spec, **options)
        given.append(indices.tolist())
        with torch.no_grad():
            predicted = model(exemplars).argmax(1)
        found = torch.stack([exemplars[predicted != label][0] for label in labels])
        return SimpleNamespace(adversarial=found, restart=torch.full((len(labels),), broken_by[0]))

    _, exemplars, _ = random_case(COUNT)

    monkeypatch.setattr("robustrepro.audits.battery.measure", spy)
    return given


def silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustrepro.audits.battery.alarms", lambda *_, **__: [])


def test_the_library_comes_last_and_attacks_only_what_the_others_left(
    library: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    silenced(monkeypatch)
    model, images, labels = random_case(COUNT)
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(ball(autoattack={"name": "autoattack"}))
    assert list(outcome.predictions) == ["fgsm", "pgd", "autoattack", "uniform noise"]
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
    assert list(outcome.predictions) == ["fgsm", "pgd", "uniform noise", "pgd-2, rescaled copy", "pgd-2", "square"]
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
    monkeypatch.setattr("robustrepro.audits.battery.craft", lambda *_, **__: exemplars)
    outcome = Battery(masked, images, labels, seed=0, box=(0.0, 1.0)).run(ball())
    assert torch.equal(outcome.predictions["pgd-2, rescaled copy"] == labels, clean == labels)


def test_what_the_noise_of_an_alarm_breaks_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    silenced(monkeypatch)
    model, images, labels = random_case(COUNT)
    declared = ball()
    fragile = ball().model_copy(update={"noise": declared.noise.model_copy(update={"epsilon": 0.5, "draws": 10})})
    with_noise = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(fragile)
    attacks = BallOutcome({name: with_noise.predictions[name] for name in declared.attacks})
    assert with_noise.resisted(labels).sum() < attacks.resisted(labels).sum()


def test_a_point_that_fools_the_model_in_float64_alone_breaks_nothing() -> None:
    class InFloat64(nn.Module):
        """A model that gives in to small changes where numbers are wide enough to tell them apart."""

        def forward(self, inputs: Tensor) -> Tensor:
            change = (inputs + 2.0**23) - 2.0**23
            return torch.stack([0.42 - change.flatten(1)[:, 0], *[0 * change.flatten(1)[:, 0]] * 3], 1)

    images = torch.full((8, 1, 8, 8), 0.4)
    labels = torch.zeros(8, dtype=torch.int64)
    wide = {"name": "pgd", "steps": 5, "loss": "margin", "precision": "float64"}
    declared = ball(wide=wide)
    alone = measure(InFloat64().eval(), images, labels, torch.arange(8), declared.attacks["wide"], seed=0)
    assert not alone.robust.any()
    outcome = Battery(InFloat64().eval(), images, labels, seed=0, box=None).run(
        declared.model_copy(update={"escalation": {}})
    )
    assert (outcome.predictions["wide"] == labels).all()


def test_an_alarm_that_the_copies_silence_is_said_to_be_silent() -> None:
    model = InALine(LINES["rounded pixels"])
    images = hidden_images(COUNT)
    with torch.no_grad():
        labels = model(images).argmax(1)
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(without_library())
    off = {alarm.name: alarm for alarm in outcome.alarms if alarm.goes_off}
    assert off["zero gradients"].value == 1.0
    assert off["zero gradients"].after == 0.0
    assert not any(alarm.still_goes_off for alarm in outcome.alarms)
    assert not any("distilled" in name or name == "rays" for name in outcome.predictions)


def test_where_no_copy_has_a_gradient_labels_are_asked_and_the_alarm_still_goes_off() -> None:
    class OnPaper(nn.Module):
        """A model whose images leave PyTorch one number at a time."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = hidden_network()

        def forward(self, inputs: Tensor) -> Tensor:
            numbers = [float(value) for value in inputs.detach().flatten()]
            return self.inner(torch.tensor(numbers).reshape(inputs.shape))

    count = 12
    model, images = OnPaper().eval(), hidden_images(count)
    with torch.no_grad():
        labels = model(images).argmax(1)
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(without_library())
    assert {"rays", "pgd-2, distilled copy"} <= outcome.predictions.keys()
    (zero,) = (alarm for alarm in outcome.alarms if alarm.name == "zero gradients")
    assert zero.still_goes_off
    resisting = {name: int((prediction == labels).sum()) for name, prediction in outcome.predictions.items()}
    assert resisting["pgd"] == resisting["fgsm"] == count
    honest = measure(
        hidden_network(), images, labels, torch.arange(count), without_library().escalation["pgd-2"], seed=0
    )
    assert resisting["rays"] <= int(honest.robust.sum()) + 2 < count


def without_library() -> AuditBall:
    declared = ball()
    rays = attack_at({"name": "rays", "queries": 500}, "linf", EPSILON)
    escalation = {"pgd-2": declared.escalation["pgd-2"]}
    return declared.model_copy(update={"escalation": escalation, "without_gradients": {"rays": rays}})


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

    monkeypatch.setattr("robustrepro.audits.battery.measure", spy)
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

QUIET = {
    "zero_gradients": 0.0,
    "wrong_gradients": 0.1,
    "shattered_gradients": 0.1,
    "black_box": 0.1,
    "noise": 0.9,
    "far": 0.1,
    "largest_class": 0.2,
}


@pytest.mark.parametrize(
    ("accuracy", "changed", "goes_off"),
    [
        ({"fgsm": 0.5, "pgd": 0.4}, {}, []),
        ({"fgsm": 0.5, "pgd": 0.5}, {"noise": 0.5, "far": 0.2, "zero_gradients": MOST_ZERO_GRADIENTS}, []),
        ({"fgsm": 0.5, "pgd": 0.4}, {"zero_gradients": 0.011}, ["zero gradients"]),
        ({"fgsm": 0.5, "pgd": 0.4}, {"wrong_gradients": 0.11}, ["wrong gradients"]),
        ({"fgsm": 0.5, "pgd": 0.4}, {"shattered_gradients": 0.11}, ["shattered gradients"]),
        ({"fgsm": 0.5, "pgd": 0.4}, {"black_box": 0.11}, ["black box beats gradients"]),
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
    assert len(raised) == 7
    assert [alarm.as_data()["goes_off"] for alarm in raised] == [alarm.name in goes_off for alarm in raised]


def test_gradients_that_differences_contradict_are_counted() -> None:
    honest, images = hidden_network(), hidden_images(COUNT)
    with torch.no_grad():
        labels = honest(images).argmax(1)
    assert wrong_gradient_share(honest, images, labels) <= MOST_WRONG_GRADIENTS
    assert wrong_gradient_share(InALine(LINES["a negated derivative"]), images, labels) == 1.0
    # What has no gradient and moves nothing near by is another alarm's.
    assert wrong_gradient_share(InALine(LINES["rounded pixels"]), images, labels) == 0.0


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_gradient_is_shattered_where_it_points_elsewhere_nearby(norm: Norm) -> None:
    honest, inputs = hidden_network(), hidden_images(COUNT)
    with torch.no_grad():
        labels = honest(inputs).argmax(1)
    epsilon = {"linf": 0.1, "l2": 0.1 * inputs[0].numel() ** 0.5, "l1": 0.1 * inputs[0].numel()}[norm]
    shattered = has_shattered_gradient(InALine(sine), inputs, labels, norm, epsilon)
    assert shattered.double().mean() > 0.7  # of 144 pixels, some unrelated gradients have a cosine above 0.2
    assert torch.equal(has_shattered_gradient(InALine(sine), inputs, labels, norm, epsilon, 3), shattered)
    assert not has_shattered_gradient(honest, inputs, labels, norm, epsilon).any()
    # Where there is none at all, another alarm goes off.
    assert not has_shattered_gradient(InALine(LINES["rounded pixels"]), inputs, labels, norm, epsilon).any()
    assert not has_shattered_gradient(InALine(LINES["a negated derivative"]), inputs, labels, norm, epsilon).any()


def test_what_resists_with_a_shattered_gradient_stays_in_doubt_and_an_averaged_copy_is_tried() -> None:
    model, images = InALine(sine), hidden_images(COUNT)
    with torch.no_grad():
        labels = model(images).argmax(1)
    declared = ball()  # of three classes, as AutoAttack has it, there are too few
    declared = declared.model_copy(update={"escalation": {"pgd-2": declared.escalation["pgd-2"]}})
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(declared)
    resisting = outcome.resisted(labels)
    assert resisting.any()
    found = {alarm.name: alarm for alarm in outcome.alarms}["shattered gradients"]
    assert found.value > 0.7
    assert found.after is not None
    assert 0.5 * float(resisting.double().mean()) < found.after <= float(resisting.double().mean())
    assert found.still_goes_off
    assert "pgd-2, averaged copy" in outcome.predictions
    # Its copies break more than its own gradient does.
    assert float((outcome.predictions["pgd"] == labels).double().mean()) > float(resisting.double().mean()) + 0.2


def test_a_black_box_beats_gradients_where_it_alone_breaks_images(library: list[list[int]]) -> None:
    model, images, labels = random_case(COUNT)
    declared = ball(autoattack={"name": "autoattack"})
    weak = {key: attack.model_copy(update={"epsilon": EPSILON / 5}) for key, attack in declared.attacks.items()}
    declared = declared.model_copy(update={"attacks": weak})
    outcome = Battery(model, images, labels, seed=0, box=(0.0, 1.0)).run(declared)
    by_gradients = {name: outcome.predictions[name] for name in ("fgsm", "pgd")}
    left = BallOutcome(by_gradients).resisted(labels).double().mean()
    assert len(library[0]) == round(COUNT * float(left))
    found = {alarm.name: alarm for alarm in outcome.alarms}["black box beats gradients"]
    assert found.value == pytest.approx(float(left))
    assert found.goes_off
    # Stronger attacks have found some of these by gradients, too.
    assert found.after is not None
    assert found.after < found.value


@pytest.mark.parametrize("library", [[0]], indirect=True)
def test_what_autoattack_finds_along_gradients_counts_for_no_black_box(library: list[list[int]]) -> None:
    model, images, labels = random_case(COUNT)
    declared = ball(autoattack={"name": "autoattack"})
    weak = {key: attack.model_copy(update={"epsilon": EPSILON / 5}) for key, attack in declared.attacks.items()}
    battery = Battery(model, images, labels, seed=0, box=(0.0, 1.0))
    outcome = battery.run(declared.model_copy(update={"attacks": weak}))
    assert library
    assert not outcome.resisted(labels).any()
    assert {alarm.name: alarm for alarm in outcome.alarms}["black box beats gradients"].value == 0.0


@pytest.mark.parametrize("version", ["standard", "plus"])
def test_square_has_its_number_in_the_ensemble_of_either_version(version: str) -> None:
    attacks = pyautoattack.AutoAttack(nn.Identity(), eps=0.1, version=version, device="cpu").attacks_to_run
    assert attacks.index("square") == SQUARE


@pytest.mark.parametrize("batch_size", [2, 3, 256])
def test_the_share_without_gradient_counts_images_whose_gradient_is_zero_everywhere(batch_size: int) -> None:
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(2))
    model = nn.Sequential(nn.ReLU(), layer).eval()
    # Negative values stop at the rectifier: two of seven points have no gradient, two have it in one coordinate.
    points = torch.tensor([[1.0, 2], [-1, 2], [-1, -1], [2, 1], [3, -1], [-2, -3], [1, 1]])
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 0])
    assert int(has_no_gradient(model, points, labels, batch_size).sum()) == 2

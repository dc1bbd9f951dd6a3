"""Attacks and audits of any classifier: what they return, and what they say of models that do not fit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from api_cases import COUNT, EPSILON, FEW, quietly
from attack_cases import random_case
from hidden_models import InALine
from torch import Tensor, nn

import robustrepro as rr
from robustrepro.api.ball import changed_audit
from robustrepro.attacks.measure import measure
from robustrepro.spec.attacks import attack_adapter
from robustrepro.spec.audit import built_in_audit

pytest_plugins = ["api_audits"]


class ByChance(nn.Module):
    """A model that answers by chance: on images with noise."""

    def __init__(self, model: nn.Module, draw: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.draw = model, draw

    def forward(self, inputs: Tensor) -> Tensor:
        return self.model(inputs + 0.1 * self.draw(inputs))


def in_torch(inputs: Tensor) -> Tensor:
    return torch.randn_like(inputs)


def in_numpy(inputs: Tensor) -> Tensor:
    return torch.from_numpy(np.random.randn(*inputs.shape)).to(inputs)  # noqa: NPY002 (what a user may write)


# -- attack --------------------------------------------------------------------------------------------------


def test_an_attack_gives_a_row_per_image_as_the_pipeline_measures_it(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = case
    frame = rr.attack(model, images, labels, "pgd", epsilon=EPSILON, steps=5, restarts=2, seed=3)
    declared = {"name": "pgd", "epsilon": EPSILON, "steps": 5, "restarts": 2, "step_size": 2.5 * EPSILON / 5}
    spec = attack_adapter.validate_python(declared)
    expected = measure(model, images, labels, torch.arange(COUNT), spec, seed=3)
    assert frame["prediction"].tolist() == expected.prediction.tolist()
    assert frame["robust"].tolist() == expected.robust.tolist()
    np.testing.assert_allclose(frame["linf"], expected.linf)
    assert list(frame["label"]) == labels.tolist()


@pytest.mark.parametrize("name", ["clean", "deepfool", "noise", "rays", "legacy_fgsm"])
def test_attacks_of_every_kind_run(case: tuple[nn.Module, Tensor, Tensor], name: str) -> None:
    options = {"noise": {"epsilon": 0.1, "draws": 2}, "rays": {"epsilon": 0.1, "queries": 50}}.get(name, {})
    frame = rr.attack(*case, name, keep_adversarial=True, **options)
    assert len(frame) == COUNT
    assert frame.attrs["adversarial"].shape == case[1].shape
    assert set(frame["robust"]) <= {True, False}


def test_arrays_and_bytes_are_taken_as_well(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = case
    levels = (images * 255).round().byte()
    of_bytes = rr.attack(model, levels.numpy(), labels.numpy(), "fgsm", epsilon=EPSILON)
    of_floats = rr.attack(model, levels.float() / 255, labels.tolist(), "fgsm", epsilon=EPSILON)
    pd.testing.assert_frame_equal(of_bytes, of_floats)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pdg", {}, "unknown attack: 'pdg'; did you mean 'pgd'?"),
        ("pgd", {"epsilon": 0.1, "step": 3}, "unknown option of 'pgd': 'step'; did you mean 'steps'?"),
        ("pgd", {"epsilon": 0.1}, "attack 'pgd'"),
        ("pgd", {"epsilon": 0.1, "steps": 3, "loss": "training"}, "loss is 'training', which is for models of a paper"),
        ("recoloradv", {"bound": 0.1}, "recoloradv needs images in colour"),
    ],
)
def test_a_mistaken_attack_is_named(
    case: tuple[nn.Module, Tensor, Tensor], name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(rr.UserError) as error:
        rr.attack(*case, name, **options)
    assert message in str(error.value)


# -- what does not fit ---------------------------------------------------------------------------------------


def answering(answer: Callable[[Tensor], Any]) -> nn.Module:
    class Answering(nn.Module):
        def forward(self, inputs: Tensor) -> Any:
            return answer(inputs)

    return Answering().eval()


Given = tuple[Any, Any, Any]
MISFITS: dict[str, Callable[[nn.Module, Tensor, Tensor], Given]] = {
    "is in training mode; call model.eval() first": lambda model, x, y: (model.train(), x, y),
    "expected [0, 1]. Standardise inside the model": lambda model, x, y: (model, 2 * x, y),
    "there are no images": lambda model, x, y: (model, x[:0], y[:0]),
    "there are 24 images and 23 labels": lambda model, x, y: (model, x, y[:-1]),
    "labels are torch.float32": lambda model, x, y: (model, x, y.float()),
    "labels run from 3 to 6; expected 0 to 3, since the model has 4 classes": lambda model, x, y: (model, x, y + 3),
    "images are torch.float32 of shape (1, 8, 8)": lambda model, x, y: (model, x[0], y),
    "the model fails on images of shape (1, 5, 8): ": lambda model, x, y: (model, x[:, :, :5], y),
    "the model is a str; expected a torch.nn.Module": lambda _, x, y: ("a model", x, y),
    "the model returned shape ()": lambda _, x, y: (answering(lambda x: x.sum()), x, y),
    "logits are not finite": lambda _, x, y: (answering(lambda x: x.flatten(1)[:, :4] / 0), x, y),
}


@pytest.mark.parametrize("message", MISFITS)
def test_what_does_not_fit_is_refused_in_one_line(message: str) -> None:
    for ask in (lambda *given: rr.attack(*given, "fgsm", epsilon=0.1), quietly):
        with pytest.raises(rr.UserError) as error:
            ask(*MISFITS[message](*random_case(COUNT)))
        assert message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.double(),
        lambda model: model.bfloat16(),
        lambda model: model.to(memory_format=torch.channels_last),
        lambda model: nn.Sequential(answering(lambda x: x.sub_(0.1)), model).eval(),
        lambda model: nn.Sequential(model, answering(lambda z: z.half())).eval(),
    ],
    ids=["double", "bfloat16", "channels-last", "writes over its input", "half logits"],
)  # fmt: skip
def test_a_model_of_any_precision_and_form_is_audited(change: Callable[[nn.Module], nn.Module]) -> None:
    model, images, labels = random_case(COUNT)
    before = images.clone()
    found = quietly(change(model), images.transpose(2, 3).contiguous().transpose(2, 3), labels)
    assert 0 < found.worst_case < found.clean_accuracy
    assert torch.equal(images, before)


# -- audit ---------------------------------------------------------------------------------------------------


def test_the_worst_case_is_over_every_attack_image_by_image(audited: rr.Audit) -> None:
    frame = audited.frame
    attacks = [column for column in frame if column not in ("index", "label", "clean_prediction", "right")]
    assert {"fgsm", "pgd", "pgd-margin", "uniform noise"} <= set(attacks)
    resisting = (frame[attacks].eq(frame["label"], axis=0)).all(axis=1)
    assert (frame["right"] == resisting).all()
    assert audited.worst_case == pytest.approx(100 * resisting.mean())
    assert audited.interval[0] < audited.worst_case < audited.interval[1]
    assert audited.attacks["accuracy"].min() >= audited.worst_case
    assert audited.attacks["accuracy"].is_monotonic_increasing


def test_the_worst_points_break_what_they_are_said_to_break(
    case: tuple[nn.Module, Tensor, Tensor], audited: rr.Audit
) -> None:
    model, images, labels = case
    with torch.no_grad():
        right = model(audited.adversarial).argmax(1) == labels
    assert (right.numpy() == (audited.frame["right"] == 1)).all()
    assert float((audited.adversarial - images).abs().max()) <= EPSILON * (1 + 1e-5)


def test_the_verdict_says_what_resists_with_its_interval(audited: rr.Audit) -> None:
    low, high = audited.interval
    assert audited.verdict == (
        f"{audited.worst_case:.1f}% [{low:.1f}, {high:.1f}] of 24 images resist every attack within ℓ∞ 0.02; without "
        f"attack {audited.clean_accuracy:.1f}% are right."
    )
    assert repr(audited) == f"Sequential: {audited.verdict}"


def test_a_model_that_hides_its_gradient_is_taken_to_its_truth(
    plateau: tuple[InALine, Tensor, Tensor], hidden: rr.Audit
) -> None:
    model, images, labels = plateau
    honest = quietly(model.network, images, labels)
    assert not honest.gradient_hidden
    assert hidden.worst_case <= honest.worst_case + 10
    assert {alarm.name for alarm in hidden.alarms if alarm.goes_off} >= {"zero gradients"}
    assert not hidden.undecided


def test_what_nothing_can_attack_in_earnest_is_undecided() -> None:
    def read(inputs: Tensor) -> Tensor:
        """Read the class off three pixels, one number at a time."""
        numbers = torch.tensor([float(value) for value in inputs.detach()[:, 0, 0, :3].flatten()])
        return (1000 * (numbers.reshape(-1, 3) > 0.5)).float()

    images = torch.full((6, 1, 8, 8), 0.2)
    labels = torch.arange(6) % 3
    images[torch.arange(6), 0, 0, labels] = 0.9
    found = quietly(answering(read), images, labels)
    assert found.worst_case == 100
    assert found.undecided
    assert found.verdict.startswith("Undecided: between 0% and 100.0% of 6 images resist within ℓ∞ 0.02. After every")
    assert "zero gradients" in found.verdict
    assert "0 to " in found.to_html()
    assert 'class="verdict open"><strong>Undecided: between 0% and 100.0% of 6 images' in found.to_html()


def test_a_model_of_one_class_is_named_as_such(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    _, images, _ = case
    constant = answering(lambda inputs: torch.tensor([[0.0, 5.0, 1.0, 0.0]]).expand(len(inputs), 4) + 0 * inputs.sum())
    labels = torch.arange(COUNT) % 4
    found = quietly(constant, images, labels)
    assert found.verdict.startswith("All 24 images get class 1: ")


@pytest.mark.parametrize("draw", [in_torch, in_numpy])
def test_a_model_that_answers_by_chance_is_attacked_in_expectation(
    case: tuple[nn.Module, Tensor, Tensor], draw: Callable[[Tensor], Tensor]
) -> None:
    model, images, labels = case
    noisy = ByChance(model, draw).eval()
    found, again = (quietly(noisy, images, labels, seed=1) for _ in range(2))
    assert found.by_chance
    pd.testing.assert_frame_equal(found.frame, again.frame)
    right = found.frame["right"]
    assert ((right > 0) & (right < 1)).any()
    # Fresh passes at the worst points come to the same, but for chance.
    with torch.no_grad():
        passes = torch.stack([noisy(found.adversarial).argmax(1) == labels for _ in range(200)]).double()
    assert float(passes.mean()) * 100 == pytest.approx(found.worst_case, abs=6)
    assert found.worst_case < 100 * float(
        torch.stack([noisy(images).argmax(1) == labels for _ in range(50)]).double().mean()
    )
    assert "answers by chance" in [alarm.name for alarm in found.alarms if alarm.goes_off]
    assert found.verdict.startswith("The model answers by chance. Its expected accuracy")
    assert not found.undecided


def test_an_attack_on_chance_counts_how_often_the_model_is_right(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = case
    frame = rr.attack(ByChance(model, in_torch).eval(), images, labels, "pgd", epsilon=EPSILON, steps=5)
    assert frame["accuracy"].between(0, 1).all()
    assert ((frame["accuracy"] > 0) & (frame["accuracy"] < 1)).any()


def test_examples_of_other_models_are_tried(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = case
    hidden = nn.Sequential(answering(lambda inputs: inputs.detach()), model).eval()
    found = quietly(hidden, images, labels, others={"undefended": model})
    assert "transfer from undefended" in set(found.attacks["attack"])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_points_of_two_classes_are_audited_with_what_can_attack_them(norm: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    points = torch.rand(COUNT, 2)
    with torch.no_grad():
        labels = model(points).argmax(1)
    labels[::7] = 1 - labels[::7]
    changes = {**FEW, "attacks": {**FEW["attacks"], "autoattack": {"name": "autoattack"}}}
    found = quietly(model, points, labels, norm=norm, attacks=changes)
    assert "autoattack" not in set(found.attacks["attack"])
    assert found.left_out["autoattack"] == "autoattack needs images; found shape (2,)"
    assert ("rays" in found.left_out) == (norm == "l2")
    assert found.worst_case <= found.clean_accuracy


def test_a_model_that_computes_in_float32_alone_is_spared_float64(case: tuple[nn.Module, Tensor, Tensor]) -> None:
    model, images, labels = case
    through_arrays = answering(lambda x: torch.from_numpy(x.detach().numpy().astype("float32")))
    model = nn.Sequential(through_arrays, model).eval()
    attacks = {**FEW["attacks"], "pgd-float64": {"name": "pgd", "steps": 2, "precision": "float64"}}
    found = quietly(model, images, labels, attacks={**FEW, "attacks": attacks})
    why = "pgd in float64 needs a model that computes in it; this one does not"
    assert found.left_out["pgd-float64"] == why
    with pytest.raises(rr.UserError, match=why):
        rr.attack(model, images, labels, "pgd", epsilon=0.1, steps=2, precision="float64")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0.0}, "epsilon is 0; expected a radius above 0"),
        ({"norm": "l3"}, "norm is 'l3'; expected one of linf, l2, l1"),
        ({"attacks": {"noise": 5}}, "attacks: noise: unknown key; did you mean 'noises'?"),
        ({"attacks": {"attacks": {"fgsm": None}}}, "attacks.fgsm: expected an attack of this name, which the alarms"),
        (
            {"attacks": {"attacks": {"autoatack": None}}},
            "unknown attack to remove in attacks: 'autoatack'; did you mean",
        ),
        (
            {"attacks": {"attacks": {"mine": {"name": "pdg"}}}},
            "unknown attack in attacks.mine: 'pdg'; did you mean 'pgd'",
        ),
        ({"attacks": {"attacks": [{"name": "pgd"}]}}, "attacks: attacks: expected a mapping, found [{"),
        (
            {"attacks": {"attacks": {"rays": {"name": "rays"}}}},
            "attacks: 'rays' is a key of attacks and of without_gradients; expected another key",
        ),
        (
            {"attacks": {"attacks": {"mine": {"name": "fgsm", "epsilon": 0.2}}}},
            "attacks.mine: epsilon is that of the ball; expected no epsilon and no norm",
        ),
        (
            {"attacks": {"attacks": {"far-pgd": {"name": "fgsm"}}}},
            "attacks: 'far-pgd' begins with 'far', as those of an",
        ),
    ],
)
def test_a_mistaken_ball_is_named(
    case: tuple[nn.Module, Tensor, Tensor], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(rr.UserError) as error:
        quietly(*case, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("norm", "epsilon", "message"),
    [
        ("linf", 25, "epsilon is 25; expected at most 1, the largest ℓ∞ distance between two inputs with values in"),
        ("linf", 1.01, "[0, 1]; did you mean 1.01/255?"),
        ("linf", 1000, "between two inputs with values in [0, 1]"),
        ("l2", 128, "epsilon is 128; expected at most 8, the largest ℓ2 distance"),
        ("l1", 65, "epsilon is 65; expected at most 64, the largest ℓ1 distance"),
    ],
)
def test_a_ball_that_holds_every_image_is_refused(
    case: tuple[nn.Module, Tensor, Tensor], norm: str, epsilon: float, message: str
) -> None:
    for ask in (
        lambda: quietly(*case, norm=norm, epsilon=epsilon),
        lambda: rr.attack(*case, "fgsm", norm=norm, epsilon=epsilon),
    ):
        with pytest.raises(rr.UserError) as error:
            ask()
        assert message in str(error.value)
    assert len(rr.attack(*case, "fgsm", norm=norm, epsilon={"linf": 1, "l2": 8, "l1": 64}[norm])) == COUNT


def test_an_attack_is_added_changed_or_removed_and_the_others_stay() -> None:
    before = built_in_audit()
    added = {"pgd-100": {"name": "pgd", "steps": 100}, "pgd": {"steps": 7}, "autoattack": None}
    after = changed_audit({"attacks": added, "noises": 3}, "linf", 0.1)
    assert set(after.attacks) == {*before.attacks, "pgd-100"} - {"autoattack"}
    assert after.attacks["pgd"] == {"name": "pgd", "steps": 7}
    assert after.attacks["pgd-margin"] == before.attacks["pgd-margin"]
    assert (after.escalation, after.smaller, after.noises) == (before.escalation, before.smaller, 3)
    assert changed_audit(None, "linf", 0.1) == before


# -- the package ---------------------------------------------------------------------------------------------


def test_importing_the_package_imports_no_library() -> None:
    code = "import sys, robustrepro, json; print(json.dumps([name for name in sys.modules if '.' not in name]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pandas", "pydantic"} & set(json.loads(found.stdout))


def test_what_the_package_offers_is_there_and_described() -> None:
    for name in rr.__all__:
        assert getattr(rr, name).__doc__
    assert set(rr.__all__) <= set(dir(rr))
    with pytest.raises(AttributeError, match="has no attribute 'audits_of'"):
        _ = rr.audits_of

"""The audit's measurement of one model in one ball: its rows, and the alarms in its notes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import AUDIT
from measuring import CODE, LENET, described, measured
from safetensors.torch import save_file
from torch import nn

from robustrepro.audits.battery import Battery
from robustrepro.datasets.tensors import as_float, load
from robustrepro.files import sha256_of
from robustrepro.models.build import build_network
from robustrepro.spec.attacks import Inputs
from robustrepro.spec.audit import Audit, AuditBall, ball_of
from robustrepro.spec.measurements import AuditOfBall
from robustrepro.spec.networks import Network

EXAMPLES = 20
BALLS: list[tuple[Any, float]] = [("l2", 1.0), ("linf", 0.1)]
SMALLER = [0.25, 0.5]
Rows = list[dict[str, Any]]


def ball(norm: Any, epsilon: float) -> AuditBall:
    """Return a ball with the small audit's attacks, two smaller ε, and one more attack for when an alarm goes off."""
    smaller = {**AUDIT["smaller"], "shares": SMALLER}
    return ball_of(Audit.model_validate({**AUDIT, "smaller": smaller}), norm, epsilon, Inputs((1, 28, 28), 10))


def trained_checkpoint(folder: Path, data: Path, *, factor: float = 1.0) -> tuple[Path, nn.Module]:
    """Write a network that has learnt the test images it is asked about, with its last layer multiplied."""
    split = load(data, "test")
    model = build_network(Network.model_validate(LENET), (1, 28, 28), split.classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(as_float(split.inputs)), split.labels).backward()
        optimizer.step()
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    for name in list(state)[-2:]:
        state[name] = state[name] * factor
    model.load_state_dict(state)
    save_file(state, folder / "weights")
    return folder / "weights", model.eval()


def audited(weights: Path, data: Path, place: tuple[Any, float]) -> tuple[Rows, dict[str, Any]]:
    """Return the rows and the origin of a model's measurement in one ball."""
    declared = AuditOfBall(kind="audit", ball=ball(*place), examples=EXAMPLES)
    output = weights.parent / f"audit-{place[0]}/m/seed3.parquet"
    columns, origin = measured(output, data, declared, [described(weights, network=LENET)])
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)], origin


@dataclass
class Plain:
    """A trained network, and its measurement in each ball."""

    weights: Path
    model: nn.Module
    measured: dict[tuple[Any, float], tuple[Rows, dict[str, Any]]]


@pytest.fixture(scope="module")
def plain(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    weights, model = trained_checkpoint(tmp_path_factory.mktemp("plain"), digits)
    return Plain(weights, model, {place: audited(weights, digits, place) for place in BALLS})


def of_attack(rows: Rows, attack: str, epsilon: float) -> Rows:
    return [row for row in rows if (row["attack"], row["epsilon"]) == (attack, epsilon)]


@pytest.mark.parametrize("place", BALLS)
def test_there_is_a_row_per_image_for_every_attack_and_every_smaller_epsilon(
    digits: Path, plain: Plain, place: tuple[Any, float]
) -> None:
    rows, origin = plain.measured[place]
    split = load(digits, "test")
    images, labels = as_float(split.inputs[:EXAMPLES]), split.labels[:EXAMPLES]
    battery = Battery(plain.model, images, labels, seed=3, box=(0.0, 1.0))
    outcome = battery.run(ball(*place))
    assert set(outcome.predictions) >= set(AUDIT["attacks"])
    at_ball = [(name, place[1], predicted) for name, predicted in outcome.predictions.items()]
    below = [("smaller", epsilon, predicted) for epsilon, predicted in outcome.smaller.items()]
    assert [epsilon for _, epsilon, _ in below] == [place[1] * share for share in SMALLER]
    for name, epsilon, predicted in at_ball + below:
        chosen = of_attack(rows, name, epsilon)
        assert [row["index"] for row in chosen] == list(range(EXAMPLES))
        assert [row["label"] for row in chosen] == labels.tolist()
        assert [row["clean_prediction"] for row in chosen] == battery.clean.tolist()
        assert [row["prediction"] for row in chosen] == predicted.tolist()
    assert len(rows) == EXAMPLES * len(at_ball + below)
    assert list(rows[0]) == ["index", "label", "clean_prediction", "attack", "epsilon", "prediction"]
    assert origin["notes"]["alarms"] == [alarm.as_data() for alarm in outcome.alarms]


@pytest.mark.parametrize("place", BALLS)
def test_the_notes_have_the_ball_as_it_is_declared(plain: Plain, place: tuple[Any, float]) -> None:
    _, origin = plain.measured[place]
    assert origin["notes"]["ball"] == origin["spec"]["measure"]["ball"]
    assert AuditBall.model_validate(origin["notes"]["ball"]) == ball(*place)


def test_the_origin_is_that_of_the_model_on_the_test_images(digits: Path, plain: Plain) -> None:
    _, origin = plain.measured[BALLS[0]]
    assert origin["models"] == [{"model": "m", "seed": 3, "weights_sha256": sha256_of(plain.weights)}]
    assert (origin["kind"], origin["code"], origin["device"]) == ("audit", CODE, "cpu")
    assert origin["data_manifest_sha256"] == load(digits, "test").manifest_sha256


@pytest.mark.parametrize("place", BALLS)
def test_an_alarm_that_goes_off_is_in_the_notes_and_brings_more_rows(
    digits: Path, tmp_path: Path, plain: Plain, place: tuple[Any, float]
) -> None:
    masked, _ = trained_checkpoint(tmp_path, digits, factor=1e4)
    for (rows, origin), goes_off in ((plain.measured[place], False), (audited(masked, digits, place), True)):
        alarms = {alarm["name"]: alarm["goes_off"] for alarm in origin["notes"]["alarms"]}
        assert alarms["zero gradients"] == any(alarms.values()) == goes_off
        for name in ("pgd-margin-2", "pgd-margin-2, rescaled copy"):
            assert bool(of_attack(rows, name, place[1])) == goes_off

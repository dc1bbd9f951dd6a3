"""The audit's measurement of one model: its rows, and the alarms in its metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import AUDIT
from measuring import LENET
from safetensors.torch import save_file
from torch import nn

from robustrepro.audit.battery import Battery
from robustrepro.datasets.tensors import as_float, load
from robustrepro.files import sha256_of
from robustrepro.measurements.audit import measure_audit
from robustrepro.measurements.store import read_measurement
from robustrepro.models.build import build_model
from robustrepro.spec.audit import Smaller, attack_at

EXAMPLES = 20
BALLS = [("l2", 1.0), ("linf", 0.1)]
Rows = list[dict[str, Any]]


def ball(norm: Any, epsilon: float) -> dict[str, Any]:
    """Return a ball with the small audit's attacks, two smaller ε, and one more attack for when an alarm goes off."""

    def attacks(kind: str) -> dict[str, Any]:
        return {name: attack_at(template, norm, epsilon) for name, template in AUDIT[kind].items()}

    smaller = Smaller.model_validate(AUDIT["smaller"] | {"shares": [0.25, 0.5]})
    return {
        "norm": norm,
        "epsilon": epsilon,
        "attacks": attacks("attacks"),
        "escalation": {"attacks": attacks("escalation")},
        "noise": {"attack": attack_at({"name": "noise", "draws": 2}, norm, epsilon)},
        "smaller": {"attack": smaller.curve(norm, epsilon)},
    }


def trained_checkpoint(folder: Path, data: Path, *, factor: float = 1.0) -> tuple[Path, nn.Module]:
    """Write a network that has learnt the test images it is asked about, with its last layer multiplied."""
    split = load(data, "test")
    model = build_model(LENET, (1, 28, 28), split.classes)
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


def audited(weights: Path, data: Path) -> tuple[Rows, dict[str, Any]]:
    spec = {"balls": [ball(*place) for place in BALLS], "examples": EXAMPLES, "architecture": LENET}
    output = weights.with_name("audit.parquet")
    measure_audit(spec, "c0de", model_name="m", seed=3, data=data, weights=weights, output=output)
    table, origin = read_measurement(output)
    return table.to_pylist(), origin


@pytest.fixture(scope="module")
def plain(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module, Rows, dict[str, Any]]:
    """Return a trained network's checkpoint and the network, and the rows and the origin of its measurement."""
    weights, model = trained_checkpoint(tmp_path_factory.mktemp("plain"), digits)
    return weights, model, *audited(weights, digits)


def of_attack(rows: Rows, ball: tuple[str, float], attack: str, epsilon: float) -> Rows:
    wanted = (*ball, attack, epsilon)
    return [row for row in rows if (row["norm"], row["ball"], row["attack"], row["epsilon"]) == wanted]


def test_there_is_a_row_an_image_for_every_attack_and_every_smaller_epsilon(
    digits: Path, plain: tuple[Path, nn.Module, Rows, dict[str, Any]]
) -> None:
    _, model, rows, origin = plain
    split = load(digits, "test")
    images, labels = as_float(split.inputs[:EXAMPLES]), split.labels[:EXAMPLES]
    expected = 0
    for place in BALLS:
        battery = Battery(model, images, labels, seed=3, box=(0.0, 1.0))
        outcome = battery.run(ball(*place))
        assert set(outcome.predictions) >= set(AUDIT["attacks"])
        at_ball = [(name, place[1], found) for name, found in outcome.predictions.items()]
        below = [("smaller", epsilon, found) for epsilon, found in outcome.smaller.items()]
        assert [epsilon for _, epsilon, _ in below] == [place[1] * 0.25, place[1] * 0.5]
        for name, epsilon, found in at_ball + below:
            chosen = of_attack(rows, place, name, epsilon)
            assert [row["index"] for row in chosen] == list(range(EXAMPLES))
            assert [row["label"] for row in chosen] == labels.tolist()
            assert [row["clean_prediction"] for row in chosen] == battery.clean.tolist()
            assert [row["prediction"] for row in chosen] == found.tolist()
            expected += EXAMPLES
        assert origin["alarms"][BALLS.index(place)] == [alarm.as_data() for alarm in outcome.alarms]
    assert len(rows) == expected
    assert list(rows[0]) == ["norm", "ball", "index", "label", "clean_prediction", "attack", "epsilon", "prediction"]


def test_the_origin_is_that_of_the_model_on_the_test_images(
    digits: Path, plain: tuple[Path, nn.Module, Rows, dict[str, Any]]
) -> None:
    weights, _, _, origin = plain
    assert origin["models"] == [{"model": "m", "seed": 3, "weights_sha256": sha256_of(weights)}]
    assert (origin["kind"], origin["code"], origin["device"]) == ("audit", "c0de", "cpu")
    assert [(ball["norm"], ball["epsilon"]) for ball in origin["spec"]["balls"]] == BALLS
    assert origin["data_manifest_sha256"] == load(digits, "test").manifest_sha256


def test_an_alarm_that_goes_off_is_in_the_metadata_and_brings_more_rows(
    digits: Path, tmp_path: Path, plain: tuple[Path, nn.Module, Rows, dict[str, Any]]
) -> None:
    masked, _ = trained_checkpoint(tmp_path, digits, factor=1e4)
    for (rows, origin), goes_off in ((plain[2:], False), (audited(masked, digits), True)):
        for place, alarms in zip(BALLS, origin["alarms"], strict=True):
            names = {alarm["name"]: alarm["goes_off"] for alarm in alarms}
            assert names["zero gradients"] == any(names.values()) == goes_off
            for name in ("pgd-margin-2", "pgd-margin-2, rescaled copy"):
                assert bool(of_attack(rows, place, name, place[1])) == goes_off

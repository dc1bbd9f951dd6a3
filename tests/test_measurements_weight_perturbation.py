"""Perturbed layers on the trained model's adversarial examples: what a model derived for each would say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import checkpoint, described, measured
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.minimal_distance import measure_distances
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.implementations import made
from robustrepro.measures.weight_perturbation import _rest
from robustrepro.spec.attacks import attack_adapter
from robustrepro.spec.measurements import measure_of
from robustrepro.spec.models import Derivation

NETWORK = {"architecture": {"name": "pooled_convnet", "channels": [3], "kernel": 5, "pools": [4], "hidden": [12]}}
LAYER = "classifier.1"
ATTACK = {"name": "legacy_fgsm", "steps": 50}
METHODS = ("remove_rarely_active", "truncate_singular_values", "remove_and_truncate")
COUNT = 30
SWEEP: dict[str, Any] = {"attack": ATTACK, "layer": LAYER, "every": 33, "examples": COUNT}


@pytest.fixture
def swept(digits: Path, tmp_path: Path) -> tuple[dict[str, np.ndarray], nn.Module]:
    """Return the columns of a sweep, and the model."""
    weights, model = checkpoint(tmp_path / "weights", NETWORK, seed=1)
    columns, _ = measured(
        tmp_path / "sweep/m/seed1.parquet",
        digits,
        {"weight_perturbation": SWEEP},
        [described(weights, seed=1, network=NETWORK)],
    )
    return {name: np.array(values) for name, values in columns.items()}, model


def rows(columns: dict[str, np.ndarray], method: str, percent: int) -> dict[str, np.ndarray]:
    chosen = (columns["method"] == method) & (columns["percent"] == percent)
    return {name: values[chosen] for name, values in columns.items()}


def test_there_is_a_row_per_image_method_and_percentage(swept):
    columns, _ = swept
    assert len(columns["index"]) == COUNT * 3 * 4
    assert sorted(set(columns["percent"])) == [0, 33, 66, 99]
    for method in METHODS:
        assert rows(columns, method, 66)["index"].tolist() == list(range(COUNT))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("percent", [0, 33, 66, 99])
def test_predictions_are_those_of_a_model_derived_so(swept, digits, method, percent):
    columns, model = swept
    split = load(digits, "test")
    images, labels = as_float(split.inputs[:COUNT]), split.labels[:COUNT]
    attack = attack_adapter.validate_python(ATTACK)
    outcome = measure_distances(model, images, labels, torch.arange(COUNT), attack, keep_adversarial=True)
    declared = {"name": method, "layer": LAYER, "percent": percent}
    change = Derivation.model_validate({"from": "m", "change": declared}).change
    made(change, model, *([digits] if change.reads_data else []))
    found = rows(columns, method, percent)
    with torch.no_grad():
        assert found["unattacked"].tolist() == model(images).argmax(1).tolist()
        assert found["prediction"].tolist() == model(outcome.adversarial).argmax(1).tolist()
    assert found["label"].tolist() == labels.tolist()
    np.testing.assert_array_equal(found["linf"], outcome.linf)
    np.testing.assert_array_equal(found["l2"], outcome.l2)


def test_perturbed_layers_change_answers(swept):
    columns, _ = swept
    for method in METHODS:
        first, last = (rows(columns, method, percent)["unattacked"] for percent in (0, 99))
        assert (first != last).any()


def test_an_unchanged_layer_has_the_verdict_of_the_attack_to_the_last_image(digits, tmp_path):
    weights, model = checkpoint(tmp_path / "weights", NETWORK, seed=1)
    sweep = {**SWEEP, "attack": {"name": "legacy_deepfool"}, "up_to": 0}
    columns, _ = measured(
        tmp_path / "sweep/m/seed1.parquet",
        digits,
        {"weight_perturbation": sweep},
        [described(weights, seed=1, network=NETWORK)],
    )
    split = load(digits, "test")
    attack = attack_adapter.validate_python(sweep["attack"])
    images, labels = as_float(split.inputs[:COUNT]), split.labels[:COUNT]
    outcome = measure_distances(model, images, labels, torch.arange(COUNT), attack)
    assert columns["prediction"] == outcome.prediction.tolist() * 3
    assert columns["unattacked"] == columns["clean_prediction"] == outcome.clean_prediction.tolist() * 3


def test_an_attack_in_a_ball_makes_its_examples_too(digits, tmp_path):
    weights, _ = checkpoint(tmp_path / "weights", NETWORK, seed=1)
    sweep = {**SWEEP, "attack": {"name": "fgsm", "epsilon": 0.1}, "methods": ["truncate_singular_values"], "up_to": 33}
    columns, _ = measured(
        tmp_path / "sweep/m/seed1.parquet",
        digits,
        {"weight_perturbation": sweep},
        [described(weights, seed=1, network=NETWORK)],
    )
    assert set(columns["method"]) == {"truncate_singular_values"}
    assert sorted(set(columns["percent"])) == [0, 33]
    assert max(columns["linf"]) == pytest.approx(0.1, abs=1e-6)


class Skipping(nn.Module):
    """A network whose answers use what comes before the layer once more."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, points: Tensor) -> Tensor:
        return self.layer(points) + points


def test_a_network_that_goes_round_the_layer_is_refused():
    with pytest.raises(UserError, match="'layer': the network's answers depend on more than this layer's outputs"):
        _rest(Skipping().eval(), "layer", torch.randn(4, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [METHODS[0], METHODS[0]]}, "methods: expected each once"),
        ({"methods": ["M1"]}, "remove_rarely_active"),
        ({"up_to": 100}, "less than or equal to 99"),
        ({"every": 0}, "greater than or equal to 1"),
    ],
)
def test_a_mistake_in_a_sweep_is_told(changes, message):
    with pytest.raises((UserError, ValidationError), match=message):
        measure_of({"weight_perturbation": {**SWEEP, **changes}}, "measures.sweep")


@pytest.mark.parametrize(
    "attack",
    [
        {"name": "legacy_carlini_wagner", "binary_search_steps": 2, "max_iterations": 20},
        {"name": "legacy_deepfool", "steps": 5},
        {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.05},
    ],
    ids=lambda attack: attack["name"],
)
def test_attacks_find_what_they_find_by_themselves(digits, tmp_path, attack):
    weights, _ = checkpoint(tmp_path / "weights", NETWORK, seed=1)
    subject = [described(weights, seed=1, network=NETWORK)]
    alone, _ = measured(tmp_path / "a/m/seed1.parquet", digits, {"attack": attack, "examples": 6}, subject)
    sweep = {"attack": attack, "layer": LAYER, "up_to": 0, "methods": ["truncate_singular_values"], "examples": 6}
    swept, _ = measured(tmp_path / "s/m/seed1.parquet", digits, {"weight_perturbation": sweep}, subject)
    for name in ("clean_prediction", "prediction", "linf", "l2"):
        assert np.array(swept[name]).tolist() == np.array(alone[name]).tolist(), name

"""Measurements by perceptual attacks through their step: columns, and features of another model of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from measuring import LENET, Model, checkpoint, described, measured

from robustrepro.attacks.measure import measure as measure_attack
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import load_network
from robustrepro.spec.attacks import attack_adapter
from robustrepro.spec.networks import Network

CONVNET: dict[str, Any] = {"architecture": {"name": "convnet", "channels": [4]}}
STADV: dict[str, Any] = {"name": "stadv", "steps": 2, "form": "corrected"}
LPA: dict[str, Any] = {"name": "lagrangian_perceptual", "steps": 2, "form": "corrected", "bound": 0.2}
OWN = {**LPA, "features": {"layers": ["features.0"]}}
OTHERS = {**LPA, "features": {"layers": ["features.1"], "model": "eyes"}}


@pytest.fixture
def subject(tmp_path: Path) -> Model:
    return described(checkpoint(tmp_path / "weights", LENET)[0], network=LENET)


@pytest.fixture
def eyes(tmp_path: Path) -> Model:
    return described(checkpoint(tmp_path / "eyes", CONVNET, seed=4)[0], "eyes", seed=0, network=CONVNET)


def run(folder: Path, data: Path, attack: dict[str, Any], *models: Model, **options: Any) -> tuple[Any, Any]:
    return measured(folder / "lpa/m/seed3.parquet", data, {"attack": attack, "examples": 12}, [models[0]], **options)


def test_the_columns_are_those_of_an_attack_and_the_size(digits: Path, tmp_path: Path, subject: Model) -> None:
    columns, origin = run(tmp_path, digits, STADV, subject)
    split, network = load(digits, "test"), load_network(subject[1], Network.model_validate(LENET), (1, 28, 28), 10)
    images, index = as_float(split.inputs[:12]), torch.arange(12)
    outcome = measure_attack(network, images, split.labels[:12], index, attack_adapter.validate_python(STADV), seed=3)
    assert columns["size"] == outcome.size.tolist()
    assert columns["queries"] == outcome.queries.tolist()
    assert set(columns) == {
        *("index", "label", "clean_prediction", "clean_margin", "prediction", "margin"),
        *("linf", "l2", "queries", "restart", "size"),
    }
    assert "features" not in origin["spec"]


def test_an_attack_within_a_ball_has_no_size(digits: Path, tmp_path: Path, subject: Model) -> None:
    columns, _ = run(tmp_path, digits, {"name": "fgsm", "epsilon": 0.1}, subject)
    assert "size" not in columns
    assert "linf" in columns


def test_images_are_compared_by_the_features_of_another_model(
    digits: Path, tmp_path: Path, subject: Model, eyes: Model
) -> None:
    own, _ = run(tmp_path, digits, OWN, subject)
    columns, origin = run(tmp_path, digits, OTHERS, subject, features=[eyes])
    assert columns["size"] != own["size"]
    networks = {
        name: load_network(weights, Network.model_validate(network), (1, 28, 28), 10)
        for name, (_, weights), network in (("m", subject, LENET), ("eyes", eyes, CONVNET))
    }
    split = load(digits, "test")
    outcome = measure_attack(
        networks["m"],
        as_float(split.inputs[:12]),
        split.labels[:12],
        torch.arange(12),
        attack_adapter.validate_python(OTHERS),
        seed=3,
        others={"eyes": networks["eyes"]},
    )
    assert columns["size"] == outcome.size.tolist()
    assert columns["linf"] == outcome.linf.tolist()
    assert origin["models"] == [
        {"model": "m", "seed": 3, "weights_sha256": sha256_of(subject[1])},
        {"model": "eyes", "seed": 0, "weights_sha256": sha256_of(eyes[1])},
    ]


def test_a_perturbed_layer_is_measured_on_examples_that_another_model_bounds(
    digits: Path, tmp_path: Path, subject: Model, eyes: Model
) -> None:
    sweep = {"weight_perturbation": {"attack": OTHERS, "layer": "classifier.3", "every": 50}, "examples": 12}
    columns, _ = measured(tmp_path / "sweep/m/seed3.parquet", digits, sweep, [subject], features=[eyes])
    attack, _ = run(tmp_path, digits, OTHERS, subject, features=[eyes])
    unperturbed = [place for place, percent in enumerate(columns["percent"]) if percent == 0][:12]
    assert [columns["linf"][place] for place in unperturbed] == attack["linf"]


def test_layers_that_the_network_has_not_are_told_with_those_that_it_has(
    digits: Path, tmp_path: Path, subject: Model, eyes: Model
) -> None:
    missing = {**LPA, "features": {"layers": ["features.7"], "model": "eyes"}}
    with pytest.raises(
        UserError, match=r"'features.7' in the network; expected some of features, features.0, features.1"
    ):
        run(tmp_path, digits, missing, subject, features=[eyes])
    flat = {**LPA, "features": {"layers": ["classifier"]}}
    with pytest.raises(UserError, match=r"'classifier' puts out shape \(\d+, 10\); expected maps"):
        run(tmp_path, digits, flat, subject)

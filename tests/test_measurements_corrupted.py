"""Images that are corrupted as they are classified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import described, measured
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from robustrepro.corruptions.digital import saved_as_jpeg
from robustrepro.corruptions.registry import CORRUPTIONS
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.models.build import build_network
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import DATASETS
from robustrepro.spec.measurements import CorruptionName, measure_of
from robustrepro.spec.networks import Network

NETWORK = {"architecture": {"name": "convnet", "channels": [4, 6]}}
COUNT = 70
"""More than one batch."""


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of digits in colour."""
    folder = tmp_path_factory.mktemp("data") / "digits_rgb"
    prepare(DATASETS["digits_rgb"], folder)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    model = build_network(Network.model_validate(NETWORK), (3, 32, 32), 10, seed=2).eval()
    path = tmp_path_factory.mktemp("model") / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path, model


def corrupted(colour: Path, weights: Path, folder: Path, **declared: Any) -> dict[str, np.ndarray]:
    columns, _ = measured(
        folder / "corrupted/m/seed2.parquet",
        colour,
        {"corrupted": declared, "examples": COUNT},
        [described(weights, seed=2, network=NETWORK)],
    )
    return {name: np.array(values) for name, values in columns.items()}


def test_all_fifteen_corruptions_can_be_declared_by_name():
    assert set(CorruptionName.__args__) == set(CORRUPTIONS)


@pytest.mark.parametrize("quality", [None, 85])
def test_predictions_are_those_of_the_corrupted_images(colour, network, tmp_path, quality):
    weights, model = network
    declared = {"corruptions": ["gaussian_noise", "fog"], "severities": [1, 5]}
    found = corrupted(colour, weights, tmp_path, **declared, **({"jpeg_quality": quality} if quality else {}))
    assert len(found["index"]) == COUNT * 4
    images = load(colour, "test").inputs[:COUNT].numpy()
    for name in declared["corruptions"]:
        for severity in declared["severities"]:
            seeds = [derive_seed(0, f"corruption {name}", severity, index) for index in range(COUNT)]
            expected = CORRUPTIONS[name](images, [np.random.default_rng(seed) for seed in seeds], severity=severity)
            expected = expected if quality is None else saved_as_jpeg(expected, quality=quality)
            rows = (found["corruption"] == name) & (found["severity"] == severity)
            with torch.no_grad():
                predictions = model(as_float(torch.from_numpy(expected))).argmax(1)
            assert found["prediction"][rows].tolist() == predictions.tolist()
            assert found["right"][rows].tolist() == (predictions == load(colour, "test").labels[:COUNT]).tolist()


def test_frost_without_a_mirror_says_what_to_do(colour, network, tmp_path, monkeypatch):
    monkeypatch.delenv("ROBUSTREPRO_MIRROR", raising=False)
    with pytest.raises(UserError, match="leave frost out of 'corruptions'"):
        corrupted(colour, network[0], tmp_path, corruptions=["frost"])


def test_frost_of_other_textures_is_refused_by_the_file(colour, network, tmp_path, monkeypatch):
    textures = tmp_path / "mirror" / "imagenet" / "frost"
    textures.mkdir(parents=True)
    (textures / "frost3.png").write_bytes(b"another picture")
    monkeypatch.setenv("ROBUSTREPRO_MIRROR", str(tmp_path / "mirror"))
    with pytest.raises(UserError, match=r"frost3\.png has sha256 .* replace the file"):
        corrupted(colour, network[0], tmp_path, corruptions=["frost"])
    (textures / "frost3.png").unlink()
    with pytest.raises(UserError, match=r"frost1\.png, frost2\.png, .* not found"):
        corrupted(colour, network[0], tmp_path, corruptions=["frost"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corruptions": ["fog", "fog"]}, "corruptions: expected each once, found fog, fog"),
        ({"severities": [0]}, "greater than or equal to 1"),
        ({"severities": [6]}, "less than or equal to 5"),
        ({"jpeg_quality": 100}, "less than or equal to 95"),
    ],
)
def test_a_mistake_in_what_is_corrupted_is_told(options, message):
    with pytest.raises((UserError, ValidationError), match=message):
        measure_of({"corrupted": options}, "measures.c")

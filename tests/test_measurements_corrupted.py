"""Images that are corrupted as they are classified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import described, measured
from PIL import Image
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


def test_images_are_classified_as_they_are_too_where_that_is_asked_for(colour, network, tmp_path):
    weights, model = network
    found = corrupted(colour, weights, tmp_path, corruptions=["fog"], severities=[3], clean=True)
    clean = (found["corruption"] == "clean") & (found["severity"] == 0)
    assert clean.sum() == COUNT
    assert len(found["index"]) == 2 * COUNT
    with torch.no_grad():
        predictions = model(as_float(load(colour, "test").inputs[:COUNT])).argmax(1)
    assert found["prediction"][clean].tolist() == predictions.tolist()


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an ImageNet of four images of noise, and set a mirror with their official form under fog."""
    folder, generator = tmp_path / "mirror", np.random.default_rng(0)
    (folder / "imagenet/val").mkdir(parents=True)
    for number in range(4):
        pixels = generator.integers(0, 256, (256, 256, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "imagenet/val" / f"{number}.JPEG")
        for severity in (1, 2):
            of_class = folder / "imagenet-c/fog" / str(severity) / f"n0000000{number % 2}"
            of_class.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (224, 224), (50 * number, 100 * severity, 0)).save(of_class / f"{number}.JPEG")
    lines = ["file,label", *(f"{number}.JPEG,{number}" for number in range(4))]
    (folder / "imagenet/val_labels.csv").write_text("\n".join(lines))
    monkeypatch.setenv("ROBUSTREPRO_MIRROR", str(folder))
    prepare(DATASETS["imagenet"], tmp_path / "imagenet", mirror=folder, allow_unverified=True)
    return tmp_path / "imagenet"


def of_photographs(data: Path, folder: Path, shard: tuple[int, int] | None = None, **declared: Any) -> Any:
    model = build_network(Network.model_validate(NETWORK), (3, 224, 224), 1000, seed=2).eval()
    weights = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    columns, _ = measured(
        folder / ("corrupted/m/seed2/0-of-2.parquet" if shard else "corrupted/m/seed2.parquet"),
        data,
        {"corrupted": declared},
        [described(weights, seed=2, network=NETWORK)],
        shard=shard,
    )
    return {name: np.array(values) for name, values in columns.items()}, model


@pytest.mark.parametrize("shard", [None, (1, 2)])
def test_official_images_are_those_of_the_same_names(photographs: Path, tmp_path: Path, shard: Any) -> None:
    declared: dict[str, Any] = {"corruptions": ["fog"], "severities": [1, 2], "images": "official"}
    found, model = of_photographs(photographs, tmp_path, shard, **declared)
    some = [2, 3] if shard else [0, 1, 2, 3]
    assert found["index"].tolist() == some * 2
    assert found["label"].tolist() == some * 2
    for severity in (1, 2):
        files = [next((tmp_path / "mirror/imagenet-c/fog" / str(severity)).glob(f"*/{name}.JPEG")) for name in some]
        images = np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files])
        with torch.no_grad():
            predictions = model(as_float(torch.from_numpy(images))).argmax(1)
        assert found["prediction"][found["severity"] == severity].tolist() == predictions.tolist()


def test_official_sets_that_are_missing_are_told(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 of 4 sets are missing: snow 1, 2"):
        of_photographs(photographs, tmp_path, corruptions=["fog", "snow"], severities=[1, 2], images="official")


def test_official_images_are_not_saved_as_jpeg_again():
    with pytest.raises((UserError, ValidationError), match="the official images are saved as JPEG already"):
        measure_of({"corrupted": {"images": "official", "jpeg_quality": 85}}, "measures.c")

"""Data sets generated from another one: what the generator does, what is kept, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.datasets.gaussian_noise import gaussian_noise
from robustrepro.datasets.manifest import read_manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.step import run
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import build_network
from robustrepro.spec.datasets import Dataset, GeneratedDataset, dataset_of, dataset_spec
from robustrepro.spec.networks import Network
from robustrepro.steps import Work


class Grey(Dataset):
    """Images of one grey value each; a data set that only this test knows."""

    implementation: ClassVar[str] = f"{__name__}:make_grey"
    name: str = "grey"
    images: int = 6
    classes: int = 2


def make_grey(declared: Grey, _: Ingredients) -> MadeDataset:
    images = np.full((declared.images, 1, 32, 32), 128, dtype=np.uint8)
    split = Examples(images, np.arange(declared.images) % declared.classes)
    return MadeDataset(split, split, declared.classes, "grey images")


def noisy(standard_deviation: float = 0.1, **options: object) -> GeneratedDataset:
    by = {"name": "gaussian_noise", "standard_deviation": standard_deviation}
    declared = dataset_of("noisy", {"generated": {"from": "grey", "by": by, **options}}, "datasets.noisy")
    assert isinstance(declared, GeneratedDataset)
    return declared


def data_step(declared: Dataset, folder: Path, **inputs: Path) -> None:
    """Run the step as the command line does."""
    spec: dict[str, Any] = {
        "dataset": json.loads(json.dumps(declared.model_dump(mode="json"))),
        "declared_by": f"{type(declared).__module__}:{type(declared).__name__}",
        "allow_unverified": False,
    }
    run(Work(spec, "digest", {role: [path] for role, path in inputs.items()}, [folder / "manifest.json"]))


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    prepare(Grey(), tmp_path / "grey")
    return tmp_path / "grey"


def test_noise_is_added_clipped_and_rounded_to_the_nearest_of_256_values():
    images = np.array([0, 1, 128, 254, 255], dtype=np.uint8).reshape(1, 1, 1, 5)
    found = gaussian_noise(images, [np.random.default_rng(3)], standard_deviation=0.02)
    drawn = np.random.default_rng(3).standard_normal(5)
    expected = [round(min(max(value + 255 * 0.02 * z, 0), 255)) for value, z in zip(images.flat, drawn, strict=True)]
    assert found.dtype == np.uint8
    assert found.flatten().tolist() == expected
    assert found.flatten().tolist() != images.flatten().tolist()


def test_a_generated_set_has_the_declared_noise_and_its_originals_labels(grey: Path, tmp_path: Path):
    data_step(noisy(0.1), tmp_path / "noisy", source=grey / "manifest.json")
    original, changed = load(grey, "test"), load(tmp_path / "noisy", "test")
    assert changed.inputs.dtype == torch.uint8
    assert torch.equal(changed.labels, original.labels)
    difference = (changed.inputs.double() - original.inputs.double()) / 255
    assert float(difference.std()) == pytest.approx(0.1, rel=0.03)
    assert abs(float(difference.mean())) < 0.005
    assert changed.box == (0.0, 1.0)


def test_every_image_has_noise_of_its_own_whatever_else_is_in_the_data_set(grey: Path, tmp_path: Path):
    prepare(Grey(images=1500), tmp_path / "larger")
    prepare(noisy(split="both"), tmp_path / "few", original=grey)
    prepare(noisy(split="both"), tmp_path / "many", original=tmp_path / "larger")
    few, many = load(tmp_path / "few", "test").inputs, load(tmp_path / "many", "test").inputs
    assert torch.equal(few, many[:6])
    assert len(many.flatten(1).unique(dim=0)) == 1500
    assert not torch.equal(few, load(tmp_path / "few", "train").inputs)


def test_a_larger_deviation_scales_the_same_noise_and_another_seed_draws_another(grey: Path, tmp_path: Path):
    images = {}
    for name, declared in {"small": noisy(0.05), "large": noisy(0.1), "other": noisy(0.1, seed=1)}.items():
        prepare(declared, tmp_path / name, original=grey)
        images[name] = load(tmp_path / name, "test").inputs.double() - 128
    assert float((images["large"] - 2 * images["small"]).abs().max()) <= 1.5
    assert float((images["large"] - images["other"]).abs().max()) > 10


def test_the_same_bytes_come_out_of_a_second_run(grey: Path, tmp_path: Path):
    for folder in ("a", "b"):
        prepare(noisy(split="both"), tmp_path / folder, original=grey)
    for file in ("train.safetensors", "test.safetensors", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_manifest_names_what_it_was_made_from(grey: Path, tmp_path: Path):
    manifest = prepare(noisy(), tmp_path / "noisy", original=grey)
    assert manifest == read_manifest(tmp_path / "noisy")
    assert manifest.made_from is not None
    assert (manifest.made_from.dataset, manifest.made_from.manifest_sha256) == (
        "grey",
        sha256_of(grey / "manifest.json"),
    )
    assert (manifest.classes, manifest.source) == (2, "grey images, changed by gaussian_noise")
    assert manifest.spec["from"] == "grey"


def test_a_set_of_test_images_has_no_training_split(grey: Path, tmp_path: Path):
    folder = tmp_path / "noisy"
    prepare(noisy(split="both"), folder, original=grey)
    prepare(noisy(), folder, original=grey)
    assert not (folder / "train.safetensors").exists()
    with pytest.raises(UserError, match=r"noisy: the data set 'noisy' has no training split.*test split of 'grey'"):
        load(folder, "train")


def test_what_is_made_from_unverified_files_is_unverified(grey: Path, tmp_path: Path):
    manifest = json.loads((grey / "manifest.json").read_text())
    differing = {"name": "grey.gz", "found_md5": "a", "expected_md5": "b"}
    (grey / "manifest.json").write_text(json.dumps(manifest | {"verified": False, "differing": [differing]}))
    made = prepare(noisy(), tmp_path / "noisy", original=grey)
    assert not made.verified
    assert [file.name for file in made.differing] == ["grey.gz"]


def test_more_classes_than_a_byte_can_tell_apart_are_stored(tmp_path: Path):
    prepare(Grey(images=300, classes=300), tmp_path)
    assert load(tmp_path, "test").labels.tolist() == list(range(300))


PREPARATION = [
    {"name": "local_contrast_normalisation", "channels": [0], "size": 5},
    {"name": "standardise", "mean": 0.2, "std": 0.5},
]


def prepared(steps: list[dict[str, Any]], **options: object) -> GeneratedDataset:
    by = {"name": "preprocessing", "steps": steps}
    declared = dataset_of("prepared", {"generated": {"from": "digits", "by": by, **options}}, "datasets.prepared")
    assert isinstance(declared, GeneratedDataset)
    return declared


def test_preprocessed_images_are_what_a_network_would_make_of_them_and_have_no_range(digits: Path, tmp_path: Path):
    data_step(prepared(PREPARATION, split="both"), tmp_path / "prepared", source=digits / "manifest.json")
    network = build_network(
        Network.model_validate({"architecture": "lenet5", "preprocessing": PREPARATION}, strict=False), (1, 28, 28), 10
    ).eval()
    for split in ("train", "test"):
        original, changed = load(digits, split), load(tmp_path / "prepared", split)
        with torch.no_grad():
            expected = network.get_submodule("preprocessing")(as_float(original.inputs))
        torch.testing.assert_close(changed.inputs, expected)
        assert torch.equal(changed.labels, original.labels)
        assert changed.inputs.dtype == torch.float32
        assert changed.box is None


def test_preprocessing_that_changes_the_shape_is_left_to_networks(digits: Path, tmp_path: Path):
    with pytest.raises(UserError, match="its steps turn images of 1x28x28 into 1x32x32; expected the same shape"):
        prepare(prepared([{"name": "pad", "size": 32}]), tmp_path / "prepared", original=digits)


def test_points_are_refused(moons: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"'two_moons' has float32 inputs.*'noisy' can only be generated from images"):
        prepare(noisy(), tmp_path / "noisy", original=moons)
    assert not (tmp_path / "noisy").exists()


def test_a_tampered_original_leaves_what_was_there_before(grey: Path, tmp_path: Path):
    folder = tmp_path / "noisy"
    before = prepare(noisy(), folder, original=grey)
    content = (grey / "test.safetensors").read_bytes()
    (grey / "test.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"test\.safetensors: sha256 .* found"):
        prepare(noisy(0.2), folder, original=grey)
    assert read_manifest(folder) == before
    assert len(load(folder, "test").labels) == 6


def test_the_step_makes_a_built_in_data_set(tmp_path: Path):
    data_step(dataset_spec("two_moons"), tmp_path / "moons")
    again = prepare(dataset_spec("two_moons"), tmp_path / "again")
    assert read_manifest(tmp_path / "moons") == again

"""The data sets that need no download: handwritten digits and toy sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustrepro.datasets.manifest import read_manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.spec.datasets import dataset_spec

TOYS = ("two_moons", "circles", "blobs", "spirals")


@pytest.mark.parametrize("name", TOYS)
def test_toy_sets_are_balanced_points_and_differ_between_the_splits(name: str, tmp_path: Path):
    prepare(dataset_spec(name), tmp_path, mirror=None, allow_unverified=False)
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert (train.inputs.shape, test.inputs.shape) == ((96, 2), (1000, 2))
    assert train.inputs.dtype == torch.float32
    assert train.labels.dtype == torch.int64
    assert train.labels.bincount().tolist() == [48, 48]
    assert test.labels.bincount().tolist() == [500, 500]
    assert train.verified
    assert (train.name, train.box, train.origins) == (name, None, None)
    assert not torch.equal(train.inputs, test.inputs[:96])
    assert torch.equal(as_float(train.inputs), train.inputs)


@pytest.mark.parametrize("name", TOYS)
def test_toy_classes_can_be_told_apart_but_overlap(name: str, tmp_path: Path):
    prepare(dataset_spec(name), tmp_path, mirror=None, allow_unverified=False)
    test = load(tmp_path, "test")
    distances = torch.cdist(test.inputs, test.inputs).fill_diagonal_(torch.inf)
    agreement = (test.labels[distances.argmin(dim=1)] == test.labels).float().mean()
    assert 0.85 < agreement < 1


@pytest.mark.parametrize(("name", "shape"), [("digits", (1, 28, 28)), ("digits_rgb", (3, 32, 32))])
def test_digits_are_balanced_images_over_the_whole_range(name: str, shape: tuple[int, ...], tmp_path: Path):
    manifest = prepare(dataset_spec(name), tmp_path, mirror=None, allow_unverified=False)
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert (train.inputs.shape, test.inputs.shape) == ((1437, *shape), (360, *shape))
    assert (manifest.train.inputs, manifest.train.labels) == ((1437, *shape), (1437,))
    assert train.inputs.dtype == torch.uint8
    assert (train.name, train.box, train.origins) == (name, (0.0, 1.0), None)
    assert (int(train.inputs.min()), int(train.inputs.max())) == (0, 255)
    assert train.labels.bincount().min() >= 139
    assert test.labels.bincount().min() >= 34
    # No image is blank.
    assert as_float(train.inputs).flatten(1).std(dim=1).min() > 0.02


def test_digits_have_the_black_border_and_the_ink_of_mnist(tmp_path: Path):
    prepare(dataset_spec("digits"), tmp_path, mirror=None, allow_unverified=False)
    images = as_float(load(tmp_path, "train").inputs)
    assert images[:, :, :4].sum() == images[:, :, -4:].sum() == images[..., :4].sum() == images[..., -4:].sum() == 0
    assert 0.12 < images.mean() < 0.18


def test_coloured_digits_can_be_recognised_by_their_nearest_neighbours(tmp_path: Path):
    grey, colour = tmp_path / "grey", tmp_path / "colour"
    for name, folder in (("digits", grey), ("digits_rgb", colour)):
        prepare(dataset_spec(name), folder, mirror=None, allow_unverified=False)
    assert torch.equal(load(grey, "test").labels, load(colour, "test").labels)
    train, test = load(grey, "train"), load(grey, "test")
    distances = torch.cdist(as_float(test.inputs).flatten(1), as_float(train.inputs).flatten(1))
    assert (train.labels[distances.argmin(dim=1)] == test.labels).float().mean() > 0.97
    pixels = as_float(load(colour, "train").inputs)
    channel_spread = pixels.amax(dim=1) - pixels.amin(dim=1)
    assert channel_spread.mean() > 0.1


@pytest.mark.parametrize("name", ["two_moons", "digits_rgb"])
def test_equal_specs_give_equal_bytes_and_another_seed_gives_others(name: str, tmp_path: Path):
    spec = dataset_spec(name)
    first, second, other = (
        prepare(declared, tmp_path / folder, mirror=None, allow_unverified=False)
        for declared, folder in ((spec, "a"), (spec, "b"), (spec.model_copy(update={"seed": 1}), "c"))
    )
    for file in ("train.safetensors", "test.safetensors", "manifest.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert first == second == read_manifest(tmp_path / "a")
    assert other.train.sha256 != first.train.sha256

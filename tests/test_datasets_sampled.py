"""Data sets that are a random part of another one: which examples, unchanged, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Declarations
from in_process import jobs_for, run_of, work_of
from mistakes_of_papers import dataset
from safetensors.torch import load_file
from torch import Tensor

from robustrepro.datasets.manifest import read_manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.sampled import sampled_index
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.spec.datasets import DatasetSpec, SampledDataset, dataset_of

FILES = ("train.safetensors", "test.safetensors", "manifest.json")


def sampled(train: int = 12, test: int = 9, source: str = "digits") -> SampledDataset:
    declared = dataset_of("part", {"sampled": {"from": source, "train": train, "test": test}}, "datasets.part")
    assert isinstance(declared, SampledDataset)
    return declared


def held_out(source: str) -> DatasetSpec:
    return dataset_of("validation", {"held_out": {"from": source, "examples": 5}}, "datasets.validation")


def generated(source: str, by: dict[str, Any], split: str = "both") -> DatasetSpec:
    return dataset_of("changed", {"generated": {"from": source, "by": by, "split": split}}, "datasets.changed")


def origin_of(folder: Path, split: str) -> Tensor:
    """Return where each example of a split was in the same split of the other data set."""
    tensors = load_file(folder / f"{split}.safetensors")
    assert (tensors["origin_attack"] == -1).all()
    return tensors["origin_index"]


@pytest.fixture
def made(digits: Path, tmp_path: Path) -> Path:
    """Return the folder of 12 of 40 training and 9 of 30 test digits."""
    prepare(sampled(), tmp_path / "part", original=digits)
    return tmp_path / "part"


@pytest.mark.parametrize("original", ["digits", "moons"])
def test_as_many_of_each_split_are_drawn_as_declared_unchanged_and_in_their_order(
    original: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(original)
    prepare(sampled(source=read_manifest(folder).name), tmp_path, original=folder)
    for split, count in (("train", 12), ("test", 9)):
        ours, theirs = (load_file(place / f"{split}.safetensors") for place in (tmp_path, folder))
        index = origin_of(tmp_path, split)
        assert len(index) == count
        assert (index.diff() > 0).all()
        for kind in ("inputs", "labels"):
            assert ours[kind].dtype == theirs[kind].dtype
            assert torch.equal(ours[kind], theirs[kind][index])
    part, whole = load(tmp_path, "test"), load(folder, "test")
    assert (part.box, part.classes, part.origins) == (whole.box, whole.classes, None)


def test_all_examples_can_be_drawn(digits: Path, tmp_path: Path) -> None:
    prepare(sampled(40, 30), tmp_path, original=digits)
    for split in ("train", "test"):
        assert torch.equal(load(tmp_path, split).inputs, load(digits, split).inputs)


def test_which_are_drawn_follows_from_name_split_and_size_of_the_other_data_set_alone() -> None:
    index = sampled_index("cifar10", "train", 50_000, 5000)
    # Once and for all: another draw would be another data set of the same name.
    assert index[:5].tolist() == [1, 15, 17, 30, 32]
    assert (index.dtype, len(np.unique(index)), index.max() < 50_000) == (np.int64, 5000, True)
    assert index.tolist() == sampled_index("cifar10", "train", 50_000, 5000).tolist()
    assert set(sampled_index("cifar10", "train", 50_000, 100)) < set(index)
    others = [("mnist", "train", 50_000), ("cifar10", "test", 50_000), ("cifar10", "train", 49_999)]
    assert all(sampled_index(*other, 5000).tolist() != index.tolist() for other in others)
    # A tenth of the first half, too.
    assert abs(int((index < 25_000).sum()) - 2500) < 150


def test_the_examples_do_not_depend_on_how_the_part_is_called(digits: Path, made: Path, tmp_path: Path) -> None:
    prepare(sampled().model_copy(update={"name": "other"}), tmp_path / "other", original=digits)
    for split in ("train", "test"):
        assert torch.equal(origin_of(tmp_path / "other", split), origin_of(made, split))


def test_the_same_bytes_come_out_of_a_second_run(digits: Path, made: Path, tmp_path: Path) -> None:
    prepare(sampled(), tmp_path / "again", original=digits)
    for file in FILES:
        assert (made / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_the_manifest_names_what_it_is_a_part_of(digits: Path, made: Path) -> None:
    manifest = read_manifest(made)
    assert manifest.made_from is not None
    assert (manifest.made_from.dataset, manifest.made_from.manifest_sha256) == (
        "digits",
        sha256_of(digits / "manifest.json"),
    )
    assert manifest.spec == {"name": "part", "from": "digits", "train": 12, "test": 9}
    words = "12 of its 40 training and 9 of its 30 test examples drawn at random"
    assert manifest.source == f"{read_manifest(digits).source}, {words}"
    assert (manifest.classes, manifest.verified) == (10, True)


def test_a_part_of_unverified_files_is_unverified(digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    shutil.copytree(digits, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    differing = {"name": "digits.gz", "found_md5": "a", "expected_md5": "b"}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"verified": False, "differing": [differing]}))
    made = prepare(sampled(), tmp_path / "part", original=folder)
    assert (made.verified, made.differing) == (False, read_manifest(folder).differing)


def test_a_part_of_images_without_a_range_has_none(digits: Path, tmp_path: Path) -> None:
    by = {"name": "preprocessing", "steps": [{"name": "standardise", "mean": 0.1, "std": 0.3}]}
    prepare(generated("digits", by), tmp_path / "changed", original=digits)
    prepare(sampled(source="changed"), tmp_path / "part", original=tmp_path / "changed")
    assert load(tmp_path / "part", "train").box is None


def test_examples_can_be_held_out_of_a_part_and_drawn_from_what_is_left(made: Path, tmp_path: Path) -> None:
    prepare(held_out("part"), tmp_path / "validation", original=made)
    prepare(sampled(4, 3, "validation"), tmp_path / "again", original=tmp_path / "validation")
    whole = {split: load(tmp_path / "validation", split).inputs for split in ("train", "test")}
    assert {split: len(inputs) for split, inputs in whole.items()} == {"train": 7, "test": 5}
    for split, inputs in whole.items():
        index = origin_of(tmp_path / "again", split)
        assert torch.equal(load(tmp_path / "again", split).inputs, inputs[index])
    drawn_once = load(made, "train").inputs
    assert torch.equal(whole["test"], drawn_once[origin_of(tmp_path / "validation", "test")])


def test_a_part_can_be_changed_by_a_generator(made: Path, tmp_path: Path) -> None:
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    prepare(generated("part", noise), tmp_path / "changed", original=made)
    changed, part = load(tmp_path / "changed", "train"), load(made, "train")
    assert torch.equal(changed.labels, part.labels)
    assert not torch.equal(changed.inputs, part.inputs)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 41}, r"sampled\.train: found 41; expected at most 40, all training examples of 'digits' in "),
        ({"test": 31}, r"sampled\.test: found 31; expected at most 30, all test examples of 'digits' in "),
    ],
)
def test_more_than_there_are_is_refused_and_leaves_what_was_there_before(
    digits: Path, made: Path, counts: dict[str, int], message: str
) -> None:
    before = [(made / file).read_bytes() for file in FILES]
    with pytest.raises(UserError, match=rf"datasets\.part: {message}"):
        prepare(sampled(**counts), made, original=digits)
    assert [(made / file).read_bytes() for file in FILES] == before


def test_a_data_set_for_tests_only_is_refused(digits: Path, tmp_path: Path) -> None:
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    prepare(generated("digits", noise, split="test"), tmp_path / "changed", original=digits)
    with pytest.raises(UserError, match=r"the data set 'changed' has no training split"):
        prepare(sampled(source="changed"), tmp_path / "part", original=tmp_path / "changed")


# -- a model on it, from its training to its measurement -----------------------------------------------------


def test_a_model_of_a_scale_on_a_part_is_trained_and_measured_on_it_with_any_seed(
    declarations: Declarations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset("sampled", train=300, test=50)(declarations)
    network = {"architecture": {"name": "mlp", "hidden": [16]}}
    small = {"network": network, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.01}}
    declarations.scales["quick"]["models"]["image-erm"] = {"dataset": "other", "test_accuracy": True, **small}
    plan = declarations.plan()
    files = [plan.layout.measurement("clean", "image-erm", seed) for seed in (0, 1)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBUSTREPRO_DEVICE", "cpu")
    monkeypatch.setattr("robustrepro.provenance.commit", lambda: "unknown")
    for file, job in jobs_for(plan, files):
        run_of(job)(work_of(file, job, json.loads(job.spec)))
    folder = Path("results/quick/data/other/seed0")
    assert len(load(folder, "train").labels) == 300
    expected = load(Path("data/digits"), "test").labels[origin_of(folder, "test")].tolist()
    for seed, file in enumerate(files):
        rows = pd.read_parquet(file)
        assert rows["label"].tolist() == expected
        model = Path(plan.layout.weights("image-erm", seed)).parent
        card = json.loads((model / "card.json").read_text())
        assert card["data_manifest_sha256"] == sha256_of(folder / "manifest.json")
        accuracy = (rows["label"] == rows["prediction"]).mean()
        assert 0.2 < accuracy == pytest.approx(pd.read_csv(model / "history.csv")["test_accuracy"].iloc[-1])

"""Data sets held out of another one's training split: which examples, whole and unchanged, and what is refused."""

from __future__ import annotations

import json
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

from robustrepro.datasets.held_out import held_out_index
from robustrepro.datasets.manifest import Manifest, read_manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.spec.datasets import HeldOutDataset, dataset_of

FILES = ("train.safetensors", "test.safetensors", "manifest.json")


def held_out(examples: int, source: str = "digits") -> HeldOutDataset:
    declared = dataset_of("validation", {"held_out": {"from": source, "examples": examples}}, "datasets.validation")
    assert isinstance(declared, HeldOutDataset)
    return declared


def origin_of(folder: Path, split: str) -> Tensor:
    """Return where each example of a split was in the other data set's training split."""
    tensors = load_file(folder / f"{split}.safetensors")
    assert (tensors["origin_attack"] == -1).all()
    return tensors["origin_index"]


@pytest.fixture
def made(digits: Path, tmp_path: Path) -> Path:
    """Return the folder of 40 digits of which 12 are held out."""
    prepare(held_out(12), tmp_path / "validation", original=digits)
    return tmp_path / "validation"


def test_the_parts_are_disjoint_and_together_the_whole_training_split(made: Path) -> None:
    train, test = origin_of(made, "train"), origin_of(made, "test")
    assert (len(train), len(test)) == (28, 12)
    assert torch.cat([train, test]).sort().values.tolist() == list(range(40))


def test_what_is_held_out_of_images_without_a_range_has_none(digits: Path, tmp_path: Path) -> None:
    by = {"name": "preprocessing", "steps": [{"name": "standardise", "mean": 0.1, "std": 0.3}]}
    prepared = dataset_of("prepared", {"generated": {"from": "digits", "by": by, "split": "both"}}, "datasets.prepared")
    prepare(prepared, tmp_path / "prepared", original=digits)
    prepare(held_out(12, "prepared"), tmp_path / "validation", original=tmp_path / "prepared")
    assert load(tmp_path / "validation", "test").box is None


@pytest.mark.parametrize("original", ["digits", "moons"])
def test_examples_are_unchanged_and_in_their_order(
    original: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: Path = request.getfixturevalue(original)
    prepare(held_out(12, read_manifest(folder).name), tmp_path, original=folder)
    theirs = load_file(folder / "train.safetensors")
    for split in ("train", "test"):
        index, ours = origin_of(tmp_path, split), load_file(tmp_path / f"{split}.safetensors")
        assert (index.diff() > 0).all()
        for kind in ("inputs", "labels"):
            assert ours[kind].dtype == theirs[kind].dtype
            assert torch.equal(ours[kind], theirs[kind][index])
    ours, theirs = load(tmp_path, "test"), load(folder, "train")
    assert (ours.box, ours.classes, ours.origins) == (theirs.box, theirs.classes, None)


def test_no_image_is_one_of_the_other_data_sets_test_split(digits: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    for file in FILES:
        (folder / file).write_bytes((digits / file).read_bytes())
    (folder / "test.safetensors").unlink()
    prepare(held_out(12), tmp_path / "validation", original=folder)
    tested = {image.numpy().tobytes() for image in load(digits, "test").inputs}
    ours = [load(tmp_path / "validation", split).inputs for split in ("train", "test")]
    assert tested.isdisjoint(image.numpy().tobytes() for image in torch.cat(ours))


def test_which_are_held_out_follows_from_name_and_size_of_the_other_data_set_alone() -> None:
    index = held_out_index("mnist", 60_000, 5000)
    # Once and for all: another draw would be another data set of the same name.
    assert index[:5].tolist() == [3, 20, 40, 59, 71]
    assert (index.dtype, len(np.unique(index)), index.max() < 60_000) == (np.int64, 5000, True)
    assert index.tolist() == held_out_index("mnist", 60_000, 5000).tolist()
    assert set(held_out_index("mnist", 60_000, 100)) < set(index)
    others = [held_out_index("fashion_mnist", 60_000, 5000), held_out_index("mnist", 59_999, 5000)]
    assert all(other.tolist() != index.tolist() for other in others)
    # A twelfth of the first half, too.
    assert abs(int((index < 30_000).sum()) - 2500) < 150


def test_the_same_bytes_come_out_of_a_second_run(digits: Path, made: Path, tmp_path: Path) -> None:
    prepare(held_out(12), tmp_path / "again", original=digits)
    for file in FILES:
        assert (made / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_the_manifest_names_what_it_was_held_out_of(digits: Path, made: Path) -> None:
    manifest = read_manifest(made)
    assert manifest.made_from is not None
    assert (manifest.made_from.dataset, manifest.made_from.manifest_sha256) == (
        "digits",
        sha256_of(digits / "manifest.json"),
    )
    assert manifest.spec == {"name": "validation", "from": "digits", "examples": 12}
    assert manifest.source == f"{read_manifest(digits).source}, 12 of its 40 training examples held out"
    assert (manifest.classes, manifest.verified) == (10, True)


def unverified(original: Path, folder: Path) -> Manifest:
    """Copy a data set, with a manifest that says that its files are not the official ones."""
    folder.mkdir()
    for file in FILES:
        (folder / file).write_bytes((original / file).read_bytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    differing = {"name": "digits.gz", "found_md5": "a", "expected_md5": "b"}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"verified": False, "differing": [differing]}))
    return read_manifest(folder)


def test_what_is_held_out_of_unverified_files_is_unverified(digits: Path, tmp_path: Path) -> None:
    original = unverified(digits, tmp_path / "digits")
    made = prepare(held_out(12), tmp_path / "validation", original=tmp_path / "digits")
    assert (made.verified, made.differing) == (False, original.differing)


def test_examples_can_be_held_out_of_those_that_are_left(made: Path, tmp_path: Path) -> None:
    prepare(held_out(9, "validation"), tmp_path / "twice", original=made)
    index = origin_of(tmp_path / "twice", "test")
    assert torch.equal(load(tmp_path / "twice", "test").inputs, load(made, "train").inputs[index])


def test_more_than_half_is_refused_and_leaves_what_was_there_before(digits: Path, made: Path) -> None:
    before = read_manifest(made)
    message = r"datasets\.validation: held_out\.examples: found 21; expected at most 20, half of the 40 .*'digits' in "
    with pytest.raises(UserError, match=message):
        prepare(held_out(21), made, original=digits)
    assert read_manifest(made) == before
    assert len(load(made, "test").labels) == 12


def test_a_data_set_for_tests_only_is_refused(digits: Path, tmp_path: Path) -> None:
    noise = {"generated": {"from": "digits", "by": {"name": "gaussian_noise", "standard_deviation": 0.1}}}
    prepare(dataset_of("noisy", noise, "datasets.noisy"), tmp_path / "noisy", original=digits)
    with pytest.raises(UserError, match=r"the data set 'noisy' has no training split"):
        prepare(held_out(12, "noisy"), tmp_path / "validation", original=tmp_path / "noisy")


# -- a model on it, from its training to its measurement -----------------------------------------------------


def test_a_model_of_any_seed_is_trained_on_the_rest_and_measured_on_what_was_held_out(
    declarations: Declarations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset("held_out")(declarations)
    small: dict[str, Any] = {"network": {"architecture": {"name": "mlp", "hidden": [16]}}, "batch_size": 32}
    small["optimizer"] = {"name": "adam", "learning_rate": 0.01}
    declarations.paper["models"]["image-erm"] |= {"dataset": "other", "test_accuracy": True, **small}
    plan = declarations.plan()
    files = [plan.layout.measurement("clean", "image-erm", seed) for seed in (0, 1)]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROBUSTREPRO_DEVICE", "cpu")
    monkeypatch.setattr("robustrepro.provenance.commit", lambda: "unknown")
    for file, job in jobs_for(plan, files):
        run_of(job)(work_of(file, job, json.loads(job.spec)))
    folder = Path("results/quick/data/other/seed0")
    expected = load(Path("data/digits"), "train").labels[origin_of(folder, "test")].tolist()
    for seed, file in enumerate(files):
        rows = pd.read_parquet(file)
        assert rows["label"].tolist() == expected
        model = Path(plan.layout.weights("image-erm", seed)).parent
        card = json.loads((model / "card.json").read_text())
        assert card["data_manifest_sha256"] == sha256_of(folder / "manifest.json")
        accuracy = (rows["label"] == rows["prediction"]).mean()
        assert 0.3 < accuracy == pytest.approx(pd.read_csv(model / "history.csv")["test_accuracy"].iloc[-1])

"""Adversarial examples beside their originals, where each comes from, and what a training recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import LENET, checkpoint, described, measured
from safetensors.torch import load_file, save_file
from torch import nn

from robustrepro.datasets.examples import AttackedModel
from robustrepro.datasets.originals import load_originals
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.spec.datasets import dataset_of

NORMS = {"l1": 15.0, "l2": 1.0, "linf": 0.1}
RECORD = "epoch,loss,accuracy,seconds,images_per_second,test_accuracy\n1,2.3,0.1,1.5,900,0.12\n2,1.1,0.6,1.4,950,0.58\n"


@pytest.fixture(scope="module")
def fooling(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The adversarial examples of a network that has seen the test images a few times, and its checkpoint."""
    folder = tmp_path_factory.mktemp("fooling")
    weights, model = checkpoint(folder / "weights", LENET)
    split = load(digits, "test")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(as_float(split.inputs)), split.labels).backward()
        optimizer.step()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
    attacks = [{"name": "fgsm", "norm": norm, "epsilon": epsilon} for norm, epsilon in NORMS.items()]
    options = {"model": "m", "attacks": attacks, "clipped": False}
    declared = dataset_of("fooling", {"adversarial": options}, "datasets")
    network = {"architecture": {"name": "lenet5"}, "preprocessing": []}
    attacked = AttackedModel("m", 3, network, weights, attack_seed=3, code="digest")
    prepare(declared, folder / "data", original=digits, attacked=attacked)
    return folder / "data", weights


def samples(fooling: tuple[Path, Path], folder: Path, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    data, weights = fooling
    subject = described(weights, network=LENET)
    columns, _ = measured(folder / "samples/m/seed3.parquet", data, {"samples": options}, [subject])
    return {name: np.array(values) for name, values in columns.items()}


def image(columns: dict[str, np.ndarray[Any, Any]], sample: int, part: str) -> torch.Tensor:
    rows = (columns["sample"] == sample) & (columns["part"] == part)
    pixels = torch.zeros(1, 28, 28)
    pixels[columns["channel"][rows], columns["y"][rows], columns["x"][rows]] = torch.tensor(
        columns["value"][rows], dtype=torch.float32
    )
    return pixels


def test_samples_are_the_examples_and_the_images_that_they_were_made_of(
    fooling: tuple[Path, Path], digits: Path, tmp_path: Path
) -> None:
    columns = samples(fooling, tmp_path, count=5)
    made, original = load(fooling[0], "test"), load(digits, "test")
    assert made.origins is not None
    shown = np.unique(columns["sample"])
    assert len(shown) == 5
    assert shown[0] == 0
    assert shown[-1] == len(made.labels) - 1
    for sample in shown.tolist():
        index = int(made.origins.index[sample])
        torch.testing.assert_close(image(columns, sample, "original"), as_float(original.inputs[index]))
        torch.testing.assert_close(image(columns, sample, "adversarial"), made.inputs[sample])
        rows = columns["sample"] == sample
        assert set(columns["label"][rows]) == {int(made.labels[sample])}
        assert set(columns["origin_index"][rows]) == {index}
        said = {
            part: set(columns["prediction"][rows & (columns["part"] == part)]) for part in ("original", "adversarial")
        }
        assert said["original"] == {int(made.labels[sample])}
        assert said["adversarial"].isdisjoint(said["original"])


def test_a_step_in_the_l1_ball_changes_a_single_pixel(fooling: tuple[Path, Path], tmp_path: Path) -> None:
    columns = samples(fooling, tmp_path, count=3, norm="l1")
    assert set(columns["origin_norm"]) == {"l1"}
    assert set(columns["origin_epsilon"]) == {NORMS["l1"]}
    for sample in np.unique(columns["sample"]).tolist():
        change = image(columns, sample, "adversarial") - image(columns, sample, "original")
        assert change.count_nonzero() == 1
        assert change.abs().max() == pytest.approx(NORMS["l1"], rel=1e-5)


def test_as_many_are_shown_as_there_are_that_fool_the_model(fooling: tuple[Path, Path], tmp_path: Path) -> None:
    data, _ = fooling
    made = load(data, "test")
    assert made.origins is not None
    few = min(int((made.origins.attack == number).sum()) for number in range(3))
    norm = [*NORMS][int(torch.bincount(made.origins.attack).argmin())]
    columns = samples(fooling, tmp_path, count=min(16, few + 3), norm=norm)
    assert len(np.unique(columns["sample"])) == min(16, few)
    unfooled, _ = checkpoint(tmp_path / "other", LENET, seed=1)
    subject = described(unfooled, model="other", network=LENET)
    declared = {"samples": {"count": 16}}
    other, _ = measured(tmp_path / "samples/other/seed3.parquet", data, declared, [subject])
    adversarial = np.array(other["part"]) == "adversarial"
    assert not np.equal(other["prediction"], other["label"])[adversarial].any()


def test_examples_that_fool_the_model_no_more_cannot_be_shown(fooling: tuple[Path, Path], tmp_path: Path) -> None:
    data, weights = fooling
    tensors = load_file(data / "test.safetensors")
    healed = tmp_path / "healed"
    healed.mkdir()
    # As if every example had been left as it was, which the model gets right.
    save_file({**tensors, "inputs": as_float(tensors["origin_inputs"])}, healed / "test.safetensors")
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["test"] |= {
        "sha256": sha256_of(healed / "test.safetensors"),
        "bytes": (healed / "test.safetensors").stat().st_size,
    }
    (healed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="no example that was made in the l1 ball fools m, so there is none to show"):
        samples((healed, weights), tmp_path, norm="l1")


def test_originals_are_those_of_the_manifest_or_refused(
    fooling: tuple[Path, Path], digits: Path, tmp_path: Path
) -> None:
    data, _ = fooling
    with pytest.raises(UserError, match="no originals of adversarial examples"):
        load_originals(digits)
    for name in ("manifest.json", "test.safetensors"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    content = (tmp_path / "test.safetensors").read_bytes()
    (tmp_path / "test.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match="not the bytes that the manifest describes"):
        load_originals(tmp_path)


def test_images_that_nobody_attacked_have_no_samples(fooling: tuple[Path, Path], digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="digits: these are no adversarial examples"):
        samples((digits, fooling[1]), tmp_path)


def test_the_parts_of_a_measurement_say_where_their_own_rows_come_from(
    fooling: tuple[Path, Path], tmp_path: Path
) -> None:
    data, weights = fooling
    subject = described(weights, network=LENET)
    declared = {"attack": {"name": "clean"}, "shards": 3}
    whole, _ = measured(tmp_path / "clean/m/seed3.parquet", data, {"attack": {"name": "clean"}}, [subject])
    parts = [
        measured(tmp_path / f"shards/clean/m/seed3/{number}-of-3.parquet", data, declared, [subject], shard=(number, 3))
        for number in range(3)
    ]
    for name in ("index", "origin_index", "origin_norm", "origin_epsilon"):
        assert [value for columns, _ in parts for value in columns[name]] == whole[name]


@pytest.mark.parametrize("declared", [{"attack": {"name": "clean"}}, {"losses": {}}])
def test_every_row_of_an_adversarial_set_says_which_image_norm_and_radius(
    fooling: tuple[Path, Path], tmp_path: Path, declared: dict[str, Any]
) -> None:
    data, weights = fooling
    subject = described(weights, network=LENET)
    columns, _ = measured(tmp_path / "clean/m/seed3.parquet", data, {**declared, "examples": 40}, [subject])
    made = load(data, "test")
    assert made.origins is not None
    assert columns["origin_index"] == made.origins.index[:40].tolist()
    attacks = [made.origins.attacks[number] for number in made.origins.attack[:40].tolist()]
    assert columns["origin_norm"] == [attack.norm for attack in attacks]
    assert columns["origin_epsilon"] == [attack.epsilon for attack in attacks]
    assert not np.equal(columns["prediction"], columns["label"]).any()


def test_other_data_have_no_such_columns(fooling: tuple[Path, Path], digits: Path, tmp_path: Path) -> None:
    subject = described(fooling[1], network=LENET)
    columns, _ = measured(tmp_path / "clean/m/seed3.parquet", digits, {"attack": {"name": "clean"}}, [subject])
    assert not {name for name in columns if name.startswith("origin")}


# -- the history ---------------------------------------------------------------------------------------------


def history(folder: Path, record: str) -> dict[str, list[Any]]:
    weights, _ = checkpoint(folder / "weights", LENET)
    (folder / "history.csv").write_text(record)
    subject = described(weights, history=True)
    output = folder / "history/m/seed3.parquet"
    columns, _ = measured(output, None, {"history": {}}, [subject], history=folder / "history.csv")
    return columns


def test_a_history_has_a_row_per_epoch_and_tells_test_from_training_accuracy(tmp_path: Path) -> None:
    columns = history(tmp_path, RECORD)
    assert columns["epoch"] == [1, 2]
    assert columns["test_accuracy"] == [0.12, 0.58]
    assert columns["training_accuracy"] == [0.1, 0.6]
    assert "accuracy" not in columns


@pytest.mark.parametrize("record", ["epoch,loss\n", "epoch,loss\n1,\n", "epoch,loss\n1\n"])
def test_what_is_no_record_of_a_training_is_named(tmp_path: Path, record: str) -> None:
    with pytest.raises(UserError, match=r"history\.csv: not the record of a training"):
        history(tmp_path, record)

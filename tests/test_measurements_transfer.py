"""Transfer: examples made for one model and tried on others, and what the file says of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from test_measurements import LENET, MLP, checkpoint

from robustrepro.attacks.craft import craft
from robustrepro.attacks.subject import predictions
from robustrepro.datasets.tensors import Split, as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measurements.store import read_measurement
from robustrepro.measurements.transfer import measure_transfer
from robustrepro.spec.attacks import crafting_attack_adapter

SEED = 3
EXAMPLES = 12
PGD = {"name": "pgd", "norm": "linf", "epsilon": 0.2, "steps": 2, "step_size": 0.1}
FGSM = {"name": "fgsm", "norm": "l2", "epsilon": 2.0}
RESTARTED = {**PGD, "restarts": 3}
NOISE = {"name": "noise", "norm": "linf", "epsilon": 0.3, "draws": 4}
AUTOATTACK = {"name": "autoattack", "norm": "linf", "epsilon": 0.2, "steps": 3, "square_queries": 10}
# The source itself, the same model from another seed, and another model.
TARGETS = [("source", SEED), ("source", 4), ("other", 0)]


def transferred(
    folder: Path, data: Path, attacks: list[dict[str, Any]], **spec: Any
) -> tuple[pa.Table, dict[str, Any], list[Path]]:
    """Measure transfer between three small networks; return the rows, their origin and the targets' checkpoints."""
    weights = [checkpoint(folder / f"{name}{seed}", LENET, seed=seed + len(name))[0] for name, seed in TARGETS]
    targets = [{"model": name, "seed": seed, "architecture": LENET} for name, seed in TARGETS]
    spec = {"split": "test", "examples": EXAMPLES, "architecture": LENET, "attacks": attacks, "targets": targets} | spec
    measure_transfer(
        spec,
        "c0de",
        model_name="source",
        seed=SEED,
        data=data,
        weights=weights[0],
        target_weights=weights,
        output=folder / "out.parquet",
    )
    table, origin = read_measurement(folder / "out.parquet")
    return table, origin, weights


def of_target(table: pa.Table, name: str, seed: int, norm: str = "linf") -> dict[str, list[Any]]:
    """Return the columns of one target under the attack in one norm."""
    rows = [row for row in table.to_pylist() if (row["target"], row["target_seed"], row["norm"]) == (name, seed, norm)]
    return {column: [row[column] for row in rows] for column in table.column_names}


def images_of(data: Path) -> tuple[Split, torch.Tensor, torch.Tensor]:
    split = load(data, "test")
    return split, as_float(split.inputs[:EXAMPLES]), split.labels[:EXAMPLES]


def made_by_hand(folder: Path, data: Path, attack: dict[str, Any], **options: Any) -> torch.Tensor:
    """Return the examples that the attack makes for the source."""
    _, images, labels = images_of(data)
    _, source = checkpoint(folder / "by hand", LENET, seed=SEED + len("source"))
    declared = crafting_attack_adapter.validate_python(attack)
    return craft(source, images, labels, torch.arange(EXAMPLES), declared, seed=SEED, **options)


def test_there_is_a_row_an_image_attack_and_target(digits: Path, tmp_path: Path) -> None:
    table, _, _ = transferred(tmp_path, digits, [PGD, FGSM])
    _, _, labels = images_of(digits)
    assert table.column_names == [
        "target",
        "target_seed",
        "norm",
        "epsilon",
        "index",
        "label",
        "clean_prediction",
        "prediction",
    ]
    assert len(table) == EXAMPLES * 2 * len(TARGETS)
    for name, seed in TARGETS:
        for norm, epsilon in (("linf", 0.2), ("l2", 2.0)):
            columns = of_target(table, name, seed, norm)
            assert columns["index"] == list(range(EXAMPLES))
            assert columns["label"] == labels.tolist()
            assert set(columns["epsilon"]) == {epsilon}


@pytest.mark.parametrize(
    "attack", [PGD, FGSM, RESTARTED, NOISE, AUTOATTACK], ids=["pgd", "fgsm", "restarts", "noise", "autoattack"]
)
def test_every_target_gets_its_own_predictions_of_the_sources_examples(
    digits: Path, tmp_path: Path, attack: dict[str, Any]
) -> None:
    table, _, _ = transferred(tmp_path, digits, [attack])
    made = made_by_hand(tmp_path, digits, attack)
    _, images, _ = images_of(digits)
    found = []
    for name, seed in TARGETS:
        _, target = checkpoint(tmp_path / "by hand", LENET, seed=seed + len(name))
        columns = of_target(table, name, seed, attack["norm"])
        assert columns["clean_prediction"] == predictions(target, images, torch.device("cpu")).tolist()
        assert columns["prediction"] == predictions(target, made, torch.device("cpu")).tolist()
        found.append(columns["prediction"])
    assert found[0] != found[1] != found[2]


def test_an_image_is_attacked_whether_the_source_and_the_target_get_it_right_or_not(
    digits: Path, tmp_path: Path
) -> None:
    # Untrained networks get nearly everything wrong; what an attack does to such an image is written down all the same.
    table, _, _ = transferred(tmp_path, digits, [{**PGD, "epsilon": 0.5, "step_size": 0.5}])
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    wrong = columns["clean_prediction"] != columns["label"]
    assert wrong.sum() > len(table) / 2
    assert (columns["prediction"] != columns["clean_prediction"])[wrong].any()


def test_the_origin_lists_the_source_and_then_the_targets_with_their_weights(digits: Path, tmp_path: Path) -> None:
    _, origin, weights = transferred(tmp_path, digits, [PGD])
    split, _, _ = images_of(digits)
    assert [(model["model"], model["seed"]) for model in origin["models"]] == [("source", SEED), *TARGETS]
    assert [model["weights_sha256"] for model in origin["models"]] == [
        sha256_of(path) for path in (weights[0], *weights)
    ]
    assert len({model["weights_sha256"] for model in origin["models"]}) == len(TARGETS)
    assert (origin["kind"], origin["code"], origin["device"]) == ("transfer", "c0de", "cpu")
    assert origin["spec"]["attacks"] == [PGD]
    assert (origin["data_manifest_sha256"], origin["data_verified"]) == (split.manifest_sha256, split.verified)


def test_the_sources_objective_is_what_an_attack_with_the_training_loss_ascends(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def spy(*arguments: Any, **options: Any) -> torch.Tensor:
        given.append(options["training_loss"])
        return craft(*arguments, **options)

    monkeypatch.setattr("robustrepro.measurements.transfer.craft", spy)
    transferred(tmp_path, digits, [{**PGD, "loss": "training"}], objective={"name": "hrm", "guard": 0.01})
    transferred(tmp_path, digits, [PGD])
    losses, none = given
    assert losses(torch.zeros(2, 10), torch.tensor([0, 1])).tolist() == pytest.approx([(np.log(10) + 0.01) ** 0.5] * 2)
    assert none is None


def test_points_of_the_plane_may_leave_the_range_of_pixels(moons: Path, tmp_path: Path) -> None:
    weights, model = checkpoint(tmp_path / "weights", MLP)
    spec = {
        "split": "train",
        "examples": None,
        "architecture": MLP,
        "attacks": [{"name": "fgsm", "norm": "linf", "epsilon": 0.5}],
        "targets": [{"model": "m", "seed": 0, "architecture": MLP}],
    }
    output = tmp_path / "out.parquet"
    measure_transfer(
        spec, "", model_name="m", seed=0, data=moons, weights=weights, target_weights=[weights], output=output
    )
    split = load(moons, "train")
    attack = crafting_attack_adapter.validate_python(spec["attacks"][0])
    indices = torch.arange(len(split.labels))
    made = craft(model, split.inputs, split.labels, indices, attack, seed=0, box=None)
    assert made.min() < 0
    table, _ = read_measurement(output)
    assert table.column("prediction").to_pylist() == predictions(model, made, torch.device("cpu")).tolist()


def test_a_target_whose_checkpoint_is_missing_is_named(digits: Path, tmp_path: Path) -> None:
    weights, _ = checkpoint(tmp_path / "weights", LENET)
    targets = [{"model": "other", "seed": 0, "architecture": LENET}]
    spec = {"split": "test", "examples": 4, "architecture": LENET, "attacks": [PGD], "targets": targets}
    missing = tmp_path / "missing"
    with pytest.raises(UserError, match=f"{missing}: there is no such checkpoint"):
        measure_transfer(
            spec,
            "",
            model_name="m",
            seed=0,
            data=digits,
            weights=weights,
            target_weights=[missing],
            output=tmp_path / "out.parquet",
        )
    assert not (tmp_path / "out.parquet").exists()

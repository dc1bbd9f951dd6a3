"""Measurements of trained models: what their columns hold and what their files say of their origin."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import TRAIN_POINTS
from safetensors.torch import load_file, save_file
from torch import nn

from robustrepro.attacks.measure import measure
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measurements.attack import measure_attack
from robustrepro.measurements.decision_boundary import BORDER, grid_over, measure_decision_boundary
from robustrepro.measurements.parameter_distance import measure_parameter_distance, squared_differences
from robustrepro.measurements.store import columns_digest, read_measurement, write_measurement
from robustrepro.models.build import build_model

MLP: dict[str, Any] = {"name": "mlp", "hidden": [4]}
LENET: dict[str, Any] = {"name": "lenet5"}


def checkpoint(path: Path, architecture: dict[str, Any], *, seed: int = 0) -> tuple[Path, nn.Module]:
    shape, classes = ((1, 28, 28), 10) if architecture["name"] == "lenet5" else ((2,), 2)
    model = build_model(architecture, shape, classes, seed=seed).eval()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path, model


# -- files ---------------------------------------------------------------------------------------------------


def test_a_measurement_comes_back_with_its_origin_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clean.parquet"
    columns = {"index": np.arange(3), "margin": np.array([0.5, -1.0, 2.0]), "part": np.array(["a", "b", "b"])}
    write_measurement(path, columns, {"kind": "attack", "spec": {"epsilon": 0.3}})
    table, origin = read_measurement(path)
    assert {name: table.column(name).to_pylist() for name in table.column_names} == {
        name: values.tolist() for name, values in columns.items()
    }
    assert origin == {"kind": "attack", "spec": {"epsilon": 0.3}, "columns_sha256": columns_digest(table)}


def test_the_digest_is_of_the_columns_whatever_their_file(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})
    pq.write_table(table, tmp_path / "other", compression="none", row_group_size=1)
    assert columns_digest(pq.read_table(tmp_path / "other")) == columns_digest(table)
    others = [
        pa.table({"a": [1, 2, 4], "b": [0.5, 1.5, 2.5]}),
        pa.table({"a": [1, 3, 2], "b": [0.5, 1.5, 2.5]}),
        pa.table({"c": [1, 2, 3], "b": [0.5, 1.5, 2.5]}),
        pa.table({"a": [1.0, 2.0, 3.0], "b": [0.5, 1.5, 2.5]}),
        pa.table({"b": [0.5, 1.5, 2.5], "a": [1, 2, 3]}),
    ]
    assert len({columns_digest(other) for other in [table, *others]}) == 6


def test_columns_of_text_have_the_same_digest_every_time() -> None:
    first, second = (pa.table({"part": pa.array(["grid", "".join(["tr", "ain"])])}) for _ in range(2))
    other = pa.table({"part": pa.array(["grid", "test!"])})
    assert columns_digest(first) == columns_digest(second)
    assert columns_digest(first) != columns_digest(other)


def test_a_missing_measurement_says_how_to_make_it(tmp_path: Path) -> None:
    path = tmp_path / "clean.parquet"
    with pytest.raises(UserError, match=f"{path}: there is no such measurement; run snakemake {path}"):
        read_measurement(path)


def test_a_truncated_or_foreign_measurement_is_named(tmp_path: Path) -> None:
    write_measurement(tmp_path / "cut", {"index": np.arange(1000)}, {})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-50])
    (tmp_path / "empty").write_bytes(b"")
    pq.write_table(pa.table({"index": [1]}), tmp_path / "foreign")
    for name in ("cut", "empty", "foreign"):
        with pytest.raises(UserError, match=f"{tmp_path / name}: unreadable measurement"):
            read_measurement(tmp_path / name)


def test_a_full_disk_leaves_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="the disk is full"):
        write_measurement(tmp_path / "clean.parquet", {"index": np.arange(3)}, {})
    assert list(tmp_path.iterdir()) == []


# -- distances between parameters ----------------------------------------------------------------------------


def test_the_distance_is_that_of_the_two_parameter_vectors(tmp_path: Path) -> None:
    paths, models = zip(*(checkpoint(tmp_path / f"{seed}", MLP, seed=seed) for seed in (0, 1)), strict=True)
    output = tmp_path / "distance.parquet"
    spec = {"models": ["a", "b"]}
    measure_parameter_distance(spec, "c0de", names=("a", "b"), seed=4, weights=paths, output=output)
    table, origin = read_measurement(output)
    first, second = (nn.utils.parameters_to_vector(model.parameters()).double() for model in models)
    squares = table.column("squared_difference").to_numpy()
    assert np.sqrt(squares.sum()) == pytest.approx(torch.dist(first, second).item(), rel=1e-12)
    assert sum(table.column("parameters").to_pylist()) == len(first)
    assert table.column("tensor").to_pylist() == sorted(models[0].state_dict())
    assert [model["weights_sha256"] for model in origin["models"]] == [sha256_of(path) for path in paths]
    assert [(model["model"], model["seed"]) for model in origin["models"]] == [("a", 4), ("b", 4)]


def test_squares_are_summed_in_double_precision() -> None:
    first = {"weight": np.array([1e4, 1.0, 1.0], dtype=np.float32)}
    second = {"weight": np.zeros(3, dtype=np.float32)}
    assert squared_differences(first, second) == {"weight": 1e8 + 2}


def test_models_of_different_shapes_have_no_distance(tmp_path: Path) -> None:
    paths = (checkpoint(tmp_path / "a", MLP)[0], checkpoint(tmp_path / "b", {**MLP, "hidden": [5]})[0])
    with pytest.raises(UserError, match="a and b: the two models do not have the same parameters"):
        measure_parameter_distance({}, "", names=("a", "b"), seed=0, weights=paths, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, b"", b"\x40\0\0\0\0\0\0\0{"], ids=["missing", "empty", "truncated"])
def test_an_unreadable_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    bad = tmp_path / "bad"
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(UserError, match=f"{bad}: unreadable or truncated checkpoint"):
        measure_parameter_distance(
            {}, "", names=("a", "b"), seed=0, weights=(checkpoint(tmp_path / "a", MLP)[0], bad), output=tmp_path / "out"
        )


# -- decision boundaries -------------------------------------------------------------------------------------


def test_the_grid_goes_row_by_row_over_the_points_and_a_border() -> None:
    grid = grid_over(torch.tensor([[0.0, 10.0], [2.0, 14.0], [1.0, 11.0]]), 3)
    x, y = (0 - BORDER * 2, 1.0, 2 + BORDER * 2), (10 - BORDER * 4, 12.0, 14 + BORDER * 4)
    torch.testing.assert_close(grid, torch.tensor([[right, up] for up in y for right in x]))


def test_a_boundary_is_the_model_on_the_grid_and_on_its_training_points(moons: Path, tmp_path: Path) -> None:
    weights, model = checkpoint(tmp_path / "weights", MLP)
    output = tmp_path / "grid20.parquet"
    spec = {"architecture": MLP, "resolution": 20}
    measure_decision_boundary(spec, "c0de", model_name="m", seed=2, data=moons, weights=weights, output=output)
    table, origin = read_measurement(output)
    column = {name: table.column(name).to_numpy() for name in table.column_names}
    split = load(moons, "train")
    assert column["part"].tolist() == ["grid"] * 400 + ["train"] * TRAIN_POINTS
    points = torch.tensor(np.stack([column["x"], column["y"]], axis=1))
    assert torch.equal(points[400:], split.inputs)
    assert torch.equal(points[:400], grid_over(split.inputs, 20))
    assert column["label"].tolist() == [-1] * 400 + split.labels.tolist()
    with torch.no_grad():
        probability = model(points).softmax(1)
    assert np.allclose(column["probability"], probability[:, 1], atol=1e-6)
    assert column["prediction"].tolist() == probability.argmax(1).tolist()
    assert (origin["kind"], origin["spec"], origin["code"]) == ("decision_boundary", spec, "c0de")
    assert origin["models"] == [{"model": "m", "seed": 2, "weights_sha256": sha256_of(weights)}]
    assert origin["data_manifest_sha256"] == split.manifest_sha256


# -- attacks -------------------------------------------------------------------------------------------------


def attacked(
    data: Path, folder: Path, spec: dict[str, Any], architecture: dict[str, Any] = LENET, **options: Any
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    weights, _ = checkpoint(folder / "weights", architecture)
    spec = {"split": "test", "examples": None, "architecture": architecture, **spec}
    output = folder / "out.parquet"
    measure_attack(spec, "c0de", model_name="m", data=data, weights=weights, output=output, **{"seed": 3, **options})
    table, origin = read_measurement(output)
    return {name: table.column(name).to_pylist() for name in table.column_names}, origin


def test_a_clean_measurement_is_the_models_own_prediction(digits: Path, tmp_path: Path) -> None:
    columns, origin = attacked(digits, tmp_path, {"attack": {"name": "clean"}})
    split = load(digits, "test")
    _, model = checkpoint(tmp_path / "weights", LENET)
    with torch.no_grad():
        logits = model(as_float(split.inputs))
    assert columns["label"] == split.labels.tolist()
    assert columns["index"] == list(range(len(split.labels)))
    assert columns["prediction"] == columns["clean_prediction"] == logits.argmax(1).tolist()
    assert set(columns["linf"] + columns["l2"]) == {0.0}
    assert origin["models"] == [{"model": "m", "seed": 3, "weights_sha256": sha256_of(tmp_path / "weights")}]
    assert (origin["kind"], origin["code"], origin["device"]) == ("attack", "c0de", "cpu")
    assert origin["data_manifest_sha256"] == split.manifest_sha256
    assert json.dumps(origin["spec"]["attack"]) == '{"name": "clean"}'


def test_the_split_and_the_number_of_examples_are_as_declared(digits: Path, tmp_path: Path) -> None:
    clean = {"attack": {"name": "clean"}}
    train, _ = attacked(digits, tmp_path, {**clean, "split": "train"})
    assert train["label"] == load(digits, "train").labels.tolist()
    first, _ = attacked(digits, tmp_path, {**clean, "split": "train", "examples": 7})
    for name, values in train.items():
        assert first[name] == pytest.approx(values[:7], abs=1e-6)
    every, _ = attacked(digits, tmp_path, {**clean, "split": "train", "examples": 10_000})
    assert every == train


def test_an_attacked_image_stays_within_its_ball(digits: Path, tmp_path: Path) -> None:
    pgd = {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.05}
    columns, _ = attacked(digits, tmp_path, {"attack": pgd, "examples": 12})
    moved = [distance for distance in columns["linf"] if distance > 0]
    assert moved
    assert max(moved) <= 0.1 + 1e-6
    for label, clean, after, margin in zip(
        columns["label"], columns["clean_prediction"], columns["prediction"], columns["margin"], strict=True
    ):
        assert (after == label) == (margin > 0)
        assert clean == label or after != label  # what was wrong without an attack is never counted as robust


def test_points_of_the_plane_may_leave_the_range_of_pixels(moons: Path, tmp_path: Path) -> None:
    columns, _ = attacked(moons, tmp_path, {"attack": {"name": "fgsm", "epsilon": 0.2}}, MLP)
    assert max(columns["linf"]) == pytest.approx(0.2, abs=1e-6)


def test_the_training_objective_is_what_an_attack_with_the_training_loss_ascends(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def spy(*arguments: Any, **options: Any) -> Any:
        given.append(options["training_loss"])
        return measure(*arguments, **options)

    monkeypatch.setattr("robustrepro.measurements.attack.measure", spy)
    fgsm = {"name": "fgsm", "epsilon": 0.1}
    hrm = {"name": "hrm", "guard": 0.01}
    attacked(digits, tmp_path, {"attack": {**fgsm, "loss": "training"}, "objective": hrm, "examples": 4})
    attacked(digits, tmp_path, {"attack": fgsm, "examples": 4})
    losses, none = given
    logits, labels = torch.zeros(2, 10), torch.tensor([0, 1])
    assert losses(logits, labels).tolist() == pytest.approx([(np.log(10) + 0.01) ** 0.5] * 2)
    assert none is None


def test_starts_depend_on_the_seed(digits: Path, tmp_path: Path) -> None:
    spec = {"attack": {"name": "pgd", "epsilon": 0.05, "steps": 1, "step_size": 0.01}, "examples": 12}
    first, again, other = (attacked(digits, tmp_path, spec, seed=seed)[0] for seed in (3, 3, 4))
    assert first == again
    assert first["margin"] != other["margin"]


def test_a_checkpoint_is_not_changed_by_a_measurement(digits: Path, tmp_path: Path) -> None:
    weights, _ = checkpoint(tmp_path / "weights", LENET)
    before = load_file(weights)
    attacked(digits, tmp_path, {"attack": {"name": "fgsm", "epsilon": 0.1}, "examples": 4})
    after = load_file(weights)
    assert all(torch.equal(before[name], after[name]) for name in before)

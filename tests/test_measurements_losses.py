"""Losses of single examples, and the commands of the steps that measure one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TEST_POINTS, TRAIN_POINTS
from safetensors.torch import save_file
from typer.testing import CliRunner

from robustrepro.command_line import app
from robustrepro.datasets.tensors import load
from robustrepro.files import sha256_of
from robustrepro.measurements.losses import measure_losses
from robustrepro.measurements.store import read_measurement
from robustrepro.models.build import build_model
from robustrepro.spec.sources import code_digest

MLP: dict[str, Any] = {"name": "mlp", "hidden": [4]}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_file(dict(build_model(MLP, (2,), 2, seed=1).state_dict()), path)
    return path


@pytest.mark.parametrize(
    ("split", "examples", "count"), [("train", None, TRAIN_POINTS), ("test", 7, 7), ("test", 10_000, TEST_POINTS)]
)
def test_a_loss_is_the_negative_logarithm_of_the_labels_probability(
    moons: Path, weights: Path, split: str, examples: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustrepro.measurements.losses.BATCH_SIZE", 16)
    output = weights.with_name("losses.parquet")
    spec = {"architecture": MLP, "split": split, "examples": examples}
    measure_losses(spec, "c0de", model_name="m", seed=1, data=moons, weights=weights, output=output)
    table, origin = read_measurement(output)
    column = {name: table.column(name).to_numpy() for name in table.column_names}
    loaded = load(moons, "train" if split == "train" else "test")
    labels = loaded.labels[:count]
    with torch.no_grad():
        probabilities = build_model(MLP, (2,), 2, seed=1)(loaded.inputs[:count]).double().softmax(1).numpy()
    assert column["loss"].dtype == np.float32
    assert column["loss"] == pytest.approx(-np.log(probabilities[np.arange(count), labels]), rel=1e-5)
    assert column["index"].tolist() == list(range(count))
    assert column["label"].tolist() == labels.tolist()
    assert column["prediction"].tolist() == probabilities.argmax(1).tolist()
    assert (origin["kind"], origin["spec"], origin["code"]) == ("losses", spec, "c0de")
    assert origin["models"] == [{"model": "m", "seed": 1, "weights_sha256": sha256_of(weights)}]
    assert origin["data_manifest_sha256"] == loaded.manifest_sha256


@pytest.mark.parametrize(
    ("step", "spec"),
    [
        ("measure-attack", {"attack": {"name": "clean"}, "split": "test", "examples": None}),
        ("measure-losses", {"split": "train", "examples": None}),
        ("measure-decision-boundary", {"resolution": 20}),
    ],
)
def test_a_command_measures_one_model(moons: Path, weights: Path, step: str, spec: dict[str, Any]) -> None:
    spec = {"architecture": MLP, **spec}
    output = weights.with_name("out.parquet")
    command = [step, "--spec", json.dumps(spec), "--code", code_digest(step, spec), "--model", "m", "--seed", "1"]
    command += ["--data", str(moons), "--weights", str(weights), "--output", str(output)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    _, origin = read_measurement(output)
    assert f"measure-{origin['kind'].replace('_', '-')}" == step
    assert (origin["spec"], origin["models"][0]["model"], origin["models"][0]["seed"]) == (spec, "m", 1)

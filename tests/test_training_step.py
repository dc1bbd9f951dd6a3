"""The step ``train``: its card, what it leaves behind, and how it continues."""

from __future__ import annotations

import csv
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TEST_POINTS, TRAIN_POINTS
from safetensors import SafetensorError
from warm_steps import heed_interrupts

from robustrepro.canonical import canonical_json
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import load_model
from robustrepro.spec.sources import code_digest
from robustrepro.steps import ProgressBar
from robustrepro.training import step
from robustrepro.training.resume import locked, state_path
from robustrepro.warm.link import VARIABLE

SPEC: dict[str, Any] = {
    "dataset": "two_moons",
    "architecture": {"name": "mlp", "hidden": [8]},
    "objective": {"name": "hrm", "guard": 1e-8},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "epochs": 4,
    "batch_size": 16,
}


def train(folder: Path, data: Path, *, spec: dict[str, Any] = SPEC, code: str = "c0de", seed: int = 0) -> str:
    """Run the step in a folder and return the SHA-256 of its weights."""
    names = {"weights": "weights.safetensors", "history": "history.csv", "card": "card.json"}
    outputs = {name: folder / file for name, file in names.items()}
    step.train_step(spec, code, name="a-model", seed=seed, data=data, **outputs)
    return sha256_of(outputs["weights"])


def train_two_epochs(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the step as :func:`train` does, and interrupt it."""

    def advance(_: ProgressBar, done: int, detail: str) -> None:
        if done == 2 and detail:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            train(folder, data)


def test_a_card_tells_where_the_weights_came_from(moons: Path, tmp_path: Path) -> None:
    sha256 = train(tmp_path, moons, seed=3)
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["model"], card["seed"], card["spec"], card["code"]) == ("a-model", 3, SPEC, "c0de")
    assert card["weights_sha256"] == sha256
    assert card["data_manifest_sha256"] == hashlib.sha256((moons / "manifest.json").read_bytes()).hexdigest()
    assert card["data_verified"] is True
    assert card["parameters"] == 2 * 8 + 8 + 8 * 2 + 2
    assert card["device"] == "cpu"
    assert card["versions"]["python"] == platform.python_version()
    assert card["versions"]["torch"] == importlib.metadata.version("torch")
    assert min(card["seconds"], card["cpu_seconds"], card["peak_memory_mb"]) > 0
    model = load_model(tmp_path / "weights.safetensors", SPEC["architecture"], (2,), 2)
    test = load(moons, "test")
    with torch.no_grad():
        right = int((model(test.inputs).argmax(1) == test.labels).sum())
    assert card["final"]["test_accuracy"] == right / TEST_POINTS
    lines = list(csv.DictReader((tmp_path / "history.csv").open()))
    assert [line["epoch"] for line in lines] == ["1", "2", "3", "4"]
    assert card["final"]["training_loss"] == float(lines[-1]["loss"])
    assert TRAIN_POINTS % SPEC["batch_size"] == 1  # what the accuracy is over leaves one point out
    assert float(lines[-1]["accuracy"]) * (TRAIN_POINTS - 1) == pytest.approx(
        round(float(lines[-1]["accuracy"]) * (TRAIN_POINTS - 1))
    )


def test_only_outputs_are_left_after_an_interrupted_training_was_continued(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(tmp_path / "whole", moons)
    train_two_epochs(tmp_path / "cut", moons, monkeypatch)
    (state,) = (tmp_path / "cut").iterdir()
    assert state.name.startswith("resume-")
    assert train(tmp_path / "cut", moons) == expected
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == [
        "card.json",
        "history.csv",
        "weights.safetensors",
    ]


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"code": "0ther"}, {"spec": {**SPEC, "epochs": 5}}], ids=["seed", "code", "spec"]
)
def test_a_state_is_never_picked_up_by_another_training(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    train_two_epochs(tmp_path / "cut", moons, monkeypatch)
    assert train(tmp_path / "cut", moons, **other) == train(tmp_path / "fresh", moons, **other)
    assert len((tmp_path / "cut/history.csv").read_text().splitlines()) == 1 + other.get("spec", SPEC)["epochs"]
    assert len(list((tmp_path / "cut").glob("resume-*"))) == 1


DISK_FULL = {
    "flush": ("robustrepro.files.os.fsync", OSError(errno.ENOSPC, "No space left on device")),
    # What safetensors raises on a file system that is really full.
    "write": (
        "robustrepro.training.step.save_file",
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ),
}


@pytest.mark.parametrize("where", DISK_FULL)
def test_a_full_disk_is_said_and_leaves_nothing_behind(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    target, error = DISK_FULL[where]

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(target, fail)
    with pytest.raises(UserError, match=r"weights\.safetensors: the disk is full"):
        train(tmp_path / "model", moons)
    assert list((tmp_path / "model").iterdir()) == []


def test_a_second_training_of_the_same_model_is_refused(moons: Path, tmp_path: Path) -> None:
    manifest = load(moons, "train").manifest_sha256
    with (
        locked(state_path(tmp_path, canonical_json(SPEC), "0", "c0de", manifest)),
        pytest.raises(UserError, match="another process is training this model"),
    ):
        train(tmp_path, moons)
    assert not (tmp_path / "weights.safetensors").exists()


def eventually_says(log: Path, words: str, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and words in log.read_text():
            return True
        time.sleep(0.02)
    return False


def test_the_command_continues_after_an_interrupt(moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    spec = {**SPEC, "epochs": 800}
    code = code_digest("train", spec)
    folder, log = tmp_path / "command", tmp_path / "train.log"
    command = [sys.executable, "-m", "robustrepro", "train", "--spec", canonical_json(spec), "--code", code]
    command += ["--model", "a-model", "--seed", "0", "--data", str(moons), "--log", str(log)]
    command += ["--weights", str(folder / "weights.safetensors"), "--history", str(folder / "history.csv")]
    command += ["--card", str(folder / "card.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, preexec_fn=heed_interrupts) as first:
        assert eventually_says(log, ": 20 of 800, loss", first)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=240)
    assert first.returncode == 130
    assert "stopped: " in log.read_text()
    assert not (folder / "weights.safetensors").exists()
    subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=True, timeout=240)
    assert "a-model, seed 0: continuing an interrupted training" in log.read_text()
    assert ": 20 of 800, loss" not in log.read_text()
    assert sha256_of(folder / "weights.safetensors") == train(tmp_path / "whole", moons, spec=spec, code=code)

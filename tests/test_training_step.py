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
from safetensors.torch import load_file
from torch import Tensor, nn
from warm_steps import heed_interrupts

from robustrepro.canonical import canonical_json
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import load_network
from robustrepro.models.evaluation import accuracy_on
from robustrepro.provenance import processor
from robustrepro.spec.networks import Network
from robustrepro.spec.training import TrainingSpec
from robustrepro.steps import ProgressBar, Work
from robustrepro.training import loop, step
from robustrepro.training.checkpoints import epochs_of, weights_after
from robustrepro.training.resume import locked, state_path

MLP: dict[str, Any] = {"architecture": {"name": "mlp", "hidden": [8]}}
NORMALISED: dict[str, Any] = {**MLP, "preprocessing": [{"name": "input_normalisation"}]}
SPEC: dict[str, Any] = {
    "dataset": "two_moons",
    "network": MLP,
    "objective": {"name": "hrm", "guard": 1e-8},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "epochs": 4,
    "batch_size": 16,
}


def work_of(folder: Path, data: Path, spec: dict[str, Any] = SPEC, code: str = "c0de", seed: int = 0) -> Work:
    outputs = [folder / name for name in ("weights.safetensors", "checkpoints.safetensors", "history.csv", "card.json")]
    job = {"model": "a-model", "seed": seed, "training": spec}
    return Work(job, code, {"data": [data / "manifest.json"]}, outputs)


def train(folder: Path, data: Path, **options: Any) -> str:
    """Run the step in a folder and return the SHA-256 of its weights."""
    work = work_of(folder, data, **options)
    step.run(work)
    return sha256_of(work.outputs[0])


def train_two_epochs(folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Run the step as :func:`train` does, and interrupt it."""

    def advance(_: ProgressBar, done: int, detail: str) -> None:
        if done == 2 and detail:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            train(folder, data, **options)


def test_a_card_tells_where_the_weights_came_from(moons: Path, tmp_path: Path) -> None:
    sha256 = train(tmp_path, moons, seed=3)
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["model"], card["seed"], card["code"]) == ("a-model", 3, "c0de")
    assert card["spec"] == {"model": "a-model", "seed": 3, "training": SPEC}
    assert card["weights_sha256"] == sha256
    assert card["data_manifest_sha256"] == hashlib.sha256((moons / "manifest.json").read_bytes()).hexdigest()
    assert card["data_verified"] is True
    assert card["parameters"] == 2 * 8 + 8 + 8 * 2 + 2
    assert card["device"] == "cpu"
    assert (card["processor"], card["threads"]) == (processor(), torch.get_num_threads())
    assert card["versions"]["python"] == platform.python_version()
    assert card["versions"]["torch"] == importlib.metadata.version("torch")
    assert min(card["seconds"], card["cpu_seconds"], card["peak_memory_mb"]) > 0
    model = load_network(tmp_path / "weights.safetensors", Network.model_validate(SPEC["network"]), (2,), 2)
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


def chosen(folder: Path, data: Path, outcome: str) -> Work:
    """Return the work of a training that a search chooses, between two numbers of epochs."""
    work = work_of(folder, data)
    search = folder / "best.json"
    search.parent.mkdir(parents=True, exist_ok=True)
    search.write_text(json.dumps({"chosen": outcome}))
    spec = {"model": "a-model", "seed": 0, "search": "small/best", "among": {"4": SPEC, "2": {**SPEC, "epochs": 2}}}
    return Work(spec, work.code, {**work.inputs, "search": [search]}, work.outputs)


def interrupt_at_its_end(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a training whose every epoch is kept, up to where its weights would be written."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(step, "save_file", interrupt)
        patch.setattr(loop, "SECONDS_BETWEEN_SAVES", 0.0)
        with pytest.raises(KeyboardInterrupt):
            step.run(work)


def test_the_training_that_a_search_chose_is_that_of_the_candidate_and_its_card_says_so(
    moons: Path, tmp_path: Path
) -> None:
    work = chosen(tmp_path / "chosen", moons, "2")
    step.run(work)
    assert sha256_of(work.outputs[0]) == train(tmp_path / "two", moons, spec={**SPEC, "epochs": 2})
    card = json.loads(work.outputs[3].read_text())
    assert (card["chosen"], card["search_sha256"]) == ("2", sha256_of(work.inputs["search"][0]))


def test_a_training_is_not_continued_once_a_search_has_chosen_another(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at_its_end(chosen(tmp_path, moons, "4"), monkeypatch)
    work = chosen(tmp_path, moons, "2")
    step.run(work)
    assert sha256_of(work.outputs[0]) == train(tmp_path / "two", moons, spec={**SPEC, "epochs": 2})


def test_a_training_is_continued_when_a_search_was_decided_anew_and_chose_the_same(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt_at_its_end(chosen(tmp_path, moons, "4"), monkeypatch)
    work = chosen(tmp_path, moons, "4")
    work.inputs["search"][0].write_text(json.dumps({"chosen": "4", "candidates": [0.5]}))
    with caplog.at_level("INFO"):
        step.run(work)
    assert "continuing an interrupted training" in caplog.text


def test_a_choice_that_is_no_candidate_is_refused(tmp_path: Path, moons: Path) -> None:
    with pytest.raises(UserError, match=r"best\.json: it chooses '5'; expected one of 4, 2"):
        step.run(chosen(tmp_path, moons, "5"))


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
        "checkpoints.safetensors",
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
    training = TrainingSpec.model_validate(SPEC).model_dump(mode="json")
    identity = canonical_json({"model": "a-model", "seed": 0, "training": training})
    with (
        locked(state_path(tmp_path, identity, "c0de", manifest)),
        pytest.raises(UserError, match="another process is training this model"),
    ):
        train(tmp_path, moons)
    assert not (tmp_path / "weights.safetensors").exists()


def columns_of(history: Path) -> dict[str, list[str]]:
    lines = list(csv.DictReader(history.open()))
    return {name: [line[name] for line in lines] for name in lines[0]}


@pytest.mark.parametrize("network", [MLP, NORMALISED], ids=["mlp", "batch normalisation"])
def test_the_test_accuracy_per_epoch_changes_no_weight(moons: Path, tmp_path: Path, network: dict[str, Any]) -> None:
    spec = {**SPEC, "network": network}
    without = train(tmp_path / "without", moons, spec=spec)
    assert train(tmp_path / "with", moons, spec={**spec, "test_accuracy": True}) == without
    plain, asked = (columns_of(tmp_path / name / "history.csv") for name in ("without", "with"))
    assert list(plain) == ["epoch", "loss", "accuracy", "seconds", "images_per_second"]
    assert list(asked) == [*plain, "test_accuracy"]
    assert asked["loss"] == plain["loss"]
    card = json.loads((tmp_path / "with/card.json").read_text())
    assert float(asked["test_accuracy"][-1]) == card["final"]["test_accuracy"]
    shorter = {**spec, "epochs": 2}
    train(tmp_path / "shorter", moons, spec=shorter)
    after_two = json.loads((tmp_path / "shorter/card.json").read_text())["final"]["test_accuracy"]
    assert float(asked["test_accuracy"][1]) == after_two


def test_accuracy_is_taken_in_true_float32_and_evaluation_mode_and_touches_no_random_state(moons: Path) -> None:
    class Looking(nn.Module):
        """Notes how it is called."""

        def forward(self, inputs: Tensor) -> Tensor:
            backend = torch.backends.cudnn.conv  # type: ignore[attr-defined]
            self.noted = (self.training, torch.is_grad_enabled(), backend.fp32_precision)
            return torch.stack([inputs.new_ones(len(inputs)), inputs.new_zeros(len(inputs))], 1)

    split, model = load(moons, "test"), Looking()
    before = torch.get_rng_state()
    share = accuracy_on(split, model, torch.device("cpu"))
    assert share == (split.labels == 0).double().mean().item()
    assert model.noted == (False, False, "ieee")
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    accuracy_on(split, model.eval(), torch.device("cpu"))
    assert not model.training


def eventually_says(log: Path, words: str, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and words in log.read_text():
            return True
        time.sleep(0.02)
    return False


SCRIPT = """
import json, logging, sys
from pathlib import Path
from robustrepro.steps import LOGGER, Work
from robustrepro.training import step

job, data, folder, log = json.loads(sys.argv[1]), *map(Path, sys.argv[2:])
LOGGER.setLevel(logging.INFO)
LOGGER.addHandler(logging.FileHandler(log, mode="w"))
outputs = [folder / name for name in ("weights.safetensors", "checkpoints.safetensors", "history.csv", "card.json")]
step.run(Work(job, "c0de", {"data": [data]}, outputs))
"""


def test_a_process_continues_after_an_interrupt(moons: Path, tmp_path: Path) -> None:
    spec = {**SPEC, "epochs": 800}
    work, log = work_of(tmp_path / "process", moons, spec), tmp_path / "train.log"
    places = [work.inputs["data"][0], tmp_path / "process", log]
    command = [sys.executable, "-c", SCRIPT, json.dumps(work.spec), *map(str, places)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, preexec_fn=heed_interrupts) as first:
        assert eventually_says(log, ": 20 of 800, loss", first)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=240)
    assert b"KeyboardInterrupt" in said
    assert not work.outputs[0].exists()
    subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=True, timeout=240)
    assert "a-model, seed 0: continuing an interrupted training" in log.read_text()
    assert ": 20 of 800, loss" not in log.read_text()
    assert sha256_of(work.outputs[0]) == train(tmp_path / "whole", moons, spec=spec)


# -- checkpoints ---------------------------------------------------------------------------------------------


def test_checkpoints_are_the_weights_that_a_shorter_training_ends_with(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_two_epochs(tmp_path / "kept", moons, monkeypatch, spec={**SPEC, "checkpoints": [1, 3, 100]})
    train(tmp_path / "kept", moons, spec={**SPEC, "checkpoints": [1, 3, 100]})
    kept = tmp_path / "kept/checkpoints.safetensors"
    assert epochs_of(kept) == [1, 3]
    for epoch in (1, 3):
        train(tmp_path / f"after-{epoch}", moons, spec={**SPEC, "epochs": epoch})
        shorter = load_file(tmp_path / f"after-{epoch}/weights.safetensors")
        found = weights_after(kept, epoch)
        assert found.keys() == shorter.keys()
        assert all(torch.equal(found[name], shorter[name]) for name in shorter)
    assert not list((tmp_path / "kept").glob("*.partial"))


def test_a_checkpoint_that_was_not_kept_is_named_with_those_that_were(moons: Path, tmp_path: Path) -> None:
    train(tmp_path, moons, spec={**SPEC, "checkpoints": [2]})
    with pytest.raises(UserError, match="no weights after epoch 5 were kept; those kept: 2"):
        weights_after(tmp_path / "checkpoints.safetensors", 5)


def test_a_checkpoint_that_went_missing_stops_a_resumed_training(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {**SPEC, "checkpoints": [1]}
    train_two_epochs(tmp_path, moons, monkeypatch, spec=spec)
    next(tmp_path.glob("*.epoch-1.*")).unlink()
    with pytest.raises(UserError, match=r"weights after epoch 1 are gone .* Delete .*resume-.* to train"):
        train(tmp_path, moons, spec=spec)

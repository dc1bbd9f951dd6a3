"""How many processor cores a step computes with: as many as it was given, wherever it runs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import Declarations

from robustrepro import warm
from robustrepro.files import sha256_of
from robustrepro.spec.jobs import Job, spec_of
from robustrepro.threads import VARIABLES

OUTSIDE: tuple[Mapping[str, str], ...] = (
    {"OMP_NUM_THREADS": "1"},
    {},
    {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
)
"""What the environment may say of threads; nothing is as many as there are cores."""
COUNTED = """
import json, sys
from robustrepro.threads import use_threads
{before}
use_threads(int(sys.argv[1]))
import torch, numpy, threadpoolctl
blas = {{pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}}
print(json.dumps([torch.get_num_threads(), *blas]))
"""


def environment(outside: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of this process, with nothing about threads but this."""
    kept = {name: value for name, value in os.environ.items() if name not in {*VARIABLES, warm.VARIABLE}}
    return {**kept, **outside}


def threads_of(code: str, count: int, outside: Mapping[str, str]) -> list[int]:
    """Return how many threads torch and then each linear algebra library has."""
    command = [sys.executable, "-c", code, str(count)]
    done = subprocess.run(command, env=environment(outside), capture_output=True, check=True)
    numbers: list[int] = json.loads(done.stdout)
    return numbers


@pytest.mark.parametrize("before", ["", "import torch, numpy"], ids=["not imported", "imported"])
@pytest.mark.parametrize("outside", [OUTSIDE[0], OUTSIDE[2]], ids=["one outside", "two outside"])
def test_libraries_have_the_threads_of_the_step(before: str, outside: Mapping[str, str]) -> None:
    count = 1 if outside["OMP_NUM_THREADS"] == "2" else 2
    assert set(threads_of(COUNTED.format(before=before), count, outside)) == {count}


@pytest.fixture
def training(declarations: Declarations, digits: Path) -> Job:
    """A short training of LeNet-5, whose convolutions two threads would sum in another order."""
    spec = json.loads(declarations.plan().job("train", model="image-erm", seed=0).spec)
    spec["training"] |= {"epochs": 2, "batch_size": 40}
    inputs = (("data", str(digits / "manifest.json")),)
    return Job("train", spec_of(spec.pop("runs"), **spec), inputs)


def weights_of(job: Job, folder: Path, outside: Mapping[str, str], *options: str) -> str:
    """Run the step of a training by hand and return the SHA-256 of its weights."""
    outputs = [folder / name for name in ("weights.safetensors", "checkpoints.safetensors", "history.csv", "card.json")]
    command = [sys.executable, "-m", "robustrepro", "run", job.step, *shlex.split(job.options), *options]
    command += [part for output in outputs for part in ("--output", str(output))]
    done = subprocess.run(command, env=environment(outside), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sha256_of(outputs[0])


def test_the_environment_of_a_step_by_hand_does_not_change_its_weights(training: Job, tmp_path: Path) -> None:
    assert len({weights_of(training, tmp_path / str(place), outside) for place, outside in enumerate(OUTSIDE)}) == 1


def test_more_threads_can_be_asked_for_and_change_the_weights(training: Job, tmp_path: Path) -> None:
    # Else the test above would hold of any number of threads.
    one = weights_of(training, tmp_path / "one", OUTSIDE[0])
    assert weights_of(training, tmp_path / "two", OUTSIDE[0], "--threads", "2") != one


def test_a_step_in_a_warm_process_has_the_threads_that_it_was_given(
    training: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = weights_of(training, tmp_path / "cold", OUTSIDE[0])
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    with warm.start(["torch", "numpy"]):
        outside = {**OUTSIDE[2], warm.VARIABLE: os.environ[warm.VARIABLE]}
        assert weights_of(training, tmp_path / "warm", outside) == cold

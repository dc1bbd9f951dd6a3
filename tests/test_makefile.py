"""What the targets of the Makefile run, with programs that only say how they were called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

SAYS_ITS_ARGUMENTS = '#!/bin/sh\nfor argument in "$@"; do printf "<%s>" "$argument"; done\necho\n'
MODELS = "overrides={models: {mnist-*: {epochs: 2, text: it's $$HOME}}}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile and an environment that is ready."""
    for name in ("requirements.lock", "pyproject.toml", "leave_out=cifar10-all"):
        (tmp_path / name).touch()
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for program in ("snakemake", "python"):
        path = tmp_path / ".venv/bin" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SAYS_ITS_ARGUMENTS)
        path.chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    return tmp_path


def called(project: Path, *arguments: str) -> list[list[str]]:
    """Return the arguments of each program that make runs."""
    command = ["make", "--silent", "--no-print-directory", "JOBS=2", *arguments]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    return [line.strip("<>").split("><") for line in done.stdout.splitlines()]


CORES = ["--cores", "2"]


def test_nothing_is_set_that_was_not_asked_for(project: Path) -> None:
    assert called(project, "reproduce") == [CORES]
    assert called(project, "dry-run") == [[*CORES, "--dry-run"]]
    assert called(project, "show") == [["-m", "robustrepro", "show"]]
    assert called(project, "publish") == [CORES, ["-m", "robustrepro", "publish"]]


def test_a_scale_and_papers_reach_every_program(project: Path) -> None:
    assert called(project, "dry-run", "SCALE=reduced") == [[*CORES, "--dry-run", "--config", "scale=reduced"]]
    assert called(project, "show", "SCALE=reduced") == [["-m", "robustrepro", "show", "reduced"]]
    assert called(project, "publish", "SCALE=paper", "PAPERS=hrm,hamming") == [
        [*CORES, "--config", "scale=paper", "papers=hrm,hamming"],
        ["-m", "robustrepro", "publish", "paper"],
    ]
    assert called(project, "publish", "CONFIG=leave_out=a scale=paper")[1] == ["-m", "robustrepro", "publish", "paper"]


def test_two_results_are_named_to_be_compared(project: Path) -> None:
    compare = ["-m", "robustrepro", "compare"]
    assert called(project, "compare") == [compare]
    assert called(project, "compare", "A=HEAD~1", "SCALE=quick", "ALL=1") == [
        [*compare, "HEAD~1", "--scale", "quick", "--all"]
    ]
    assert called(project, "compare", "A=results/a b", "B=now") == [[*compare, "results/a b", "now"]]


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        ("leave_out=cifar10-*", ["leave_out=cifar10-*"]),  # which the shell would find the file of this folder for
        ("leave_out=a,b scale=paper", ["leave_out=a,b", "scale=paper"]),
        (MODELS, [MODELS.replace("$$", "$")]),
        (
            f"{MODELS} leave_out=x data={{mirror: a b}}",
            [MODELS.replace("$$", "$"), "leave_out=x", "data={mirror: a b}"],
        ),
        ("leaveout=x", ["leaveout=x"]),
    ],
)
def test_settings_arrive_as_they_were_written(project: Path, config: str, settings: list[str]) -> None:
    assert called(project, "reproduce", f"CONFIG={config}") == [[*CORES, "--config", *settings]]
    assert called(project, "dry-run", f"CONFIG={config}") == [[*CORES, "--dry-run", "--config", *settings]]

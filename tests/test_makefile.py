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
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(SAYS_ITS_ARGUMENTS)
    python.chmod(0o755)
    (tmp_path / ".venv/.ready").touch()
    return tmp_path


def called(project: Path, *arguments: str) -> list[list[str]]:
    """Return the arguments of each program that make runs."""
    command = ["make", "--silent", "--no-print-directory", "JOBS=2", *arguments]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    return [line.strip("<>").split("><") for line in done.stdout.splitlines()]


OURS = ["-m", "robustrepro"]
CORES = ["--cores", "2"]
REPRODUCE = [*OURS, "reproduce", *CORES]
DRY_RUN = [*OURS, "dry-run", *CORES]


def test_nothing_is_set_that_was_not_asked_for(project: Path) -> None:
    assert called(project, "reproduce") == [REPRODUCE]
    assert called(project, "dry-run") == [DRY_RUN]
    assert called(project, "show") == [["-m", "robustrepro", "show"]]
    assert called(project, "verdicts") == [[*OURS, "verdicts"]]
    assert called(project, "publish") == [REPRODUCE, [*OURS, "publish"]]


def test_a_scale_and_papers_reach_every_program(project: Path) -> None:
    assert called(project, "dry-run", "SCALE=reduced") == [[*DRY_RUN, "--config", "scale=reduced"]]
    assert called(project, "show", "SCALE=reduced") == [["-m", "robustrepro", "show", "reduced"]]
    assert called(project, "publish", "SCALE=paper", "PAPERS=hrm,hamming") == [
        [*REPRODUCE, "--config", "scale=paper", "papers=hrm,hamming"],
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


def test_one_table_is_asked_for_with_its_seeds_epochs_and_settings(project: Path) -> None:
    assert called(project, "table", "NAME=hrm/table2", "SCALE=reduced", "SEEDS=1", "EPOCHS=2") == [
        [*OURS, "table", "hrm/table2", *CORES, "--seeds", "1", "--epochs", "2", "--config", "scale=reduced"]
    ]
    assert called(project, "table", "NAME=hrm/table2") == [[*OURS, "table", "hrm/table2", *CORES]]


def test_verdicts_are_those_of_a_paper_and_a_scale(project: Path) -> None:
    assert called(project, "verdicts", "PAPER=hrm") == [[*OURS, "verdicts", "--paper", "hrm"]]
    assert called(project, "verdicts", "PAPER=hrm", "SCALE=quick")[0][-2:] == ["--scale", "quick"]


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
    assert called(project, "reproduce", f"CONFIG={config}") == [[*REPRODUCE, "--config", *settings]]
    assert called(project, "dry-run", f"CONFIG={config}") == [[*DRY_RUN, "--config", *settings]]

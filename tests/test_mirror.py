"""Where a user's own folder of data files is, by what config.yaml and the environment say."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robustrepro.command_line import app
from robustrepro.mirror import VARIABLE, use_mirror
from robustrepro.spec.jobs import Job, spec_of
from robustrepro.steps import Work


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "configured", "expected"),
    [
        (None, None, None),
        (None, "~/data", "{home}/data"),
        ("", "/configured", "/configured"),
        ("", None, ""),
        ("/mine", "/configured", "/mine"),
        ("~/mine", "/configured", "{home}/mine"),
        (None, "a folder/with ~", "a folder/with ~"),
    ],
)
def test_the_environment_takes_precedence_if_it_says_anything(
    home: Path, environment: str | None, configured: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, environment or "")
    if environment is None:
        monkeypatch.delenv(VARIABLE)
    use_mirror(configured)
    assert os.environ.get(VARIABLE) == (None if expected is None else expected.format(home=home))


def test_a_step_by_hand_finds_the_home_as_well(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(_: Work) -> None:
        seen.append(os.environ[VARIABLE])

    monkeypatch.setattr("robustrepro.datasets.step.run", note)
    monkeypatch.setenv(VARIABLE, "~/data")
    command = ["run", "data", *shlex.split(Job("data", spec_of([])).options), "--output", "out"]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert seen == [f"{home}/data"]

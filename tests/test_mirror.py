"""Where a user's own folder of data files is, by what config.yaml and the environment say."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robustrepro.command_line import app
from robustrepro.mirror import VARIABLE
from robustrepro.mirror_setting import use_mirror
from robustrepro.spec.jobs import Job, spec_of
from robustrepro.steps import Work

BY_HAND = ["run", "data", *shlex.split(Job("data", spec_of([])).options), "--output", "out"]


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
    assert CliRunner().invoke(app, BY_HAND, catch_exceptions=False).exit_code == 0
    assert seen == [f"{home}/data"]


@pytest.mark.parametrize(
    ("config", "expected"), [("data: {mirror: ~/official}\n", "{home}/official"), ("data:\n", ""), (None, "")]
)
def test_a_step_by_hand_takes_the_folder_that_config_names(
    home: Path, config: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("robustrepro.datasets.step.run", lambda _: seen.append(os.environ.get(VARIABLE, "")))
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(home)
    if config is not None:
        (home / "config.yaml").write_text(config)
    assert CliRunner().invoke(app, BY_HAND, catch_exceptions=False).exit_code == 0
    assert seen == [expected.format(home=home)]

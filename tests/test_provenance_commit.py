"""Which commit a card names: that of the sources that ran, or why there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from robustrepro.provenance import commit_of


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that lies in no repository."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no-settings"))
    folder = tmp_path / "checkout/src/robustrepro"
    (folder / "spec").mkdir(parents=True)
    (folder / "__init__.py").write_text("1")
    (folder / "spec/plan.py").write_text("1")
    (tmp_path / "checkout/README.md").write_text("1")
    return folder


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=A", "-c", "user.email=a@b")
    done = subprocess.run(["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def committed(folder: Path) -> str:
    """Make a repository of a folder with all that lies in it, and return the first digits of its commit."""
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        git(folder, *command)
    return git(folder, "rev-parse", "HEAD")[:12]


def test_the_commit_is_that_of_the_repository_that_tracks_the_package(package: Path) -> None:
    commit = committed(package.parents[1])
    git(package, "tag", "-a", "v1", "-m", "one")
    (package.parents[1] / "notes").write_text("beside the sources")
    (package / "__pycache__").mkdir()
    (package / "__pycache__/plan.pyc").write_text("compiled")
    assert commit_of(package) == commit


@pytest.mark.parametrize("edited", ["spec/plan.py", "../../README.md", "spec/new.py", "../../my_kinds.py"])
def test_a_tree_that_differs_from_its_commit_is_said_to_and_so_is_one_with_a_new_source(
    package: Path, edited: str
) -> None:
    commit = committed(package.parents[1])
    (package / edited).write_text("2")
    assert commit_of(package) == f"{commit} (modified)"


def test_a_package_unpacked_inside_another_repository_is_not_given_its_commit(package: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").rename(tmp_path / "aside")
    (tmp_path / "another").write_text("1")
    committed_elsewhere = committed(tmp_path)
    git(tmp_path, "rm", "-r", "-q", "--cached", "aside")
    git(tmp_path, "commit", "-q", "-m", "two")
    (tmp_path / "aside").rename(tmp_path / "checkout")
    assert committed_elsewhere
    assert commit_of(package) == "unknown (the repository around the sources does not track them)"


def test_without_a_repository_that_is_said_without_the_words_of_git(package: Path) -> None:
    assert commit_of(package) == "not a git checkout"


def test_a_repository_without_a_commit_has_none_to_record(package: Path) -> None:
    git(package.parents[1], "init", "-q")
    git(package.parents[1], "add", ".")
    assert commit_of(package) == "unknown (git cannot tell)"


def test_without_git_the_reason_is_recorded(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(package.parents[1])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(package) == "unknown (git is not installed)"


def test_a_git_that_hangs_holds_nobody_up(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("robustrepro.provenance.GIT_SECONDS", 0.1)
    assert commit_of(package) == "unknown (git did not answer within 0.1 s)"


def test_a_repository_of_another_owner_is_asked_all_the_same(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = committed(package.parents[1])
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try its refusal
    with pytest.raises(subprocess.CalledProcessError):
        git(package, "rev-parse", "HEAD")
    assert commit_of(package) == commit


def test_another_repository_that_the_environment_names_is_not_asked(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = committed(package.parents[1])
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("1")
    assert committed(other) != commit
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert commit_of(package) == commit


def test_no_monitor_that_a_repository_names_is_started(package: Path, tmp_path: Path) -> None:
    commit = committed(package.parents[1])
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    monitor.chmod(0o755)
    git(package, "config", "core.fsmonitor", str(monitor))
    assert commit_of(package) == commit
    assert not (tmp_path / "started").exists()
    git(package, "status")
    assert (tmp_path / "started").exists()

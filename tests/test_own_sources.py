"""A checkout runs its own code, or nothing: another one's would be recorded as its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robustrepro.command_line import app
from robustrepro.errors import UserError
from robustrepro.spec.sources import PACKAGE

ROOT = Path(__file__).parents[1]

WITHOUT_THE_PACKAGE = """
import sys
from pathlib import Path
sys.path[:] = [folder for folder in sys.path if not Path(folder, "robustrepro").exists()]
from snakemake.cli import main
main()
"""


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    """A checkout that has nothing but a Snakefile."""
    shutil.copy(ROOT / "Snakefile", tmp_path)
    return tmp_path


def refusal(folder: Path, *command: str) -> str:
    """Return what a dry run says that fails."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, *command, "-n"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_worktree_that_borrows_another_checkouts_code_is_refused_with_both_places(worktree: Path) -> None:
    message = refusal(worktree, "-m", "snakemake")
    assert f"is in {worktree}/src/robustrepro, but robustrepro is imported from {PACKAGE}: " in message
    assert f"Run `make setup` here and use the commands in .venv/bin, or set PYTHONPATH={worktree}/src" in message


def test_a_worktree_without_any_code_to_import_is_told_the_same(worktree: Path) -> None:
    message = refusal(worktree, "-c", WITHOUT_THE_PACKAGE)
    assert "but robustrepro is imported from nowhere: " in message


def test_nothing_is_published_in_a_checkout_whose_code_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src/robustrepro").mkdir(parents=True)
    (tmp_path / "src/robustrepro/__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="but robustrepro is imported from"):
        CliRunner().invoke(app, ["publish", "quick"], catch_exceptions=False)
    assert not (tmp_path / "docs").exists()


def test_the_same_sources_reached_through_a_link_are_its_own(worktree: Path) -> None:
    (worktree / "src").symlink_to(PACKAGE.parent)
    assert "config.yaml" in refusal(worktree, "-m", "snakemake")  # the next thing that is missing

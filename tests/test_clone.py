"""A clone has the same bytes on every machine, whatever its git does with the ends of lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY

BINARY = {".parquet", ".pdf", ".png", ".safetensors"}


def git(*arguments: str | Path, folder: Path = REPOSITORY) -> bytes:
    return subprocess.run(["git", *map(str, arguments)], cwd=folder, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clones of what is committed: with git's setting for Windows, and without."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("these sources are no git repository")
    folder = tmp_path_factory.mktemp("clones")
    for name, setting in (("converted", "true"), ("plain", "false")):
        git(
            "clone",
            "--quiet",
            "--no-local",
            "--depth=1",
            "-c",
            f"core.autocrlf={setting}",
            REPOSITORY.as_uri(),
            folder / name,
        )
    return folder / "converted", folder / "plain"


def test_a_clone_on_windows_has_the_same_bytes(clones: tuple[Path, Path]) -> None:
    converted, plain = clones
    names = git("ls-files", "-z", folder=plain).decode().split("\0")[:-1]
    assert len(names) > 100
    assert [name for name in names if (converted / name).read_bytes() != (plain / name).read_bytes()] == []


def test_no_source_has_a_carriage_return(clones: tuple[Path, Path]) -> None:
    for folder in clones:
        names = git("ls-files", "-z", folder=folder).decode().split("\0")[:-1]
        sources = [name for name in names if Path(name).suffix not in BINARY]
        assert [name for name in sources if b"\r" in (folder / name).read_bytes()] == []

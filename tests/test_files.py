"""Atomic writes, checksums, and the streams of randomness."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from robustrepro.errors import UserError
from robustrepro.files import atomic_path, sha256_of, write_text
from robustrepro.seeds import derive_seed


def test_text_arrives_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    write_text(path, "θ ≥ 0\n")
    assert path.read_bytes() == "θ ≥ 0\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_being_written_is_hidden_under_a_name_that_no_run_takes_for_an_output(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "file.txt") as partial:
        partial.write_text("new")
        assert not (tmp_path / "file.txt").exists()
        assert partial.parent == tmp_path
        assert partial.name.endswith(".partial")
    assert (tmp_path / "file.txt").read_text() == "new"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="the disk is full; nothing was written") as caught:
        write_text(tmp_path / "file.txt", "text")
    assert str(tmp_path / "file.txt") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_another_failure_of_the_disk_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "file.txt", "text")


def test_bytes_reach_the_disk_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file.txt", []
    flush = os.fsync

    def spy(descriptor: int) -> None:
        seen.append(path.exists())
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    write_text(path, "text")
    assert seen == [False]


def test_checksums_are_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_streams_differ_by_seed_purpose_and_indices() -> None:
    streams: list[tuple[int, str, tuple[int, ...]]] = [
        (0, "weights", ()),
        (1, "weights", ()),
        (0, "data order", (1,)),
        (0, "data order", (2,)),
        (0, "data order", (1, 2)),
        (0, "data order", (2, 1)),
        (0, "data order", (12,)),
        (0, "attack start", (1,)),
        (1, "0", (2,)),
        (1, "0 2", ()),
    ]
    seeds = {derive_seed(seed, purpose, *indices) for seed, purpose, indices in streams}
    assert len(seeds) == len(streams)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_never_change() -> None:
    # Every recorded number depends on these.
    assert derive_seed(0, "weights") == 7831180306208225803
    assert derive_seed(3, "attack start", 7, 1) == 372124305161629730


def test_a_file_has_the_permissions_that_new_files_have(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with atomic_path(tmp_path / "weights") as partial:
            partial.touch(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "weights").stat().st_mode & 0o777 == 0o644

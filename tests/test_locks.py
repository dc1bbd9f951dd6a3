"""Locks that are released when their holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robustrepro.errors import UserError
from robustrepro.locks import lock_path, writing
from robustrepro.spec.records import unrecorded_outputs

# Locks an output, says so, and goes on until it is killed or told to end.
HOLDER = """
import sys
from pathlib import Path
from robustrepro.locks import writing
with writing(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def holder_of(output: Path) -> subprocess.Popen[str]:
    """Start a process that writes an output, and return when it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, output], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_an_output_that_a_living_process_writes_is_refused_with_its_process_id(tmp_path: Path) -> None:
    output = tmp_path / "measurements/clean/seed0.parquet"
    with holder_of(output) as holder:
        for _ in range(2):  # asking changes nothing
            with pytest.raises(UserError, match=f"process {holder.pid} is writing this output; wait for it or stop it"):
                writing(output).__enter__()
        with writing(output.with_name("seed1.parquet")) as held:
            assert held
        holder.communicate()
    with writing(output) as held:
        assert held
    assert list(output.parent.iterdir()) == []


def test_an_output_of_a_killed_process_is_free_and_its_lock_no_stranger(tmp_path: Path) -> None:
    output = tmp_path / "measurements/clean/seed0.parquet"
    with holder_of(output) as holder:
        holder.send_signal(signal.SIGKILL)
    assert lock_path(output).exists()
    assert unrecorded_outputs(tmp_path) == []
    with writing(output) as held:
        assert held


def test_a_lock_is_not_taken_on_a_file_that_its_last_holder_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    opened = os.open

    def opened_just_before_the_end(path: Path, flags: int, mode: int = 0o777) -> int:
        monkeypatch.setattr("robustrepro.locks.os.open", opened)
        descriptor = opened(path, flags, mode)
        path.unlink()
        return descriptor

    monkeypatch.setattr("robustrepro.locks.os.open", opened_just_before_the_end)
    with writing(output), pytest.raises(UserError, match="is writing this output"):
        writing(output).__enter__()


def test_without_locks_an_output_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", missing)
    with writing(tmp_path / "out") as held:
        assert not held
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_named_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "measurements").touch()
    output = tmp_path / "measurements/seed0.parquet"
    with pytest.raises(UserError, match=f"{output.parent}: cannot be written"):
        writing(output).__enter__()

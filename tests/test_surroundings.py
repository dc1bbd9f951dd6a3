"""What a run sets around its steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robustrepro.surroundings import FREED_MEMORY, LOCKS, clear_stale_lock, keep_freed_memory

# Allocates and frees twelve megabytes fifty times, as a training does; prints how many pages it faulted in.
CHURN = """
import resource
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(64 * 2**20)
before = faults()
for _ in range(50):
    tensors = [bytearray(b"x") * (3 * 2**20) for _ in range(4)]
    del tensors
print(faults() - before)
"""

# A run that holds its lock and has started a process that outlives it.
RUN = """
import subprocess, sys, time
from robustrepro.surroundings import clear_stale_lock
lock = clear_stale_lock()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
print(lock is not None, child.pid, flush=True)
time.sleep(60)
"""


def unset(monkeypatch: pytest.MonkeyPatch, *variables: str) -> None:
    """Take variables out of the environment, and whatever the test makes of them afterwards."""
    for variable in variables:
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)


def page_faults() -> int:
    done = subprocess.run([sys.executable, "-c", CHURN], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the variables are those of glibc")
def test_steps_do_not_fetch_the_memory_that_they_freed_from_the_system_again(monkeypatch: pytest.MonkeyPatch) -> None:
    unset(monkeypatch, *FREED_MEMORY)
    usual = page_faults()
    keep_freed_memory()
    assert page_faults() < 20_000 < usual


def test_what_the_environment_says_of_memory_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "7")
    unset(monkeypatch, *(FREED_MEMORY.keys() - {"MALLOC_TRIM_THRESHOLD_"}))
    keep_freed_memory()
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "7"
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == str(32 * 2**20)


@pytest.fixture
def stale_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    LOCKS.mkdir(parents=True)
    lock = LOCKS / "0.output.lock"
    lock.write_text("results/quick/scorecard.csv\n")
    return lock


def test_a_stale_lock_is_cleared_and_a_living_runs_lock_is_left_alone(stale_lock: Path) -> None:
    living = clear_stale_lock()
    assert living is not None
    assert not stale_lock.exists()
    stale_lock.write_text("results/quick/scorecard.csv\n")
    assert clear_stale_lock() is None
    assert stale_lock.exists()
    living.release()
    assert clear_stale_lock() is not None
    assert not stale_lock.exists()


def test_the_lock_of_a_run_is_released_when_it_is_killed_even_if_what_it_started_lives(stale_lock: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        holds, child = run.stdout.readline().split()
        stale_lock.write_text("results/quick/scorecard.csv\n")
        try:
            assert (holds, clear_stale_lock(), stale_lock.exists()) == ("True", None, True)
            run.kill()
            run.wait()
            assert Path("/proc", child).exists() or sys.platform != "linux"
            assert clear_stale_lock() is not None
        finally:
            os.kill(int(child), signal.SIGKILL)
    assert not stale_lock.exists()

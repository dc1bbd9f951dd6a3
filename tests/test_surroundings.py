"""What a run sets around its steps."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from warm_steps import eventually

from robustrepro.locks import among_the_living
from robustrepro.surroundings import FREED_MEMORY, LOCKS, keep_bytecode, keep_freed_memory

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

# Prints so much of its one job that a reader of `snakemake -n -p` who has not read it all holds Snakemake up. The job
# lasts until it is told to end.
SNAKEFILE = """
from robustrepro.surroundings import clear_stale_locks_before_running
clear_stale_locks_before_running(workflow)
rule one:
    output: "one"
    shell: "touch begun; until [ -e end ]; do sleep 0.02; done; touch one # " + "x" * 200_000
rule two:
    output: "two"
    shell: "touch two"
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


def test_steps_keep_what_they_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    keep_bytecode()
    writes = subprocess.run(
        [sys.executable, "-c", "import sys; print(not sys.dont_write_bytecode)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert writes.stdout == "True\n"


def test_what_the_environment_says_of_memory_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "7")
    unset(monkeypatch, *(FREED_MEMORY.keys() - {"MALLOC_TRIM_THRESHOLD_"}))
    keep_freed_memory()
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "7"
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == str(32 * 2**20)


@pytest.fixture
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a workflow of two jobs."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stale_lock(workflow: Path) -> Path:
    """The lock that a killed run left behind."""
    lock = workflow / LOCKS / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("one\ntwo\n")
    return lock


def snakemake(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit status of a run and what it says."""
    output, _ = run.communicate(timeout=60)
    return run.returncode, output


def test_a_dry_run_that_is_left_open_does_not_let_a_third_run_start_beside_the_second(workflow: Path) -> None:
    dry = snakemake("-n", "-p", "one")
    assert dry.stdout is not None
    assert dry.stdout.read(1)
    second = snakemake("one")
    assert eventually((workflow / "begun").exists, seconds=60)
    assert dry.poll() is None
    dry.stdout.close()
    dry.wait(60)
    status, output = ended(snakemake("one"))
    assert (status, "Directory cannot be locked" in output) == (1, True)
    (workflow / "end").touch()
    assert ended(second)[0] == 0


def test_a_run_clears_the_lock_of_a_killed_one_and_whoever_only_looks_leaves_it(
    workflow: Path, stale_lock: Path
) -> None:
    lookers = [("-n", "two"), ("--list",), ("--summary",), ("--dag", "two"), ("--lint",)]
    job = ("--mode", "subprocess", "--nolock", "--force", "two")
    for run in [snakemake(*arguments) for arguments in (*lookers, job)]:
        ended(run)
    assert (workflow / "two").exists()  # by the job, which belongs to another run
    assert stale_lock.exists()
    status, output = ended(snakemake("--force", "two"))
    assert status == 0, output
    assert not stale_lock.exists()


def test_a_killed_run_bars_no_other_even_if_what_it_started_lives(workflow: Path) -> None:
    run = snakemake("one")
    assert eventually((workflow / "begun").exists, seconds=60)
    run.kill()
    run.wait()
    assert list((workflow / LOCKS).glob("*.lock"))
    (workflow / "begun").unlink()
    again = snakemake("--rerun-incomplete", "one")
    assert eventually((workflow / "begun").exists, seconds=60)
    (workflow / "end").touch()
    assert ended(again)[0] == 0


def test_a_run_beside_another_one_keeps_its_locks_when_the_first_ends(tmp_path: Path) -> None:
    lock, cleared = tmp_path / "living.lock", []
    with ExitStack() as second:
        with among_the_living(lock, lambda: cleared.append("first")):
            second.enter_context(among_the_living(lock, lambda: cleared.append("second")))
        with among_the_living(lock, lambda: cleared.append("third")):
            pass
    with among_the_living(lock, lambda: cleared.append("fourth")):
        pass
    assert cleared == ["first", "fourth"]


def test_without_locks_or_a_file_for_one_a_run_goes_on_and_clears_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with among_the_living(tmp_path / "file/living.lock", lambda: pytest.fail("cleared")):
        pass

    def missing(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", missing)
    with among_the_living(tmp_path / "living.lock", lambda: pytest.fail("cleared")):
        pass

"""What a run sets around its steps."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from robustrepro.spec.surroundings import FREED_MEMORY, keep_freed_memory

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


def test_what_the_environment_says_of_memory_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "7")
    unset(monkeypatch, *(FREED_MEMORY.keys() - {"MALLOC_TRIM_THRESHOLD_"}))
    keep_freed_memory()
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "7"
    assert os.environ["MALLOC_MMAP_THRESHOLD_"] == str(32 * 2**20)

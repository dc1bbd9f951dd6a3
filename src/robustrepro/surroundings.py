"""What a run needs around it: its own interpreter, its memory, no lock left by a killed run."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

from filelock import FileLock

from robustrepro.spec.sources import STATE, keep_digests, state_of_the_sources

LOCKS = Path(".snakemake/locks")
LIVING = Path(".snakemake/living.lock")
"""Locked by a run as long as it lives; the lock is released when the process ends, however it ends."""

FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,  # the largest that glibc accepts
    "MALLOC_TRIM_THRESHOLD_": 2**30,
    "MALLOC_TOP_PAD_": 64 * 2**20,
}
"""In bytes: what is allocated by itself, how much may lie unused, and how much is asked for at a time."""


def clear_stale_lock() -> FileLock | None:
    """Remove the lock that a killed run left behind in the working directory.

    Returns
    -------
    The lock of this run, held for as long as the object is kept; None if another run lives, whose lock is left alone.
    """
    LIVING.parent.mkdir(exist_ok=True)
    living = FileLock(LIVING, timeout=0, fallback_to_soft=False)
    try:
        living.acquire()
    except OSError:  # a Timeout, or a file system without locks
        return None
    for lock in LOCKS.glob("*.lock"):
        lock.unlink()
    return living


def note_sources() -> None:
    """Tell the steps the state of the sources before their digests are computed, and keep those for the next run."""
    os.environ[STATE] = state_of_the_sources()
    atexit.register(keep_digests)


def plan_without_pandas() -> None:
    """Keep this process, which plans and schedules, from importing pandas.

    Where pandas is installed, Snakemake imports it to compare parameters that are data frames: half a second of every
    start, and ours are text. ``None`` in ``sys.modules`` is Python's way of saying that a module is not there.
    """
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]


def use_own_interpreter() -> None:
    """Let jobs find this interpreter as ``python``, whether or not its environment was activated.

    Their commands name no path, since a path of this machine would make every job rerun on another one.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def keep_freed_memory() -> None:
    """Let steps keep the memory that they free, instead of giving it back to the system and asking for it again.

    After the first large tensor, glibc returns every batch's activations to the system: each step of a training then
    takes 80,000 page faults a second, a quarter of its processor time. Its own variables turn that off; what the
    environment says already takes precedence.
    """
    for variable, size in FREED_MEMORY.items():
        os.environ.setdefault(variable, str(size))

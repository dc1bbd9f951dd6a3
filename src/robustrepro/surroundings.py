"""What a run needs around it: its own interpreter, its memory, no lock left by a killed run."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustrepro.locks import among_the_living
from robustrepro.spec.sources import STATE, keep_digests, state_of_the_sources

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

LOCKS = Path(".snakemake/locks")
LIVING = Path(".snakemake/living.lock")
"""Held by every run as long as it lives: Snakemake's own locks stay when a run is killed."""

FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,  # the largest that glibc accepts
    "MALLOC_TRIM_THRESHOLD_": 2**30,
    "MALLOC_TOP_PAD_": 64 * 2**20,
}
"""In bytes: what is allocated by itself, how much may lie unused, and how much is asked for at a time."""


def clear_stale_locks_before_running(workflow: Workflow) -> None:
    """Let a run remove Snakemake's locks of killed runs before it starts, unless another run lives.

    Only what executes jobs here counts as a run. What merely looks (a dry run, ``--list``, ``--summary``), and a job
    that Snakemake starts through itself (``--nolock``), such as on a node of a cluster, holds no lock and removes none.
    """
    execute = workflow.execute

    def execute_as_a_run(*, executor_plugin: Any, **settings: Any) -> Any:
        only_looks = executor_plugin.common_settings.dryrun_exec
        is_run = workflow.execution_settings.lock and not only_looks
        with among_the_living(LIVING, _remove_locks) if is_run else nullcontext():
            return execute(executor_plugin=executor_plugin, **settings)

    workflow.execute = execute_as_a_run


def _remove_locks() -> None:
    for lock in LOCKS.glob("*.lock"):
        lock.unlink(missing_ok=True)


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


def keep_bytecode() -> None:
    """Let steps keep the compiled form of this library's sources, whatever the environment says.

    Images of containers like to switch that off; then every job compiles sixty files again, a sixth of its time.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def keep_freed_memory() -> None:
    """Let steps keep the memory that they free, instead of giving it back to the system and asking for it again.

    After the first large tensor, glibc returns every batch's activations to the system: each step of a training then
    takes 80,000 page faults a second, a quarter of its processor time. Its own variables turn that off; what the
    environment says already takes precedence.
    """
    for variable, size in FREED_MEMORY.items():
        os.environ.setdefault(variable, str(size))

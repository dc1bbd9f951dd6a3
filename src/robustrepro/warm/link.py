"""What the two sides of a warm start share: when one process can stand for another, and how a step is ended."""

# pathlib would take longer to import than all the rest
# ruff: noqa: PTH112, PTH115, PTH116, PTH123

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

VARIABLE = "ROBUSTREPRO_WARM"
"""Environment variable with the path of the server's socket, or ``off``."""

OFF = "off"

GRACE_SECONDS = 5.0
"""How long a step may take to end after SIGTERM before it is killed."""

# Libraries and the interpreter read these while they are imported or started, too early for a fork.
_READ_AT_IMPORT = (
    *("LANG", "LC_", "LD_", "HOME", "XDG_", "PYTHON", "TORCH", "PYTORCH_", "ARROW_", "KMP_", "GOMP_", "MPL", "NPY_"),
    *("PYDANTIC_", "TYPER_", "TERMINAL_WIDTH", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "PANDAS_"),
)


def circumstances() -> str:
    """Return what must be the same for two processes, so that a fork of one can stand for the other.

    That is the interpreter, the variables that are read at import, the packages installed, limits, priority, processor
    cores, control group and namespaces (which differ in a cluster job or a container).
    """
    packages = [folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))]
    variables = [pair for pair in os.environ.items() if pair[0].startswith(_READ_AT_IMPORT) and pair[0] != "PYTHONPATH"]
    with open("/proc/self/cgroup", encoding="utf-8") as stream:
        control_group = stream.read()
    compared = [
        (sys.prefix, sys.version, sorted(variables)),
        [(folder, os.stat(folder).st_mtime_ns) for folder in packages if os.path.isdir(folder)],
        [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")],
        (os.nice(0), sorted(os.sched_getaffinity(0)), control_group),
        [os.readlink(f"/proc/self/ns/{name}") for name in ("ipc", "mnt", "net", "pid", "user", "uts")],
    ]
    return ascii(compared)


def signal_step(leader: int, handle: int, number: int) -> None:
    """Send a signal to a step and to everything that it has started.

    ``leader`` is its process id, which is that of its session, and ``handle`` the descriptor (pidfd) of that process.
    """
    import psutil  # type: ignore[import-untyped]  # rarely needed by a client

    descendants = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        descendants = {process.pid for process in psutil.Process(leader).children(recursive=True)}
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
            if process.pid in descendants or (process.pid != leader and os.getsid(process.pid) == leader):
                process.send_signal(number)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)


def end_as(code: int) -> None:
    """End this process at once, with an exit code or by a signal, whose number is given as a negative one."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core file, or no second one
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)

"""What the two sides of a warm start share: messages, signals to a step, and when one process can stand for another."""

# pathlib would take longer to import than all the rest
# ruff: noqa: PTH115, PTH123, PTH208

from __future__ import annotations

import _socket  # socket itself imports more than all the rest of a client
import contextlib
import marshal
import os
import resource
import signal
import struct
import sys
from array import array

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

VARIABLE = "ROBUSTREPRO_WARM"
"""Environment variable with the path of the server's socket, or ``off``."""

OFF = "off"

GRACE_SECONDS = 5.0
"""How long a step may take to end after SIGTERM before it is killed."""

# Libraries and the interpreter read these while they are imported or started, too early for a forked child.
_READ_AT_IMPORT = (
    *("LANG", "LC_", "LD_", "HOME", "XDG_", "PYTHON", "TORCH", "PYTORCH_", "ARROW_", "KMP_", "GOMP_", "MPL", "NPY_"),
    *("PYDANTIC_", "TYPER_", "TERMINAL_WIDTH", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"),
)


def circumstances() -> list[Any]:
    """Return what must be the same for two processes, so that a fork of one can stand for the other.

    Returns
    -------
    The interpreter and its options; the packages installed; the environment variables that are read at import; limits,
    priority, processor cores, control group and namespaces (which differ in a cluster job or a container).
    """
    packages = [
        (entry.path, entry.stat().st_mtime_ns)
        for folder in sys.path
        if folder.endswith(("site-packages", "dist-packages"))
        for entry in os.scandir(folder)
        if entry.name.endswith((".dist-info", ".egg-info", ".pth"))
    ]
    variables = [(name, value) for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)]
    with open("/proc/self/cgroup", encoding="utf-8") as stream:
        control_group = stream.read()
    return [
        (sys.prefix, sys.version, tuple(sys.flags), tuple(sys.warnoptions), sorted(sys._xoptions.items())),
        sorted(packages),
        sorted(variable for variable in variables if variable[0] != "PYTHONPATH"),
        [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")],
        (os.nice(0), sorted(os.sched_getaffinity(0)), control_group),
        [os.readlink(f"/proc/self/ns/{name}") for name in ("ipc", "mnt", "net", "pid", "user", "uts")],
    ]


def send(connection: _socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send a message made of plain Python values, and open files with it."""
    content = marshal.dumps(message)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
    connection.sendmsg([struct.pack("!Q", len(content))], ancillary)
    connection.sendall(content)


def receive(connection: _socket.socket) -> tuple[Any, list[int]]:
    """Receive a message and the open files that came with it.

    Raises
    ------
    EOFError
        If the other side closed the connection instead.
    """
    descriptors = array("i")
    header, ancillary, _, _ = connection.recvmsg(8, _socket.CMSG_SPACE(3 * descriptors.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    content = bytearray()
    while len(header) < 8 or len(content) < struct.unpack("!Q", header)[0]:
        part = connection.recv(1 << 16) if len(header) == 8 else b""
        if not part:
            raise EOFError("the connection was closed")
        content += part
    return marshal.loads(content), list(descriptors)


def peer_user(connection: _socket.socket) -> int:
    """Return the user id of the process at the other end."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def signal_step(leader: int, handle: int, number: int) -> None:
    """Send a signal to a step and to everything that it has started.

    Parameters
    ----------
    leader
        Process id of the step, which leads a session of its own.
    handle
        Descriptor (pidfd) of that process, which cannot mean another one.
    number
        The signal.
    """
    relations: dict[int, tuple[int, int]] = {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                with open(f"/proc/{name}/stat", "rb") as stream:
                    _, parent, _, session, *_ = stream.read().rpartition(b")")[2].split()
                relations[int(name)] = int(parent), int(session)
    found = {leader}
    while more := {key for key, pair in relations.items() if key not in found and (pair[0] in found or leader in pair)}:
        found |= more
    for process in found - {leader}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, number)

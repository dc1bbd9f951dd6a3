"""The client of a warm start: hands this process's command over, and ends as the step ended."""

# pathlib would take longer to import than all the rest
# ruff: noqa: PTH109, PTH119, PTH208

from __future__ import annotations

import _socket
import contextlib
import io
import os
import resource
import select
import signal
import sys

from robustrepro.warm.link import OFF, VARIABLE, circumstances, peer_user, receive, send, signal_step

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any, NoReturn

READY_SECONDS = 30.0
"""How long a client waits for a server that is still importing: longer, and its own process would be quicker."""

_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT)
_FORWARDED = (*_FROM_TERMINAL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def hand_over() -> int | None:
    """Run this very command in the warm server that the environment names.

    Returns
    -------
    The wait status of the step, for `end_as`; None if the command is to run in this process.
    """
    address = os.environ.get(VARIABLE, OFF)
    if address == OFF:
        return None
    del os.environ[VARIABLE]  # the step must not hand itself over again
    with contextlib.closing(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)) as connection:
        try:
            request = _request()
            connection.settimeout(READY_SECONDS)
            connection.connect(address)
            greeting, _ = receive(connection)
            if request is None or peer_user(connection) != os.getuid() or not _suits(greeting):
                return None
            child, handle = greeting["process"], os.pidfd_open(greeting["process"])
        except (OSError, EOFError):
            return None
        with _signals_forwarded(child, handle) as forwarded:
            try:
                send(connection, request, [0, 1, 2])
                connection.settimeout(None)
                status, _ = receive(connection)
            except (OSError, EOFError):
                signal_step(child, handle, signal.SIGKILL)
                select.select([handle], [], [])  # two of the same step must not write side by side
                status = forwarded[-1] if forwarded else None
    os.close(handle)
    return None if status is None else int(status)


def end_as(status: int) -> NoReturn:
    """End this process as another one ended: with the same exit code, or by the same signal.

    Parameters
    ----------
    status
        Wait status, as from ``os.waitpid``.
    """
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the step has left its core file already
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code if code >= 0 else 128 - code)


def _request() -> dict[str, Any] | None:
    """Return what the child needs to become this process; None if it cannot."""
    specification = sys.modules["__main__"].__spec__
    module = specification.name if specification else None
    if module != "robustrepro.__main__" and (module or os.path.basename(sys.argv[0]) != "robustrepro"):
        return None  # called from another program, which the child would not be
    standard = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    streams = [stream for stream in standard if isinstance(stream, io.TextIOWrapper)]
    if len(streams) < 3:
        return None  # started with a closed one
    mask = os.umask(0)
    os.umask(mask)
    return {
        "module": module is not None,
        "arguments": sys.argv,
        "original_arguments": sys.orig_argv,
        "path": sys.path,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": mask,
        "streams": [(each.encoding, each.errors, each.line_buffering, each.write_through) for each in streams],
    }


def _suits(greeting: dict[str, Any]) -> bool:
    """Tell whether a child of this server has imported what this process would have imported."""
    if greeting["circumstances"] != circumstances() or not set(greeting["folders"]) <= set(sys.path):
        return False
    from importlib.machinery import PathFinder

    for folder in set(sys.path) - set(greeting["path"]):
        with contextlib.suppress(FileNotFoundError):
            names = {name.partition(".")[0] for name in os.listdir(folder)}
            for name in names & set(greeting["modules"]):
                specification = PathFinder.find_spec(name, [folder])
                if specification and specification.loader:
                    return False  # this folder holds another version of a preloaded module
    return True


@contextlib.contextmanager
def _signals_forwarded(child: int, handle: int) -> Iterator[list[int]]:
    """Pass signals on to the step; yields the list of those that asked it to end.

    What a terminal sends goes to the step's whole process group, as a terminal would have sent it.
    """
    forwarded: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if number not in (signal.SIGCONT, signal.SIGTSTP):
            forwarded.append(number)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, 0)  # fails once the step has ended, when its id may be another's
            if number == signal.SIGTSTP:
                os.killpg(child, signal.SIGSTOP)  # a session without a terminal ignores SIGTSTP
            elif number in _FROM_TERMINAL:
                os.killpg(child, number)
            else:
                signal.pidfd_send_signal(handle, number)
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    before = {number: signal.getsignal(number) for number in _FORWARDED}
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, forward)
    try:
        yield forwarded
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)

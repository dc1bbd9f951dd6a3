"""The client of a warm start: hands this process's command over, whatever it is, and learns how it ended."""

# pathlib would take longer to import than all the rest
# ruff: noqa: PTH109, PTH116, PTH119

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType

from robustrepro.warm.link import OFF, VARIABLE, circumstances, signal_step

READY_SECONDS = 30.0
"""How long a client waits for a server that is still importing: longer, and its own process would be quicker."""

_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGCONT)
_FORWARDED = (*_FROM_TERMINAL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def hand_over() -> int | None:
    """Run this very command in the warm server that the environment names.

    Returns
    -------
    The exit code of the step, or the negated number of the signal that ended it; None if the command is to run in
    this process.
    """
    address = os.environ.get(VARIABLE, OFF)
    if address == OFF:
        return None
    del os.environ[VARIABLE]  # the step must not hand itself over again
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as answers:
        try:
            if not _is_the_command() or os.stat(address).st_uid != os.getuid():
                return None
            connection.settimeout(READY_SECONDS)
            connection.connect(address)
            process = int(answers.readline())
            handle = os.pidfd_open(process)  # it waits for the request, so that the id is still its own
        except (OSError, ValueError):
            return None
        with _signals_forwarded(process, handle) as forwarded:
            try:
                socket.send_fds(connection, [b"\n"], [0, 1, 2])
                connection.sendall(ascii(_request()).encode())
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(None)
                answer = answers.readline().decode().strip()
            except OSError:
                answer = ""
            if not answer:  # the server was killed
                signal_step(process, handle, signal.SIGKILL)
                select.select([handle], [], [])  # two of the same step must not write side by side
                answer = str(-forwarded[-1]) if forwarded else "refused"
    os.close(handle)
    return None if answer == "refused" else int(answer)


def _is_the_command() -> bool:
    """Tell whether a fork of the server can become this process.

    That is ``python -m robustrepro`` or the script ``robustrepro``, without options of the interpreter, with all
    standard streams, and not called from another program.
    """
    way_in = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    is_ours = way_in == ["-m", "robustrepro"] or [os.path.basename(part) for part in way_in] == ["robustrepro"]
    return is_ours and None not in (sys.stdin, sys.stdout, sys.stderr)


def _request() -> dict[str, object]:
    """Return what a fork needs to become this process."""
    mask = os.umask(0)
    os.umask(mask)
    return {
        "circumstances": circumstances(),
        "arguments": sys.argv,
        "original_arguments": sys.orig_argv,
        "path": sys.path,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": mask,
        "ignored": [int(number) for number in _FORWARDED if signal.getsignal(number) == signal.SIG_IGN],
    }


@contextlib.contextmanager
def _signals_forwarded(process: int, handle: int) -> Iterator[list[int]]:
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
                os.killpg(process, signal.SIGSTOP)  # a session without a terminal ignores SIGTSTP
            elif number in _FROM_TERMINAL:
                os.killpg(process, number)
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

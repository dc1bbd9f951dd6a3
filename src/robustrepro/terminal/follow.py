"""Starts Snakemake, keeps its output in a log, and passes signals and events between it and this process."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from robustrepro.terminal.events import VARIABLE, Event, read_events

LOGS = Path(".snakemake/log")
"""Where Snakemake keeps its own logs, too."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
TO_THE_GROUP = frozenset({signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
"""What a terminal sends to every process of a run."""
SECONDS_BETWEEN_LOOKS = 0.2
Command = Sequence[str]


@dataclass(frozen=True)
class Ended:
    """How Snakemake ended.

    Attributes
    ----------
    status
        Its exit status, or the negated number of the signal that ended it.
    log
        The file with all that it and its jobs wrote.
    interrupted
        Whether this process was asked to end meanwhile.
    """

    status: int
    log: Path
    interrupted: bool


def snakemake_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs Snakemake with this interpreter; no folder of the project hides a library."""
    return [sys.executable, "-P", "-m", "snakemake", *arguments]


def follow(command: Command, take: Callable[[Event | None], None]) -> Ended:
    """Run a command that tells its events, to its end.

    It runs in a process group of its own. What a terminal would have sent to all of it is sent to that group, and what
    was sent to this process alone to that process alone; both stop and continue together.

    Parameters
    ----------
    command
        What to run.
    take
        Called with each event, and with None now and then.
    """
    log = _new_log()
    reading, writing = os.pipe()
    try:
        environment = {**os.environ, VARIABLE: str(writing)}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[writing],
                process_group=0,
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe, _signals_passed_to(process) as received:
        _take_events(pipe.fileno(), process, take)
        status = process.wait()
    return Ended(status, log, bool(received))


def _new_log() -> Path:
    LOGS.mkdir(parents=True, exist_ok=True)
    return LOGS / f"{time.strftime('%Y-%m-%dT%H%M%S')}.{os.getpid()}.run.log"


def _take_events(pipe: int, process: subprocess.Popen[bytes], take: Callable[[Event | None], None]) -> None:
    """Take events until the process has ended and the pipe is empty."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        is_open = True
        while True:
            has_ended = process.poll() is not None
            read = b""
            if is_open and selector.select(0 if has_ended else SECONDS_BETWEEN_LOOKS):
                read = os.read(pipe, 1 << 16)
                is_open = bool(read)
                if not is_open:
                    selector.unregister(pipe)
            elif not is_open and not has_ended:
                time.sleep(SECONDS_BETWEEN_LOOKS)
            *lines, rest = (rest + read).split(b"\n")
            for event in read_events(iter(lines)):
                take(event)
            take(None)
            if has_ended and not read:
                return


@contextmanager
def _signals_passed_to(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Pass signals on to a process meanwhile; yields the list of those that asked it to end."""
    received: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        received.append(number)
        if number in TO_THE_GROUP:
            _send_to_group(process, number)
        else:
            process.send_signal(number)

    def stop(_number: int, _: FrameType | None) -> None:
        _send_to_group(process, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        _send_to_group(process, signal.SIGCONT)

    handlers: Mapping[int, Callable[[int, FrameType | None], None]] = {
        **dict.fromkeys(ENDING, end),
        signal.SIGTSTP: stop,
    }
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        if before[number] != signal.SIG_IGN:  # as that of `nohup` is
            signal.signal(number, handler)
    try:
        yield received
    finally:
        for number, previous in before.items():
            if previous is not None:
                signal.signal(number, previous)


def _send_to_group(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)

"""What surrounds the work of a step: its sources are checked, its log written, its progress shown, its end clean."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from robustrepro import provenance
from robustrepro.errors import UserError
from robustrepro.locks import writing
from robustrepro.spec.sources import modules_from_outside, require_own_sources, require_unchanged

LOGGER = logging.getLogger("robustrepro")
SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Work:
    """What a step is asked to do.

    Attributes
    ----------
    spec
        The job's resolved spec, as plain data.
    code
        The digest of the sources that it runs.
    inputs
        Files by role, such as ``weights``.
    outputs
        The files to write, in the order of the rule.
    """

    spec: Mapping[str, Any]
    code: str
    inputs: Mapping[str, Sequence[Path]]
    outputs: Sequence[Path]


@contextmanager
def running(step: str, spec: str, code: str, log: Path | None, outputs: Sequence[Path]) -> Iterator[Any]:
    """Lock the job's outputs, check its sources, open its log, and yield its spec as plain data.

    A termination signal becomes a ``KeyboardInterrupt``, so that work which can be resumed is saved.

    Parameters
    ----------
    step
        The step's name.
    spec, code
        The two parameters that the rule was scheduled with.
    log
        Where every message also goes, with its time; none when run by hand.
    outputs
        The files to write, which no other process writes meanwhile.

    Raises
    ------
    UserError
        If another process is writing them, or what is asked for is not what would run.
    """
    require_own_sources()
    provenance.commit()  # what is committed from here on is not what runs
    with writing(outputs[0]) as locked, _logging(log):
        previous = signal.signal(signal.SIGTERM, _interrupt)
        try:
            if not locked:
                LOGGER.warning("%s: not locked, since its file system has no locks; do not run it twice", outputs[0])
            resolved = _resolved(spec)
            require_unchanged(step, resolved["runs"], code)
            for module in modules_from_outside(resolved["runs"]):
                importlib.import_module(module)  # so that it registers what the spec names
            yield resolved
        except BaseException as error:
            LOGGER.info("stopped: %s", str(error) or type(error).__name__, extra={"only_in_log": True})
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)


@contextmanager
def _logging(log: Path | None) -> Iterator[None]:
    """Send messages to the terminal and to a log; one that cannot be written is said to be missing, and no more."""
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter("%(message)s"))
    terminal.addFilter(lambda record: not getattr(record, "only_in_log", False))
    handlers: list[logging.Handler] = [terminal]
    LOGGER.handlers[:] = handlers
    if log is not None:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            file = logging.FileHandler(log, mode="w", encoding="utf-8")
        except OSError as error:
            LOGGER.warning("%s: no log is kept, since it cannot be written (%s)", log, error.strerror)
        else:
            file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
            handlers.append(file)
    LOGGER.handlers[:] = handlers
    try:
        yield
    finally:
        for handler in handlers:
            with suppress(OSError):  # what a full disk did not take is tried once more
                handler.close()
        LOGGER.handlers.clear()


def _resolved(spec: str) -> dict[str, Any]:
    """Return a job's spec as plain data."""
    try:
        resolved = json.loads(spec)
    except ValueError as error:
        raise UserError(
            f"--spec: not JSON ({error}); take it from a rule's command, as `snakemake -np` prints it"
        ) from None
    if not isinstance(resolved, dict) or not isinstance(resolved.get("runs"), list):
        raise UserError(f"--spec: expected a mapping with a list under 'runs', found {spec[:80]}")
    return resolved


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class ProgressBar:
    """Progress of one step: a bar in a terminal, else a line now and then; every line in the log.

    ``ROBUSTREPRO_PROGRESS=lines`` asks for lines in a terminal, too: two bars of two jobs would overwrite each other.
    """

    def __init__(self, description: str, total: int, *, done: int = 0) -> None:
        self.done = done
        self._description, self._total = description, total
        self._spoke = time.monotonic()
        self._bar: RichProgress | None = None
        if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("ROBUSTREPRO_PROGRESS") != "lines":
            self._bar = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(description, total=total, completed=done, detail="")

    def __enter__(self) -> ProgressBar:
        if self._bar is not None:
            self._draw(self._bar.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._draw(self._bar.stop)

    def advance(self, steps: int, detail: str = "") -> None:
        """Say that ``steps`` more of the total are done."""
        self.done += steps
        line = f"{self._description}: {self.done} of {self._total}" + (f", {detail}" if detail else "")
        if self._bar is not None:
            self._draw(self._bar.update, self._task, advance=steps, detail=detail)
        shown_as_bar = self._bar is not None
        due = time.monotonic() - self._spoke >= SECONDS_BETWEEN_LINES or self.done >= self._total
        if due and not shown_as_bar:
            self._spoke = time.monotonic()
        LOGGER.info("%s", line, extra={"only_in_log": shown_as_bar or not due})

    def _draw(self, change: Callable[..., None], *arguments: Any, **options: Any) -> None:
        """Change the bar; where the terminal does not take it, as one that has hung up, lines take its place."""
        try:
            change(*arguments, **options)
        except Exception as error:  # it only shows what the work does, which goes on
            self._bar = None
            LOGGER.info("no bar is shown: %s", error, extra={"only_in_log": True})


class Progress:
    """The progress of a measurement, whose kind says how much there is to do.

    Parameters
    ----------
    description
        Of the measurement, for the bar and the log.
    """

    def __init__(self, description: str) -> None:
        self._description = description
        self._stack = ExitStack()
        self._bar: ProgressBar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def expect(self, total: int) -> None:
        """Show a bar for so much to do."""
        self._bar = self._stack.enter_context(ProgressBar(self._description, total))

    def advance(self, count: int, detail: str = "") -> None:
        """Say that ``count`` more of the total are done."""
        if self._bar is not None:
            self._bar.advance(count, detail)

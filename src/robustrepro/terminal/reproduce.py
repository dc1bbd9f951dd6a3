"""A run from its first line to its answer: Snakemake's output in a log, its state in a line, its outcome at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from robustrepro.errors import UserError
from robustrepro.scorecard.brief import brief
from robustrepro.terminal.costs import Costs, duration_in_words
from robustrepro.terminal.events import Event
from robustrepro.terminal.follow import Ended, follow, snakemake_command
from robustrepro.terminal.progress import ProgressLine, RunState
from robustrepro.words import plural

LAST_LINES = 10
"""How much of a log is shown of what failed."""
LONGEST_LINE = 300
Say = Callable[[str], None]


def reproduce(
    arguments: Sequence[str],
    say: Say,
    answer: Callable[[RunState], Sequence[str]] | None = None,
    costs: Costs | None = None,
) -> int:
    """Run Snakemake, show how far it is, and say what came of it.

    Parameters
    ----------
    arguments
        Snakemake's own.
    say
        Prints a line on standard output.
    answer
        Returns the last lines of a run that went well; when not given, what became of each paper, where that was asked
        for.
    costs
        What is known of how long jobs take, beside what is recorded where the run writes.

    Returns
    -------
    Snakemake's exit status, negated where a signal ended it.
    """
    state, shown, began = RunState(costs or Costs()), ProgressLine(), time.monotonic()

    def take(event: Event | None) -> None:
        if event is not None:
            state.take(event)
        shown.show(state.line)

    shown.show(state.line)
    ended = follow(snakemake_command(arguments), take)
    if not shown.in_place:
        shown.show(state.line, now=True)
    shown.clear()
    if ended.interrupted or ended.status:
        for line in what_stopped(state, ended):
            print(line, file=sys.stderr)  # noqa: T201  (the last of it is the last that is printed)
        return ended.status
    say(_done(state, time.monotonic() - began))
    for line in (answer or _brief)(state):
        say(line)
    return 0


def _done(state: RunState, seconds: float) -> str:
    if not state.total:
        return "Nothing to do: every result is up to date."
    return f"{plural(state.done, 'job')} in {duration_in_words(seconds)}."


def _brief(state: RunState) -> list[str]:
    """Return what became of each paper, where the run was asked for that."""
    if not state.answers:
        return []
    try:
        return brief(Path(state.folder))
    except UserError as error:  # a scorecard that cannot be shown fails no run
        return [str(error)]


def what_stopped(state: RunState, ended: Ended) -> Iterator[str]:
    """Yield what became of a run that did not end well: the most important last."""
    for failure in state.failures[:-1]:
        yield f"failed: {failure.name}; its log: {', '.join(map(str, failure.logs))}"
    if state.failures:
        failure = state.failures[-1]
        yield f"failed: {failure.name}"
        logs = [log for log in failure.logs if log.exists()] or [ended.log]
        for log in logs:
            yield from (f"    {line}" for line in last_lines(log))
        yield f"its log: {', '.join(map(str, logs))}"
    elif not ended.interrupted:
        told = state.error.strip().splitlines() or last_lines(ended.log)
        yield from (line[:LONGEST_LINE] for line in told)
    yield f"log of the run: {ended.log}"
    if ended.interrupted:
        done = f" after {state.done} of {state.total} jobs" if state.total else ""
        yield f"Interrupted{done}. Run the same command again to go on: what is done is kept."


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log, cut where they are long."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return [f"{log}: cannot be read ({error.strerror})"]
    return [line[:LONGEST_LINE] for line in text.splitlines() if line.strip()][-LAST_LINES:]

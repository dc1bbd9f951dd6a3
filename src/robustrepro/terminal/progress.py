"""The state of a run, in one line."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from robustrepro.terminal.costs import BENCHMARKS, Cost, Costs, duration_in_words
from robustrepro.terminal.events import Event

SECONDS_BETWEEN_LINES = 30.0
"""Where the line cannot be drawn over itself."""
SECONDS_BETWEEN_FRAMES = 0.5


@dataclass
class Failure:
    """A job that failed: its name, and the files of its log."""

    name: str
    logs: list[Path]


@dataclass
class RunState:
    """What is known of a run from its events.

    Attributes
    ----------
    total, done
        How many jobs there are, and are finished.
    running
        When each running job began, by its id.
    failures
        The jobs that failed, in their order.
    error
        Snakemake's own message about why it stopped; empty where it gave none.
    folder
        Where what the run makes lies; empty before the plan is made.
    answers
        Whether the run was asked for the scorecard of its scale.
    """

    costs: Costs = field(default_factory=Costs)
    clock: Callable[[], float] = time.monotonic
    total: int = 0
    done: int = 0
    cores: int = 1
    running: dict[int, float] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    error: str = ""
    folder: str = ""
    answers: bool = False
    _jobs: dict[int, Cost] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Bring the state up to date."""
        match event["event"]:
            case "plan":
                self.folder, self.answers = event["folder"], event["answers"]
            case "jobs":
                for job in event["jobs"]:
                    self._know(job)
                self.cores = event["cores"] or 1
                self.costs.read(cost.benchmark for cost in self._jobs.values())
                self.total = len(self._jobs)
            case "job_info":
                self._know(event)
                self.running[event["jobid"]] = self.clock()
            case "job_finished":
                self._finish(event["job_id"])
            case "job_error":
                self.running.pop(event["jobid"], None)
                self.failures.append(Failure(self.name(event["jobid"]), [Path(log) for log in event["log"] or []]))
            case "progress":
                self.done, self.total = event["done"], event["total"]
            case "error":
                self.error = event.get("message", "")

    def name(self, job: int) -> str:
        """Return what a job is called: ``train/mnist-lenet5-hrm/seed0``, the place of its benchmark and its log."""
        return self._names.get(job, f"job {job}")

    def line(self) -> str:
        """Return the state in one line: jobs done, time left, and what is running."""
        if not self.total:
            return "planning"
        parts = [f"{self.done} of {self.total} jobs done"]
        now = self.clock()
        waiting = [(cost, now - self.running.get(job, now)) for job, cost in self._jobs.items()]
        left = self.costs.together(waiting, self.cores)
        if left is not None and self.done < self.total:
            parts.append(f"about {duration_in_words(left)} left")
        if self.running:
            parts.append("running " + ", ".join(self.name(job) for job in self.running))
        return "; ".join(parts)

    def _know(self, job: Event) -> None:
        benchmark = Path(job["benchmark"]) if job.get("benchmark") else None
        self._jobs[job["jobid"]] = Cost(benchmark, int(job.get("threads") or 1))
        self._names[job["jobid"]] = _named(benchmark) if benchmark else str(job["rule_name"])

    def _finish(self, job: int) -> None:
        began, cost = self.running.pop(job, None), self._jobs.pop(job, None)
        if cost and cost.benchmark and began is not None:
            self.costs.note(cost.benchmark, self.clock() - began)


def _named(benchmark: Path) -> str:
    parts = benchmark.with_suffix("").parts
    return "/".join(parts[parts.index(BENCHMARKS) + 1 :] if BENCHMARKS in parts else parts[-1:])


class ProgressLine:
    """Shows the state of a run: a line that is drawn over itself in a terminal, else a line now and then."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._drawn = False
        self._last: float | None = None
        self._shown = ""
        self.in_place = self._stream.isatty()

    def show(self, line: Callable[[], str], *, now: bool = False) -> None:
        """Show a line, if one is due or it has to be shown ``now``; it is not made otherwise."""
        moment = self._clock()
        between = SECONDS_BETWEEN_FRAMES if self.in_place else SECONDS_BETWEEN_LINES
        if not now and self._last is not None and moment - self._last < between:
            return
        text = line()
        if text == self._shown:
            return
        self._last, self._shown = moment, text
        if self.in_place:
            width = shutil.get_terminal_size().columns
            shown = text if len(text) < width else f"{text[: width - 2]}…"
            self._write(f"\r\x1b[K{shown}")
            self._drawn = True
        else:
            self._write(f"{text}\n")

    def clear(self) -> None:
        """Take the line out of the terminal."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal is gone; the run goes on
            self.in_place = False

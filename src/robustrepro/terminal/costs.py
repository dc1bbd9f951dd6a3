"""How long jobs take, from the benchmarks that Snakemake has recorded of earlier ones."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = "benchmarks"
"""The folder of a scale whose files have the seconds that its jobs took."""


@dataclass(frozen=True)
class Cost:
    """What a job asks of the processor: its benchmark's file, and its threads."""

    benchmark: Path | None
    threads: int = 1


class Costs:
    """The seconds of jobs that are known, and what follows from them for others.

    A job that was never timed is expected to take what those did on average whose benchmarks lie nearest to its own:
    first those of the same model or measure, then those of the same kind of step, then all.
    """

    def __init__(self) -> None:
        self._seconds: dict[Path, float] = {}
        self._by_folder: dict[Path, tuple[float, int]] = {}  # seconds in all, and of how many jobs
        self._read: set[Path] = set()

    def read(self, benchmarks: Iterable[Path | None]) -> None:
        """Read what is recorded in the folders of these benchmarks, each once, before jobs begin to replace it."""
        for root in {_root(benchmark) for benchmark in benchmarks if benchmark} - self._read:
            self._read.add(root)
            for file in root.rglob("*.tsv"):
                seconds = _seconds_in(file)
                if seconds is not None:
                    self.note(file, seconds)

    def note(self, benchmark: Path, seconds: float) -> None:
        """Keep how long a job took."""
        self._seconds[benchmark] = seconds
        for folder in benchmark.parents:
            total, count = self._by_folder.get(folder, (0.0, 0))
            self._by_folder[folder] = total + seconds, count + 1
            if folder.name == BENCHMARKS:
                break

    def is_recorded(self, benchmark: Path | None) -> bool:
        """Tell whether this very job was timed."""
        return benchmark in self._seconds

    def expected(self, benchmark: Path | None) -> float | None:
        """Return how many seconds a job is expected to take; None where nothing like it was timed."""
        if benchmark is None:
            return 0.0  # a target without a command
        if benchmark in self._seconds:
            return self._seconds[benchmark]
        for folder in benchmark.parents:
            if known := self._by_folder.get(folder):
                return known[0] / known[1]
        return None

    def together(self, jobs: Iterable[tuple[Cost, float]], cores: int) -> float | None:
        """Return how many seconds jobs take together on so many cores; None where nothing like one of them was timed.

        Parameters
        ----------
        jobs
            Each with the seconds that it has run for already.
        cores
            How many there are. That some of them may idle is left out.
        """
        total = longest = 0.0
        for cost, elapsed in jobs:
            expected = self.expected(cost.benchmark)
            if expected is None:
                return None
            left = max(0.0, expected - elapsed)
            total += left * min(cost.threads, cores)
            longest = max(longest, left)
        return max(total / cores, longest)


def duration_in_words(seconds: float) -> str:
    """Return ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def _root(benchmark: Path) -> Path:
    """Return the folder ``benchmarks`` that a benchmark lies in."""
    return next((folder for folder in benchmark.parents if folder.name == BENCHMARKS), benchmark.parent)


def _seconds_in(file: Path) -> float | None:
    """Return the seconds in a benchmark; None where there are none."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            row = next(csv.DictReader(stream, delimiter="\t"), {})
        return float(row["s"])
    except (OSError, KeyError, TypeError, ValueError):
        return None

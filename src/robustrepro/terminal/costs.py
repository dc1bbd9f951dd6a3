"""How long jobs take, from the benchmarks that Snakemake has recorded of earlier ones."""

from __future__ import annotations

import csv
import json
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
    first those of the same model or measure, then those of the same kind of step, then all. A trial borrows what was
    recorded at its scale.
    """

    def __init__(self) -> None:
        self._seconds: dict[Path, float] = {}
        self._by_folder: dict[Path, tuple[float, int]] = {}  # seconds in all, and of how many jobs
        self._read: set[Path] = set()
        self._elsewhere: Costs | None = None

    def read(self, benchmarks: Iterable[Path | None]) -> None:
        """Read what is recorded in the folders of these benchmarks, each once, before jobs begin to replace it."""
        for root in {_root(benchmark) for benchmark in benchmarks if benchmark} - self._read:
            self._read.add(root)
            for file in root.rglob("*.tsv"):
                seconds = _seconds_in(file)
                if seconds is not None:
                    self.note(file, seconds)

    def borrow(self, own: Path, other: Path, epochs: int | None = None) -> None:
        """Take what is recorded of another scale's jobs for those of the same names that were never timed here.

        Parameters
        ----------
        own, other
            The two scales' folders, ``results/<scale>``.
        epochs
            How long every training lasts here, where that differs: a training is expected to take its share of the
            other's time. Where it is not known how many epochs the other took, its time is taken as it is.
        """
        self._elsewhere = Costs()
        for file in (other / BENCHMARKS).rglob("*.tsv"):
            seconds = _seconds_in(file)
            place = file.relative_to(other / BENCHMARKS)
            if seconds is None:
                continue
            if epochs is not None and place.parts[0] == "train":
                seconds *= epochs / (
                    _epochs_in(other / "models" / place.relative_to("train").with_suffix("")) or epochs
                )
            self._elsewhere.note(own / BENCHMARKS / place, seconds)

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
        if self._elsewhere and self._elsewhere.is_recorded(benchmark):
            return self._elsewhere.expected(benchmark)
        for folder in benchmark.parents:
            if known := self._by_folder.get(folder):
                return known[0] / known[1]
        return self._elsewhere.expected(benchmark) if self._elsewhere else None

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


def _epochs_in(model: Path) -> int | None:
    """Return how many epochs a model was trained for, as its card says; None where it does not."""
    try:
        card = json.loads((model / "card.json").read_text(encoding="utf-8"))
        return int(card["spec"]["training"]["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seconds_in(file: Path) -> float | None:
    """Return the seconds in a benchmark; None where there are none."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            row = next(csv.DictReader(stream, delimiter="\t"), {})
        return float(row["s"])
    except (OSError, KeyError, TypeError, ValueError):
        return None

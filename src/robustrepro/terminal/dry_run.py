"""What a run would do, and why, in ten lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from robustrepro.spec.records import notes_of_finished
from robustrepro.terminal.causes import causes
from robustrepro.terminal.costs import Cost, Costs, duration_in_words
from robustrepro.terminal.events import Event
from robustrepro.terminal.follow import follow, snakemake_command
from robustrepro.terminal.progress import RunState
from robustrepro.terminal.reproduce import what_stopped
from robustrepro.words import plural

LINES, COLUMNS = 10, 80
KINDS: Mapping[str, tuple[str, ...]] = {
    "data sets": ("data", "data_of_scale", "data_of_scale_test_only", "data_test_only"),
    "trainings": ("train", "derive"),
    "measurements": ("measure", "measure_shard", "gather"),
    "tables, figures": ("table", "figure", "search"),
    "verdicts, pages": ("audit", "scorecard", "summary", "page", "report"),
}
"""What a run makes, each with the rules that make it, in the order in which they run."""


@dataclass
class DryRun:
    """The jobs of a dry run, taken from its events.

    Attributes
    ----------
    cores
        How many processor cores a run would have.
    """

    cores: int
    costs: Costs = field(default_factory=Costs)
    folder: str = ""
    _jobs: dict[int, Event] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Take an event of the dry run."""
        if event["event"] == "plan":
            self.folder = event["folder"]
        elif event["event"] == "job_info" and event["benchmark"]:  # others are targets alone
            self._jobs[event["jobid"]] = event

    def lines(self) -> list[str]:
        """Return what would run, of which kinds, why, and how long that takes: at most ``LINES`` lines."""
        if not self._jobs:
            return ["Nothing to do: every result is up to date."]
        kinds = list(self._kinds())
        reasons = list(self._reasons(LINES - len(kinds) - 2))
        head = f"{self.folder}: {plural(len(self._jobs), 'job')} would run; {self._time()}"
        return [_cut(line) for line in (head, *kinds, *reasons, "Every job with Snakemake's reasons: snakemake -n")]

    def _time(self) -> str:
        """Return how long the jobs would take, and of how many that is not known."""
        jobs = [Cost(Path(job["benchmark"]), int(job["threads"])) for job in self._jobs.values()]
        self.costs.read(job.benchmark for job in jobs)
        seconds = self.costs.together([(job, 0.0) for job in jobs], self.cores)
        if seconds is None:
            return "no time recorded yet"
        guessed = sum(not self.costs.is_recorded(job.benchmark) for job in jobs)
        rest = f" ({guessed} of them never timed)" if guessed else ""
        return f"about {duration_in_words(seconds)} on {plural(self.cores, 'core')}{rest}"

    def _kinds(self) -> Iterator[str]:
        """Yield how many jobs of each kind there are, and of what."""
        for kind, rules in KINDS.items():
            jobs = [job for job in self._jobs.values() if job["rule_name"] in rules]
            if jobs:
                names = dict.fromkeys(_subject(job) for job in jobs)
                yield _listing(f"  {len(jobs):4} {kind:<15} ", list(names))

    def _reasons(self, most: int) -> Iterator[str]:
        """Yield the reasons that most jobs have, each with their number."""
        counts: Counter[str] = Counter()
        named: dict[str, list[str]] = defaultdict(list)
        notes = notes_of_finished()
        for job in self._jobs.values():
            for cause in causes(job, notes):
                counts[cause] += 1
                named[cause].append(_subject(job))
        shown = counts.most_common(most if len(counts) <= most else most - 1)
        for cause, _ in shown:
            yield _listing(f"  because {cause}: ", list(dict.fromkeys(named[cause])))
        if len(counts) > len(shown):
            yield f"  and {len(counts) - len(shown)} reasons more"


def _subject(job: Event) -> str:
    """Return what a job is about: the model, the measure, the table with its paper."""
    parts = Path(job["benchmark"]).with_suffix("").parts
    parts = parts[parts.index("benchmarks") + 1 :]
    if parts[0] == "papers":
        return "/".join((parts[1], *parts[-1:]))
    return parts[1] if len(parts) > 1 else parts[0]


def _listing(begin: str, names: Sequence[str]) -> str:
    """Return a line that names as many as fit, and how many there are more."""
    line = begin
    for place, name in enumerate(names):
        more = f", and {len(names) - place} more" if place else f"{len(names)} of them"
        addition = f", {name}" if place else name
        if len(line) + len(addition) + (len(f", and {len(names)} more") if place < len(names) - 1 else 0) > COLUMNS:
            return line + more
        line += addition
    return line


def _cut(line: str) -> str:
    return line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…"


def dry_run(arguments: Sequence[str], cores: int) -> tuple[int, list[str]]:
    """Let Snakemake say what it would run.

    Parameters
    ----------
    arguments
        Snakemake's own, without the number of cores.
    cores
        That number.

    Returns
    -------
    Snakemake's exit status, and what is said: where that is not 0, why it cannot tell.
    """
    seen, state = DryRun(cores), RunState()

    def take(event: Event | None) -> None:
        if event is not None:
            seen.take(event)
            state.take(event)

    ended = follow(snakemake_command(["--dry-run", "--cores", str(cores), *arguments]), take)
    return ended.status, list(what_stopped(state, ended)) if ended.status or ended.interrupted else seen.lines()

"""The state of a run in one line, and how long the rest takes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from robustrepro.terminal.costs import Cost, Costs, duration_in_words
from robustrepro.terminal.progress import SECONDS_BETWEEN_LINES, ProgressLine, RunState


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(benchmarks: Path, name: str, seconds: float) -> None:
    file = benchmarks / f"{name}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n", encoding="utf-8")


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmarks"
    for name, seconds in (("train/a/seed0", 100.0), ("train/a/seed1", 200.0), ("train/b/seed0", 30.0), ("page", 1.0)):
        record(folder, name, seconds)
    (folder / "train/broken.tsv").write_text("nothing\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("train/a/seed0", 100.0), ("train/a/seed2", 150.0), ("train/c/seed0", 110.0), ("measurements/m/a/seed0", 82.75)],
)
def test_a_job_without_a_record_takes_as_long_as_those_nearest_to_it(
    benchmarks: Path, name: str, seconds: float
) -> None:
    costs = Costs()
    costs.read([benchmarks / "page.tsv"])
    assert costs.expected(benchmarks / f"{name}.tsv") == pytest.approx(seconds)


def test_where_nothing_was_timed_nothing_is_expected(tmp_path: Path) -> None:
    costs = Costs()
    costs.read([tmp_path / "benchmarks/train/a/seed0.tsv"])
    assert costs.expected(tmp_path / "benchmarks/train/a/seed0.tsv") is None
    assert costs.together([(Cost(tmp_path / "benchmarks/train/a/seed0.tsv"), 0.0)], 2) is None


def test_jobs_share_the_cores_and_the_longest_bounds_them_all(benchmarks: Path) -> None:
    costs = Costs()
    first, second, third = (benchmarks / f"train/{name}.tsv" for name in ("a/seed0", "a/seed1", "b/seed0"))
    costs.read([first])
    assert costs.together([(Cost(first), 0.0), (Cost(third), 0.0)], 1) == 130.0
    assert costs.together([(Cost(first, threads=2), 0.0), (Cost(third), 0.0)], 2) == 115.0
    assert costs.together([(Cost(first), 40.0), (Cost(third), 0.0)], 1) == 90.0
    assert costs.together([(Cost(second), 0.0), (Cost(third), 0.0)], 8) == 200.0


def test_a_trial_borrows_what_its_scale_took_by_the_epochs_of_its_trainings(tmp_path: Path) -> None:
    scale, trial = tmp_path / "results/quick", tmp_path / "results/trial"
    for place, seconds in (("train/net/seed0", 50), ("train/other/seed0", 30), ("measurements/pgd/net/seed0", 8)):
        benchmark = scale / f"benchmarks/{place}.tsv"
        benchmark.parent.mkdir(parents=True)
        benchmark.write_text(f"s\n{seconds}\n")
    card = scale / "models/net/seed0/card.json"
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"spec": {"training": {"epochs": 10}}}))
    costs = Costs()
    costs.borrow(trial, scale, epochs=2)
    expected = {
        "train/net/seed0": 10.0,
        "train/net/seed1": 10.0,
        "train/other/seed0": 30.0,  # nobody knows of how many epochs
        "measurements/pgd/net/seed0": 8.0,
    }
    jobs = {place: trial / f"benchmarks/{place}.tsv" for place in expected}
    costs.read(jobs.values())
    assert {place: costs.expected(job) for place, job in jobs.items()} == expected
    assert not any(map(costs.is_recorded, jobs.values()))
    costs.note(jobs["train/net/seed0"], 12.0)  # what was timed here comes first
    assert [costs.expected(jobs[f"train/net/seed{seed}"]) for seed in (0, 1)] == [12.0, 12.0]
    assert costs.expected(jobs["train/other/seed0"]) == 30.0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59.0, "59 s"), (75.0, "1 min"), (3600.0, "60 min"), (9000.0, "2.5 h")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


def job(number: int, benchmark: Path, **more: Any) -> dict[str, Any]:
    return {"jobid": number, "rule_name": "train", "benchmark": str(benchmark), "threads": 1, **more}


def test_the_line_has_jobs_done_time_left_and_what_runs(benchmarks: Path) -> None:
    clock = Clock()
    state = RunState(clock=clock)
    assert state.line() == "planning"
    first, second = benchmarks / "train/a/seed0.tsv", benchmarks / "train/b/seed0.tsv"
    target = {"jobid": 3, "rule_name": "all", "benchmark": None, "threads": 1}
    state.take({"event": "jobs", "jobs": [job(1, first), job(2, second), target], "cores": 1})
    assert state.line() == "0 of 3 jobs done; about 2 min left"
    state.take({"event": "job_info", **job(1, first)})
    clock.now = 90.0
    assert state.line() == "0 of 3 jobs done; about 40 s left; running train/a/seed0"
    clock.now = 100.0
    state.take({"event": "job_finished", "job_id": 1})
    state.take({"event": "progress", "done": 1, "total": 3})
    assert state.line() == "1 of 3 jobs done; about 30 s left"


def test_what_was_never_timed_is_expected_from_what_this_run_has_seen(tmp_path: Path) -> None:
    clock = Clock()
    state = RunState(clock=clock)
    first, second = (tmp_path / f"benchmarks/train/a/seed{number}.tsv" for number in (0, 1))
    state.take({"event": "jobs", "jobs": [job(1, first), job(2, second)], "cores": 1})
    assert state.line() == "0 of 2 jobs done"
    state.take({"event": "job_info", **job(1, first)})
    clock.now = 50.0
    state.take({"event": "job_finished", "job_id": 1})
    state.take({"event": "progress", "done": 1, "total": 2})
    assert state.line() == "1 of 2 jobs done; about 50 s left"


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    line = ProgressLine(stream, clock)
    for second in range(int(2 * SECONDS_BETWEEN_LINES)):
        clock.now = float(second)
        line.show(f"{second} done".strip)
    line.clear()
    assert stream.getvalue() == f"0 done\n{int(SECONDS_BETWEEN_LINES)} done\n"


def test_in_a_terminal_one_line_is_drawn_over_itself_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream, clock = Terminal(), Clock()
    line = ProgressLine(stream, clock)
    line.show(lambda: "1 of 2 jobs done; running train/a/seed0")
    clock.now = 1.0
    line.show(lambda: "2 of 2 jobs done")
    line.clear()
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().split("\r\x1b[K") == ["", "1 of 2 jobs done; …", "2 of 2 jobs done", ""]

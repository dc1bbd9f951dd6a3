"""What a run would do, and why, in ten lines that name keys and files."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from robustrepro.spec import sources
from robustrepro.terminal.causes import causes
from robustrepro.terminal.dry_run import COLUMNS, LINES, DryRun

OLD, NEW = "0" * 64, "1" * 64
PARAMS = "Params have changed since last execution: Union of exclusive params before and now across all output: ..."
FOLLOWS = "Input files updated by another job: results/quick/models/m/seed0/weights.safetensors"
WEIGHTS = "results/quick/models/m/seed0/weights.safetensors"


def training(**changed: Any) -> dict[str, Any]:
    optimizer = {"name": "adam", "learning_rate": 0.001}
    return {"runs": ["a:b"], "seed": 0, "training": {"epochs": 3, "optimizer": optimizer, "widths": [8], **changed}}


def command(spec: Any, code: str = OLD) -> str:
    return f"python -m robustrepro run train {shlex.join(['--spec', json.dumps(spec), '--code', code])} --threads 1"


def job(reason: str, spec: Any = None, code: str = OLD, rule: str = "train", **changed: Any) -> dict[str, Any]:
    event = {"event": "job_info", "jobid": 1, "rule_name": rule, "output": [WEIGHTS], "threads": 1, "reason": reason}
    benchmark = "results/quick/benchmarks/train/m/seed0.tsv"
    return {**event, "benchmark": benchmark, "shellcmd": command(spec or training(), code), **changed}


@pytest.fixture
def notes(tmp_path: Path) -> dict[str, Path]:
    """Snakemake's record of one training."""
    note = tmp_path / "note"
    spec = json.dumps(training())
    params = sorted(map(repr, (command(training()), OLD, spec)))
    note.write_text(json.dumps({"params": params}), encoding="utf-8")
    return {WEIGHTS: note}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (training(optimizer={"name": "adam", "learning_rate": 0.002}), "optimizer.learning_rate: 0.001 → 0.002"),
        (training(guard=1e-8), "guard: none → 1e-08"),
        (training(widths=list(range(30))), "widths is another"),
        ({**training(), "runs": ["a:b", "c:d"]}, "it runs other code: c:d"),
    ],
)
def test_a_changed_setting_is_named_by_its_key(notes: dict[str, Path], changed: Any, says: str) -> None:
    assert causes(job(PARAMS, changed), notes) == [says]


def test_settings_too_long_for_a_command_are_named_as_well(notes: dict[str, Path], tmp_path: Path) -> None:
    options = tmp_path / "options.json"
    options.write_text(json.dumps({"spec": json.dumps(training(epochs=4)), "code": OLD, "input": []}))
    shell = f"python -m robustrepro run train --options {options} --threads 1"
    assert causes(job(PARAMS, shellcmd=shell), notes) == ["epochs: 3 → 4"]


def test_edited_code_is_named_by_its_file(
    notes: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "COMPOSED", tmp_path / "composed.json")
    assert causes(job(PARAMS, code=NEW), notes) == ["its code was edited"]
    attacks = {"robustrepro.attacks.pgd": "new", "robustrepro.attacks": "same"}
    known = {OLD: {**attacks, "robustrepro.attacks.pgd": "old"}, NEW: attacks}
    (tmp_path / "composed.json").write_text(json.dumps(known))
    assert causes(job(PARAMS, code=NEW), notes) == ["attacks/pgd.py was edited"]


def test_of_which_files_a_digest_is_made_is_kept_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CACHE", tmp_path / "modules.json")
    monkeypatch.setattr(sources, "COMPOSED", tmp_path / "composed.json")
    code = sources.code_digest("page", [])
    sources.keep_digests()
    assert "robustrepro.report.page" in json.loads((tmp_path / "composed.json").read_text())[code]


@pytest.mark.parametrize(
    ("reason", "rule", "says"),
    [
        (f"Missing output files: {WEIGHTS}", "train", ["not made yet"]),
        (f"Incomplete output files: {WEIGHTS}", "train", ["not finished"]),
        ("Updated input files: data/digits/manifest.json", "train", ["data/digits/manifest.json was changed"]),
        (FOLLOWS, "measure", []),
        (f"Missing output files: {WEIGHTS}; {FOLLOWS}", "measure", ["not made yet"]),
        (f"{FOLLOWS}; {PARAMS}", "table", []),
        ("Forced execution", "train", ["asked for with --force"]),
    ],
)
def test_other_reasons_are_said_in_words(notes: dict[str, Path], reason: str, rule: str, says: list[str]) -> None:
    assert causes(job(reason, rule=rule), notes) == says


def test_many_jobs_of_every_kind_are_ten_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = DryRun(cores=2)
    seen.take({"event": "plan", "folder": "results/quick", "answers": True})
    number = 0
    for rule in ("data", "train", "measure", "table", "figure", "scorecard", "summary"):
        for place in range(40):
            number += 1
            name = f"{rule}/a-model-with-a-long-name-{place}/seed0"
            benchmark = f"results/quick/benchmarks/{name}.tsv"
            updated = f"Updated input files: {'x' * 100}-{place}"
            seen.take(job(updated, rule=rule, jobid=number, benchmark=benchmark, output=[name]))
    lines = seen.lines()
    assert len(lines) == LINES
    assert max(map(len, lines)) <= COLUMNS
    assert lines[0] == "results/quick: 280 jobs would run; no time recorded yet"
    assert lines[2].startswith("    40 trainings       a-model-with-a-long-name-0, ")
    assert lines[2].endswith("more")
    assert lines[-2] == "  and 38 reasons more"


def test_the_time_is_expected_from_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = Path("results/quick/benchmarks/train/m/seed0.tsv")
    recorded.parent.mkdir(parents=True)
    recorded.write_text("s\th:m:s\n600.0\t0:10:00\n")
    seen = DryRun(cores=1)
    for number in range(2):
        benchmark = str(recorded.with_name(f"seed{number}.tsv"))
        seen.take(job(f"Missing output files: {WEIGHTS}", jobid=number, benchmark=benchmark))
    assert seen.lines()[0].endswith("2 jobs would run; about 20 min on 1 core (1 of them never timed)")


def test_a_run_without_jobs_has_nothing_to_do() -> None:
    seen = DryRun(cores=1)
    seen.take({"event": "job_info", "jobid": 0, "rule_name": "all", "benchmark": None})
    assert seen.lines() == ["Nothing to do: every result is up to date."]

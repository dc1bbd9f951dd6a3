"""The steps of a plan, run in this process one after another, as Snakemake would run their jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from robustrepro.implementations import resolve
from robustrepro.spec.jobs import Job
from robustrepro.spec.plan import Plan
from robustrepro.spec.sources import STEPS
from robustrepro.steps import Work

MODEL = r"models/(?P<model>[^/]+)/seed(?P<seed>\d+)"
MEASURED = r"(?P<measure>[^/]+)/(?P<subject>[^/]+)/seed(?P<seed>\d+)"
FILES = {
    "data": r"data/(?P<dataset>[^/]+)/(seed(?P<seed>\d+)/)?manifest\.json",
    "model": rf"{MODEL}/weights\.safetensors",
    "measurement": rf"measurements/{MEASURED}\.parquet",
    "shard": rf"shards/{MEASURED}/(?P<shard>\d+)-of-\d+\.parquet",
    "table": r"papers/(?P<paper>[^/]+)/tables/(?P<table>[^/]+)\.json",
    "figure": r"papers/(?P<paper>[^/]+)/figures/(?P<figure>[^/]+)\.png",
    "search": r"papers/(?P<paper>[^/]+)/searches/(?P<reading>[^/]+)\.json",
    "audit": r"papers/(?P<paper>[^/]+)/audit\.json",
    "scorecard": r"papers/(?P<paper>[^/]+)/scorecard\.json",
    "summary": r"scorecard\.csv",
    "report": r"report/index\.html",
    "page": r"report/(?P<paper>[^/]+)\.html",
}
"""The first output of each rule."""

BESIDE: dict[str, tuple[str, ...]] = {
    "train": ("checkpoints.safetensors", "history.csv", "card.json"),
    "derive": ("card.json",),
    "scorecard": ("scorecard.csv", "readings.csv"),
    "summary": ("audit.csv", "../metrics/{scale}.json"),
}
SUFFIXES: dict[str, tuple[str, ...]] = {
    "table": (".csv", ".md"),
    "figure": (".pdf",),
    "search": (".csv",),
    "audit": (".csv",),
}
Execute = Callable[[Job, Work], None]


def step_and_names(plan: Plan, file: str) -> tuple[str, dict[str, str]]:
    """Return which step makes a file, and the wildcards of its rule."""
    name = file.removeprefix(f"{plan.folder}/")
    kind, match = next((kind, match) for kind, text in FILES.items() if (match := re.fullmatch(text, name)))
    names = {key: value for key, value in match.groupdict().items() if value is not None}
    if kind == "model":
        return ("train" if re.fullmatch(plan.pattern("trained"), names["model"]) else "derive"), names
    if kind == "measurement":
        return ("gather" if plan.computed.measure(names["measure"], names["subject"]).shards > 1 else "measure"), names
    return ("measure" if kind == "shard" else kind), names


def jobs_for(plan: Plan, files: list[str], planned: dict[str, Job] | None = None) -> Iterator[tuple[str, Job]]:
    """Yield the first output and the job of all that these files need, inputs first, each once."""
    planned = {} if planned is None else planned
    for needed in files:
        file = re.sub(r"(checkpoints\.safetensors|history\.csv)$", "weights.safetensors", needed)  # a training's first
        if file in planned:
            continue
        step, names = step_and_names(plan, file)
        job = planned[file] = plan.job(step, **names)
        yield from jobs_for(plan, job.files, planned)
        yield file, job


def work_of(file: str, job: Job, spec: dict[str, Any]) -> Work:
    """Return what a job's step is asked to do."""
    first = Path(file)
    inputs: dict[str, list[Path]] = {}
    for role, path in job.inputs:
        if role:
            inputs.setdefault(role, []).append(Path(path))
    outputs = [first, *(first.parent / name.format(scale=first.parent.name) for name in BESIDE.get(job.step, ()))]
    outputs += [first.with_suffix(suffix) for suffix in SUFFIXES.get(job.step, ())]
    return Work(spec, job.code, inputs, outputs)


def run_of(job: Job) -> Callable[[Work], None]:
    """Return the function of a job's step."""
    run: Callable[[Work], None] = resolve(STEPS[job.step])
    return run


def make_all(plan: Plan, folder: Path) -> list[Job]:
    """Make all that a plan presents, in a folder, and return the jobs that were run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ROBUSTREPRO_DEVICE", "cpu")
        patch.setattr("robustrepro.provenance.commit", lambda: "unknown")
        files = [file for paper in plan.papers for file in plan.presented.files_of(paper)]
        files += [f"{plan.folder}/scorecard.csv", f"{plan.folder}/report/index.html"]
        made = []
        for file, job in jobs_for(plan, files):
            work = work_of(file, job, json.loads(job.spec))
            run_of(job)(work)
            assert all(output.exists() for output in work.outputs), file
            made.append(job)
        return made

"""Which results stand behind a paper: every model and measurement that what is shown of it is made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from robustrepro.layout import DATA, MEASUREMENT, MODEL, SHARD
from robustrepro.spec.jobs import Job

if TYPE_CHECKING:
    from robustrepro.spec.plan import Plan

WEIGHTS = "weights.safetensors"


def results_behind(plan: Plan, paper: str) -> set[Path]:
    """Return the models' weights and the measurements that a paper's tables, figures and audit are made of.

    Parameters
    ----------
    plan
        Of the scale.
    paper
        One of those asked for.

    Returns
    -------
    Paths below the scale's folder, of files that exist or not.
    """
    folder = Path(plan.folder)
    shown = [plan.job("audit", paper=paper)]
    shown += [plan.job("table", paper=paper, table=Path(file).stem) for file in plan.presented.all_tables_of(paper)]
    shown += [plan.job("figure", paper=paper, figure=Path(file).stem) for file in plan.presented.figures_of(paper)]
    waiting = [file for job in shown for file in job.files]
    behind: set[Path] = set()
    seen: set[str] = set()
    while waiting:
        file = waiting.pop()
        if file in seen or not Path(file).is_relative_to(folder):
            continue
        seen.add(file)
        name = Path(file).relative_to(folder)
        if (job := _computing(plan, name.as_posix())) is not None:
            waiting += job.files
        if MODEL.fullmatch(name.as_posix()):
            behind.add(name.with_name(WEIGHTS))
        elif MEASUREMENT.fullmatch(name.as_posix()):
            behind.add(name)
    return behind


def _computing(plan: Plan, name: str) -> Job | None:
    """Return the job that computes a file below the scale's folder; None of one that is made of measurements alone."""
    if match := MODEL.fullmatch(name):
        trained = re.fullmatch(plan.pattern("trained"), match["model"])
        return plan.job("train" if trained else "derive", model=match["model"], seed=match["seed"])
    if match := MEASUREMENT.fullmatch(name):
        sharded = plan.computed.measure(match["measure"], match["subject"]).shards > 1
        return plan.job("gather" if sharded else "measure", **match.groupdict())
    if match := SHARD.fullmatch(name):
        return plan.job("measure", **match.groupdict())
    if match := DATA.fullmatch(name):
        return plan.job("data", dataset=match["dataset"], seed=match["seed"])
    return None

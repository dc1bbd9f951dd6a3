"""Which results stand behind a paper: every model and measurement that what is shown of it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robustrepro.layout import MEASUREMENT, MODEL

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
        if (job := plan.job_of(name.as_posix())) is not None:
            waiting += job.files
        if MODEL.fullmatch(name.as_posix()):
            behind.add(name.with_name(WEIGHTS))
        elif MEASUREMENT.fullmatch(name.as_posix()):
            behind.add(name)
    return behind

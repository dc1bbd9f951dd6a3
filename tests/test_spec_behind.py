"""The results behind a paper, which its provenance names."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import REPOSITORY
from planned_jobs import jobs_of

from robustrepro.spec.behind import results_behind
from robustrepro.spec.config import read_config
from robustrepro.spec.plan import Plan

ENDINGS = {"models": "weights.safetensors", "measurements": ".parquet"}


def plan_of(*papers: str) -> Plan:
    return Plan(read_config({"scale": "quick", "papers": list(papers)}, replaced=True), root=REPOSITORY)


@pytest.mark.parametrize("paper", ["hrm", "robust_optimization", "decision_surface"])
def test_behind_a_paper_stands_every_model_and_measurement_that_a_run_of_it_makes(paper: str) -> None:
    plan = plan_of(paper)
    made = {Path(file).relative_to(plan.folder) for file in jobs_of(plan) if Path(file).is_relative_to(plan.folder)}
    assert results_behind(plan, paper) == {
        path for path in made if path.parts[0] in ENDINGS and path.name.endswith(ENDINGS[path.parts[0]])
    }


def test_the_results_behind_a_paper_are_the_same_whichever_papers_are_asked_for_with_it() -> None:
    assert results_behind(plan_of("hrm", "robust_optimization"), "robust_optimization") == results_behind(
        plan_of("robust_optimization"), "robust_optimization"
    )

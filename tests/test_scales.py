"""The scales that the project ships: what its results rest on."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from conftest import REPOSITORY

from robustrepro.spec.config import read_config
from robustrepro.spec.plan import Plan


@cache
def plan_of(scale: str) -> Plan:
    return Plan(read_config({"scale": scale, "papers": ["hrm", "robust_optimization"]}, replaced=True), root=REPOSITORY)


@pytest.mark.parametrize(
    ("scale", "model", "seeds"),
    [
        ("paper", "moons-erm-16", 30),
        ("reduced", "moons-hrm-8", 30),
        ("paper", "mnist-lenet5-hrm", 5),
        ("paper", "mnist-lenet5-hrm@clipped", 5),
        ("paper", "mnist-lenet5-erm@clipped-12", 5),
        ("paper", "convnet-linf", 3),
        ("reduced", "mnist-lenet5-hrm", 3),
        ("reduced", "vgg-l2", 3),
    ],
)
def test_cheap_models_have_the_seeds_that_make_their_claims_conclusive(scale: str, model: str, seeds: int) -> None:
    assert len(plan_of(scale).declarations.seeds(model)) == seeds


@pytest.mark.parametrize("scale", ["quick", "reduced", "paper"])
@pytest.mark.parametrize("paper", sorted(folder.name for folder in (REPOSITORY / "papers").iterdir()))
def test_every_paper_can_be_asked_for_at_every_scale_whether_it_is_run_by_default_or_not(
    paper: str, scale: str
) -> None:
    plan = Plan(read_config({"scale": scale, "papers": [paper]}, replaced=True), root=REPOSITORY)
    for table in plan.declarations.papers[paper].tables:
        assert json.loads(plan.job("table", paper=paper, table=table).spec)["cells"]


def test_the_scale_that_the_documentation_shows_is_planned_as_it_says(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/scales.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(# workflow/scales/mine\.yaml\n.*?)```", text, re.DOTALL)
    for folder in ("papers", "workflow"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    (tmp_path / "workflow/scales/mine.yaml").write_text(shown, encoding="utf-8")
    plan = Plan(read_config({"scale": "mine", "papers": ["hrm"]}, replaced=True), root=tmp_path)
    hrm = plan.declarations.model("mnist-lenet5-hrm")
    assert (hrm.epochs, hrm.optimizer.learning_rate) == (20, 0.002)
    assert len(plan.declarations.seeds("mnist-lenet5-hrm")) == 5
    assert len(plan.declarations.seeds("mnist-lenet5-erm")) == 2
    assert plan.declarations.measure("pgd40-0.3").examples == 500
    assert plan.layout.page("hrm") == "results/mine/report/hrm.html"

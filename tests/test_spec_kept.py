"""A run of some papers keeps what an earlier run made of the others: in the scorecard, the metrics and the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations
from in_process import make_all

from robustrepro.errors import UserError
from robustrepro.publishing import publish
from robustrepro.spec.kept import spec_in
from robustrepro.spec.plan import Plan

RESULTS = "results/quick"


def paper(title: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "authors": "Nobody",
        "summary": "Points.",
        "models": {f"{title}-erm": {**model, "epochs": 1, "seeds": 1}},
        "measures": {"clean": {"attack": {"name": "clean"}}},
        "tables": {
            "accuracy": {
                "where": "Table 1",
                "caption": "Accuracy",
                "rows": {"erm": {"label": "ERM", "model": f"{title}-erm"}},
                "columns": {"clean": {"label": "Clean", "measure": "clean"}},
            }
        },
        "claims": {
            f"{title}-is-right": {
                "says": "It is right.",
                "where": "Table 1",
                "holds_if": ["accuracy[erm, clean] >= 0"],
                "margins": "None.",
            }
        },
    }


def plan_of(folder: Path, *papers: str) -> Plan:
    """Return the plan of these papers, at a scale that trains for less than they do."""
    return Plan({"scale": "quick", "papers": list(papers)}, folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `first` was run, and then `second` alone."""
    folder = tmp_path_factory.mktemp("made") / "declared"
    declarations = Declarations(folder)
    model = declarations.paper["models"]["points-erm"]
    declarations.papers = {name: paper(name, model) for name in ("first", "second")}
    declarations.scales["quick"] = {"description": "points", "seeds": 1}
    declarations.published = {}
    declarations.write()
    for name in ("first", "second"):
        make_all(plan_of(folder, name), folder)
    return folder


def test_the_scorecard_and_the_metrics_have_both_papers(made: Path) -> None:
    with (made / RESULTS / "scorecard.csv").open(newline="") as stream:
        assert [row["paper"] for row in csv.DictReader(stream)] == ["second", "first"]
    metrics = json.loads((made / "results/metrics/quick.json").read_text())
    assert metrics["first"]["accuracy"]["erm"]["clean"] > 0
    assert metrics.keys() == {"first", "second"}


def test_the_first_page_lists_the_claims_of_both_papers_and_pages_link_to_both(made: Path) -> None:
    index = (made / RESULTS / "report/index.html").read_text()
    assert all(f"{name}-is-right" in index for name in ("first", "second"))
    assert [each["id"] for each in spec_in(made / RESULTS / "report/second.html")["papers"]] == ["second", "first"]


def test_a_kept_paper_that_was_made_anew_changes_what_stands_over_all(made: Path) -> None:
    before = plan_of(made, "second").job("summary").spec
    assert plan_of(made, "second").job("summary").spec == before
    scorecard = made / RESULTS / "papers/first/scorecard.csv"
    text = scorecard.read_text()
    scorecard.write_text(text.replace("It is right.", "It is not right."))
    assert plan_of(made, "second").job("summary").spec != before
    assert plan_of(made, "second").job("report").spec != plan_of(made, "first", "second").job("report").spec
    scorecard.write_text(text)


def test_what_is_asked_for_is_not_kept_and_a_run_of_all_keeps_nothing(made: Path) -> None:
    assert "kept" not in json.loads(plan_of(made, "first", "second").job("summary").spec)
    assert json.loads(plan_of(made, "second").job("summary").spec)["kept"].keys() == {"first"}


@pytest.mark.parametrize("missing", ["papers/first/audit.json", "report/first.html"])
def test_a_paper_that_was_not_made_to_its_end_is_not_kept(made: Path, missing: str) -> None:
    file = made / RESULTS / missing
    content = file.read_bytes()
    file.unlink()
    try:
        assert "kept" not in json.loads(plan_of(made, "second").job("summary").spec)
    finally:
        file.write_bytes(content)


def test_publishing_leaves_kept_papers_as_they_were_published(made: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def behind(name: str) -> set[Path]:
        asked.append(name)
        return set()

    publish(made / RESULTS, tmp_path / "docs/quick", behind)
    assert asked == ["second"]
    assert not (tmp_path / "docs/quick/papers/first").exists()
    assert json.loads((tmp_path / "docs/quick/metrics.json").read_text()).keys() == {"second"}


def test_a_trial_has_its_own_folder(made: Path) -> None:
    plan = Plan({"scale": "quick", "papers": ["first"], "folder": "trial"}, made)
    assert plan.folder == "results/trial"
    files = [*plan.job("summary").files, *plan.job("table", paper="first", table="accuracy").files]
    assert all(file.startswith("results/trial/") for file in files)
    as_the_scale_has_it = plan_of(made, "first").job("train", model="first-erm", seed=0)
    assert plan.job("train", model="first-erm", seed=0) == as_the_scale_has_it


@pytest.mark.parametrize("name", ["paper", "Paper"])
def test_a_trial_cannot_take_the_folder_of_another_scale(made: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"config\.yaml: folder: results/{name} belongs to the scale 'paper'"):
        Plan({"scale": "quick", "papers": ["first"], "folder": name}, made)

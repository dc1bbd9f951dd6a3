"""Models that the user leaves out: what is not made for want of them, and where it is still spoken of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations

from robustrepro.audit.step import audit_step
from robustrepro.scorecard.verdicts import judge_claim

ERM, HRM, OTHER = "image-erm", "image-hrm", "image-other"
TABLES = "results/quick/papers/small/tables"
FIGURES = "results/quick/papers/small/figures"


@pytest.fixture
def larger(declarations: Declarations) -> Declarations:
    """The small paper with one more model, its table of accuracy and figures of each kind of input."""
    paper = declarations.paper
    paper["models"][OTHER] = paper["models"][ERM]
    columns = {"pgd": {"label": "PGD", "measure": "pgd"}}
    rows = {"erm": {"label": "ERM", "model": ERM}, "other": {"label": "Other", "model": OTHER}}
    paper["tables"]["others"] = {"where": "Table 4", "caption": "Others", "rows": rows, "columns": columns}
    declarations.add_transfer("transfer", white_box=True)
    batch = {"batch_size": 8, "losses": HRM, "accuracy": {"HRM": HRM}}
    sketch = {"name": "kernel_sketch", "points": [[0.0, 1.0]] * 5, "gamma": 1.0}
    for key, figure in {
        "colours": {"name": "heat_map", "table": "transfer"},
        "diagonal": {"name": "diagonal_dominance", "measure": "pgd", "batches": [batch, batch | {"batch_size": 16}]},
        "sketch": sketch,
    }.items():
        paper["figures"][key] = {"where": "Figure 2", "caption": "A figure", "figure": figure}
    paper["claims"]["others-are-better"] = {
        "says": "The others are better.",
        "where": "Table 4",
        "holds_if": ["others[other, pgd] >= others[erm, pgd]"],
        "margins": "None.",
    }
    return declarations


LEFT_OUT: dict[str, tuple[str | list[str], set[str], set[str]]] = {
    # What is left out: the tables and the figures that remain.
    "nothing": ([], {"accuracy", "distances", "others", "transfer"}, {"regions", "colours", "diagonal", "sketch"}),
    "one model": ([HRM], {"distances", "others"}, {"regions", "sketch"}),
    "a pattern": ("image-*", {"distances"}, {"regions", "sketch"}),
    "several, as on a command line": (
        f"{OTHER},points-erm",
        {"accuracy", "transfer"},
        {"colours", "diagonal", "sketch"},
    ),
}


@pytest.mark.parametrize("which", LEFT_OUT)
def test_only_tables_and_figures_without_a_left_out_model_are_made(larger: Declarations, which: str) -> None:
    larger.config["leave_out"], tables, figures = LEFT_OUT[which]
    plan = larger.plan()
    assert set(plan.tables_of()) == {f"{TABLES}/{name}.json" for name in tables}
    assert set(plan.figures_of()) == {f"{FIGURES}/{name}.png" for name in figures}


def test_a_column_whose_target_is_left_out_is_a_reason_too(larger: Declarations) -> None:
    larger.paper["tables"]["transfer"]["rows"] = {"erm": {"label": "ERM", "model": ERM}}
    larger.config["leave_out"] = [HRM]
    assert f"{TABLES}/transfer.json" not in larger.plan().tables_of()


def test_what_is_not_made_stays_in_the_report(larger: Declarations) -> None:
    before = json.loads(larger.plan().report_spec())["papers"]
    larger.config["leave_out"] = ["image-*"]
    assert json.loads(larger.plan().report_spec())["papers"] == before
    assert [table["id"] for table in before[0]["tables"]] == ["accuracy", "distances", "others", "transfer"]
    assert [figure["id"] for figure in before[0]["figures"]] == ["regions", "colours", "diagonal", "sketch"]


def scorecard(declared: Declarations) -> dict[str, Any]:
    (paper,) = json.loads(declared.plan().scorecard_spec())["papers"]
    return paper


def test_a_claim_on_a_table_that_is_not_made_is_not_measured(larger: Declarations) -> None:
    larger.config["leave_out"] = [HRM]
    paper = scorecard(larger)
    assert paper["tables"] == ["distances", "others"]
    claims = {claim["key"]: claim["holds_if"] for claim in paper["claims"]}
    assert set(claims) == {"hrm-is-better", "others-are-better"}
    judged = judge_claim(claims["hrm-is-better"], {name: {} for name in paper["tables"]})
    assert judged.verdict == "not measured"
    assert "accuracy" in judged.why


def test_a_left_out_model_is_neither_audited_nor_a_source(larger: Declarations) -> None:
    assert set(larger.plan().robustness.audited) == {ERM, HRM, OTHER}
    larger.config["leave_out"] = [HRM]
    plan = larger.plan()
    assert set(plan.robustness.audited) == {ERM, OTHER}
    (paper,) = json.loads(plan.claims_audit_spec())["papers"]
    assert [claim["key"] for claim in paper["claims"]] == ["others-are-better"]
    assert paper["sources"] == {model: {ERM: 2, OTHER: 2} for model in (ERM, OTHER)}
    assert not any(HRM in file for file in plan.audit_inputs())


def test_a_paper_without_any_table_that_is_made_has_an_empty_audit(larger: Declarations, tmp_path: Path) -> None:
    larger.config["leave_out"] = ["image-*"]
    spec = json.loads(larger.plan().claims_audit_spec())
    spec["papers"][0]["tables"] = []  # the table of distances, which the audit would read
    audit_step(spec, tmp_path)
    assert (tmp_path / "audit.csv").read_text().splitlines() == [
        "paper,claim,verdict,taken_down_by,measured,why,smaller_epsilon,alarms"
    ]
    assert json.loads((tmp_path / "audit.json").read_text()) == []


def test_the_names_to_ask_for_are_the_papers_and_of_what_is_made(larger: Declarations) -> None:
    larger.paper["tables"]["table-1.5"] = larger.paper["tables"].pop("others")
    larger.paper["claims"].pop("others-are-better")
    targets = dict(larger.plan().targets())
    assert targets["small_table_1_5"] == [f"{TABLES}/table-1.5.json"]
    assert targets["small_regions"] == [f"{FIGURES}/regions.png"]
    files = targets.pop("small")
    assert sorted(files) == sorted(file for (file,) in targets.values())
    assert len(files) == 8
    larger.config["leave_out"] = ["image-*"]
    remaining = dict(larger.plan().targets())
    assert set(remaining) == {"small", "small_distances", "small_regions", "small_sketch"}
    assert remaining["small"] == [f"{TABLES}/distances.json", f"{FIGURES}/regions.png", f"{FIGURES}/sketch.png"]

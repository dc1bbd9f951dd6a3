"""Models that the user leaves out: what is not measured for want of them, and where it is still spoken of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations

from robustrepro.spec.plan import Plan

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
    paper["measures"]["losses"] = {"losses": {"split": "train"}}
    batch = {"batch_size": 8, "losses": HRM, "accuracy": {"HRM": HRM}}
    diagonal = {"name": "diagonal_dominance", "measure": "pgd", "losses_measure": "losses"}
    for key, figure in {
        "colours": {"name": "heat_map", "table": "transfer"},
        "diagonal": diagonal | {"batches": [batch, batch | {"batch_size": 16}]},
        "sketch": {"name": "kernel_sketch", "points": [[0.0, 1.0]] * 5, "gamma": 1.0},
    }.items():
        paper["figures"][key] = {"where": "Figure 2", "caption": "A figure", "figure": figure}
    paper["claims"]["others-are-better"] = {
        "says": "The others are better.",
        "where": "Table 4",
        "holds_if": ["others[other, pgd] >= others[erm, pgd]"],
        "margins": "None.",
    }
    return declarations


def measured(plan: Plan) -> set[str]:
    """Return every cell that is measured, as claims write it without spaces."""
    found = set()
    for table in plan.papers["small"].tables:
        for cell in json.loads(plan.job("table", paper="small", table=table).spec)["cells"]:
            if cell["kind"] == "measured":
                found.add(f"{table}[{cell['row']},{cell['column']}]")
    return found


EVERY_CELL = {
    *(f"accuracy[{row},{column}]" for row in ("erm", "hrm") for column in ("clean", "pgd")),
    "distances[8,erm-hrm]",
    "others[erm,pgd]",
    "others[other,pgd]",
    *(f"transfer[{row},{column}]" for row in ("erm", "hrm") for column in ("erm", "hrm")),
}
OF_HRM = {f"accuracy[hrm,{column}]" for column in ("clean", "pgd")} | {
    "transfer[erm,hrm]",
    "transfer[hrm,erm]",
    "transfer[hrm,hrm]",
}
LEFT_OUT: dict[str, tuple[str | list[str], set[str], set[str]]] = {
    # What is left out: the cells that are measured and the figures that are drawn.
    "nothing": ([], EVERY_CELL, {"regions", "colours", "diagonal", "sketch"}),
    "one model": ([HRM], EVERY_CELL - OF_HRM, {"regions", "sketch"}),
    "a pattern": ("image-*", {"distances[8,erm-hrm]"}, {"regions", "sketch"}),
    "several, as on a command line": (
        f"{OTHER},points-erm",
        EVERY_CELL - {"others[other,pgd]", "distances[8,erm-hrm]"},
        {"colours", "diagonal", "sketch"},
    ),
}


@pytest.mark.parametrize("which", LEFT_OUT)
def test_a_cell_or_figure_is_made_unless_one_of_its_models_is_left_out(larger: Declarations, which: str) -> None:
    larger.config["leave_out"], cells, figures = LEFT_OUT[which]
    plan = larger.plan()
    assert measured(plan) == cells
    assert set(plan.presented.figures_of("small")) == {f"{FIGURES}/{name}.png" for name in figures}
    # Every table is made, with a word for what is missing.
    assert set(plan.presented.tables_of("small")) == {f"{TABLES}/{name}.json" for name in larger.paper["tables"]}


def test_points_of_a_table_are_drawn_without_the_rows_of_models_that_are_left_out(larger: Declarations) -> None:
    points = {"name": "table_scatter", "table": "others", "x": "pgd", "y": "pgd"}
    for name, fewest in (("two", 2), ("one", 1)):
        figure = {"where": "Figure 3", "caption": "A figure", "figure": {**points, "fewest": fewest}}
        larger.paper["figures"][name] = figure
    larger.config["leave_out"] = [OTHER]
    drawn = {Path(file).stem for file in larger.plan().presented.figures_of("small")}
    assert drawn & {"one", "two"} == {"one"}


def test_a_cell_says_for_want_of_which_model_it_is_not_measured(larger: Declarations) -> None:
    larger.config["leave_out"] = [HRM]
    cells = json.loads(larger.plan().job("table", paper="small", table="transfer").spec)["cells"]
    why = {(cell["row"], cell["column"]): cell.get("why") for cell in cells}
    assert why == {("erm", "erm"): None} | dict.fromkeys(
        [("erm", "hrm"), ("hrm", "erm"), ("hrm", "hrm")], f"{HRM}: left out"
    )


def test_a_transfer_attacks_only_the_targets_that_are_there(larger: Declarations) -> None:
    larger.config["leave_out"] = [HRM]
    job = larger.plan().job("measure", measure="transfer-pgd", subject=ERM, seed=0)
    assert job.models == ((ERM, 0), (ERM, 0), (ERM, 1))


def test_what_is_not_measured_stays_in_the_report(larger: Declarations) -> None:
    before = json.loads(larger.plan().job("report").spec)["papers"]
    larger.config["leave_out"] = ["image-*"]
    assert json.loads(larger.plan().job("report").spec)["papers"] == before
    assert [table["id"] for table in before[0]["tables"]] == ["accuracy", "distances", "others", "transfer"]
    assert [figure["id"] for figure in before[0]["figures"]] == ["regions", "colours", "diagonal", "sketch"]


def audit(declared: Declarations) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(declared.plan().job("audit", paper="small").spec)
    return spec


def test_a_left_out_model_is_neither_audited_nor_a_source(larger: Declarations) -> None:
    assert set(audit(larger)["seeds"]) == {ERM, HRM, OTHER}
    larger.config["leave_out"] = [HRM]
    spec = audit(larger)
    assert set(spec["seeds"]) == {ERM, OTHER}
    assert [claim["key"] for claim in spec["claims"]] == ["others-are-better"]
    assert spec["sources"] == {model: {ERM: 2, OTHER: 2} for model in (ERM, OTHER)}
    assert not any(HRM in file for file in larger.plan().job("audit", paper="small").files)


def test_the_names_to_ask_for_are_the_papers_and_of_what_is_made(larger: Declarations) -> None:
    larger.paper["tables"]["table-1.5"] = larger.paper["tables"].pop("others")
    larger.paper["claims"].pop("others-are-better")
    targets = larger.plan().targets()
    assert targets["small_table_1_5"] == [f"{TABLES}/table-1.5.json"]
    assert targets["small_regions"] == [f"{FIGURES}/regions.png"]
    files = targets.pop("small")
    shown = [file for (file,) in targets.values()]
    verdicts = [f"results/quick/papers/small/{name}.json" for name in ("audit", "scorecard")]
    assert sorted(files) == sorted([*shown, *verdicts, "results/quick/report/small.html"])
    larger.config["leave_out"] = ["image-*"]
    remaining = larger.plan().targets()
    tables = {"small_accuracy", "small_distances", "small_table_1_5", "small_transfer"}
    assert set(remaining) == {"small", "small_regions", "small_sketch"} | tables

"""Small papers, run for real from planning to the report: what passes the plan does not stop hours later."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import REPOSITORY, Declarations
from in_process import make_all

from robustrepro.spec.config import read_yaml
from robustrepro.spec.plan import Plan

WEAK = {"name": "pgd", "steps": 1, "step_size": 1e-4, "random_start": False}
"""PGD that hardly moves is beaten by FGSM: an alarm, which brings the escalation and differentiable copies."""


def of_points(declared: Declarations, norm: str) -> None:
    """Let the paper be of points alone, and audited by the project's own audit."""
    paper = declared.paper
    table = paper["tables"]["accuracy"]
    paper["models"] = {name: model for name, model in paper["models"].items() if name.startswith("points")}
    for row in table["rows"].values():
        row["model"] = row["model"].replace("image", "points")
    del table["published"]
    paper["measures"]["pgd"]["attack"]["norm"] = norm
    declared.scales["quick"]["models"] = {}
    declared.audit = {**read_yaml(REPOSITORY / "workflow/audit.yaml"), "examples": 30}


def results(plan: Plan, folder: Path, name: str) -> Any:
    return json.loads((folder / plan.folder / "papers/small" / name).read_text(encoding="utf-8"))


def test_the_columns_that_are_known_beforehand_are_those_that_are_measured(
    declarations: Declarations, tmp_path: Path
) -> None:
    of_points(declarations, "linf")
    paper, models = declarations.paper, ["points-erm", "points-hrm"]
    paper["claims"] = {}
    fgsm = {"name": "fgsm", "epsilon": 0.1}
    paper["measures"] |= {
        "deepfool": {"attack": {"name": "deepfool"}},
        "curve": {"curve": {"epsilons": [0.1, 0.2], "attack": {"name": "fgsm"}}},
        "losses": {"losses": {}},
        "path": {"training_path": {"every": 4}},
        "transfer": {"transfer": {"attack": fgsm, "targets": models}},
    }
    shown = {"deepfool": {"mean": "l2"}, "curve": "accuracy", "losses": {"mean": "loss"}, "path": {"mean": "value"}}
    columns = {name: {"label": name, "measure": name, "statistic": statistic} for name, statistic in shown.items()}
    columns["curve"]["rows"] = {"epsilon": 0.2}
    columns["transfer"] = {"label": "transfer", "measure": "transfer", "target": models[0]}
    columns["grid"] = {"label": "grid", "measure": "grid", "statistic": {"mean": "probability"}}
    paper["tables"]["accuracy"]["columns"] |= columns
    plan = declarations.plan()
    make_all(plan, tmp_path)
    checked = 0
    for path in sorted((tmp_path / plan.folder / "measurements").glob("*/*/seed0.parquet")):
        declared = plan.declarations.measure(path.parts[-3])
        assert set(pd.read_parquet(path).columns) == declared.known_columns(), path.parts[-3]
        frame = pd.read_parquet(path)
        for column, values in declared.known_values().items():
            assert set(frame[column]) == set(values)
        checked += 1
    assert checked == 2 * 8 + 1  # two models, eight measures; one pair


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_a_claim_on_points_of_the_plane_is_audited_by_all_that_can_attack_points(
    declarations: Declarations, tmp_path: Path, norm: str
) -> None:
    of_points(declarations, norm)
    real = declarations.audit
    float64 = {"escalation": real["escalation"] | {"in-float64": {"name": "pgd", "steps": 3, "precision": "float64"}}}
    declarations.audit = real | float64 | {"transfer": {"name": "pgd", "steps": 3, "precision": "float64"}}
    declarations.audit["attacks"] = real["attacks"] | {"pgd": WEAK, "mi-fgsm": {"name": "mi_fgsm", "steps": 10}}
    plan = declarations.plan()
    make_all(plan, tmp_path)
    (claim,) = results(plan, tmp_path, "audit.json")
    assert claim["verdict"] != "not measured"
    cell = claim["cells"][0]
    expected = {f"audit: {name}" for name in declarations.audit["attacks"]} - {"audit: autoattack"}
    more = {"pgd-margin-10", "pgd-log-odds-10", "in-float64"}
    copies = {f"audit: {name}, rescaled copy" for name in more}
    assert expected | copies | {f"audit: {name}" for name in more} <= set(cell["accuracies"])
    assert "transfer from every other model" in cell["accuracies"]
    assert not any("autoattack" in name for name in cell["accuracies"])
    assert cell["words"]["audit: mi-fgsm"] == "MI-FGSM, 10 steps"
    report = (tmp_path / plan.folder / "report/small.html").read_text(encoding="utf-8")
    assert "MI-FGSM, 10 steps" in report


def test_a_paper_whose_networks_have_one_seed_is_made_without_the_cells_that_need_two(
    declarations: Declarations, tmp_path: Path
) -> None:
    of_points(declarations, "linf")
    declarations.audit = {
        **declarations.audit,
        "attacks": {"fgsm": {"name": "fgsm"}, "pgd": {"name": "pgd", "steps": 2}},
    }
    declarations.config["overrides"] = {"seeds": 1}
    for white_box, name in ((True, "transfer"), (False, "independent")):
        declarations.add_transfer(name, white_box=white_box)
        figure = {"where": "Figure 2", "caption": "Transfer", "figure": {"name": "heat_map", "table": name}}
        declarations.paper["figures"][f"{name}-colours"] = figure
    claims = declarations.paper["claims"]
    for key, cell in (("white-box", "transfer[erm, erm]"), ("to-another", "transfer[erm, hrm]")):
        claims[key] = claims["hrm-is-better"] | {"holds_if": [f"{cell} <= accuracy[erm, clean]"]}
    plan = declarations.plan()
    make_all(plan, tmp_path)
    cells = results(plan, tmp_path, "tables/transfer.json")["cells"]
    why = {(cell["row"], cell["column"]): cell["why"] for cell in cells}
    assert why["erm", "hrm"] == "needs two seeds or more of points-hrm; it has one"
    assert [place for place, reason in why.items() if reason is None] == [("erm", "erm"), ("hrm", "hrm")]
    folder = tmp_path / plan.folder / "papers/small"
    assert (folder / "figures/transfer-colours.png").exists()
    assert not (folder / "figures/independent-colours.png").exists()
    with (folder / "scorecard.csv").open(encoding="utf-8") as file:
        verdicts = {row["claim"]: (row["verdict"], row["audit"], row["why"]) for row in csv.DictReader(file)}
    assert verdicts["to-another"][:2] == ("not measured", "not measured")
    assert "needs two seeds or more of points-hrm" in verdicts["to-another"][2]
    assert verdicts["white-box"][0] != "not measured"
    report = (tmp_path / plan.folder / "report/small.html").read_text(encoding="utf-8")
    assert "needs two seeds or more of points-hrm; it has one" in report
    assert "independent-colours.png" in report

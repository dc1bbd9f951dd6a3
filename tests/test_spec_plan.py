"""The plan: which layer goes before which, what a job's spec holds, and what it must not."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Declarations

from robustrepro.canonical import canonical_json
from robustrepro.spec.config import merged
from robustrepro.spec.plan import Plan


def reversed_keys(tree: Any) -> Any:
    """Return the same declarations with every mapping in the opposite order."""
    if isinstance(tree, dict):
        return {key: reversed_keys(value) for key, value in reversed(tree.items())}
    return [reversed_keys(value) for value in tree] if isinstance(tree, list) else tree


def specs_of(plan: Plan) -> dict[str, str]:
    """Return every kind of spec once."""
    return {
        "data": plan.data_spec("digits"),
        "train": plan.training_spec("image-hrm"),
        "attack": plan.attack_spec("image-hrm", "pgd-training"),
        "distance": plan.distance_spec("points-erm", "points-hrm"),
        "boundary": plan.boundary_spec("points-erm", 20),
        "audit": plan.audit_spec("image-hrm"),
        "transfer": plan.transfer_spec("image-erm", 0, "audit"),
        "survival": plan.claims_audit_spec(),
        "table": plan.table_spec("small", "accuracy"),
        "figure": plan.figure_spec("small", "regions"),
        "scorecard": plan.scorecard_spec(),
        "report": plan.report_spec(),
    }


def test_a_scale_goes_before_the_paper_and_overrides_before_the_scale(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"image-hrm": {"optimizer": {"learning_rate": 0.5}, "epochs": 9}}}
    plan = declarations.plan()
    assert plan.model("points-erm").epochs == 4  # the paper's
    assert plan.model("image-erm").epochs == 2  # the scale's
    assert plan.model("image-hrm").epochs == 9  # the user's
    assert plan.model("image-hrm").optimizer.model_dump() == {"name": "adam", "learning_rate": 0.5}
    assert plan.model("image-erm").optimizer.learning_rate == 0.001


def test_later_patterns_of_a_layer_go_before_earlier_ones(declarations: Declarations) -> None:
    assert declarations.plan().model("image-hrm").epochs == 3
    models = declarations.scales["quick"]["models"]
    declarations.scales["quick"]["models"] = dict(reversed(models.items()))
    assert declarations.plan().model("image-hrm").epochs == 2


def test_a_pattern_changes_what_it_fits_and_nothing_else(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"*-erm": {"batch_size": 99}}, "measures": {"pgd*": {"examples": 7}}}
    plan = declarations.plan()
    sizes = {name: plan.model(name).batch_size for name in declarations.paper["models"]}
    assert sizes == {"image-erm": 99, "image-hrm": 8, "points-erm": 99, "points-hrm": 8}
    examples = {name: json.loads(plan.attack_spec("image-erm", name)).get("examples") for name in ("pgd", "clean")}
    assert examples == {"pgd": 7, "clean": None}


def test_another_name_replaces_a_mapping_whole() -> None:
    base = {"attack": {"name": "pgd", "epsilon": 0.3, "steps": 40}, "examples": 5}
    assert merged(base, {"attack": {"name": "fgsm", "epsilon": 0.1}}) == {
        "attack": {"name": "fgsm", "epsilon": 0.1},
        "examples": 5,
    }
    assert merged(base, {"attack": {"name": "pgd", "epsilon": 0.1}})["attack"]["steps"] == 40
    assert merged(base, {"attack": {"epsilon": 0.1}})["attack"] == {"name": "pgd", "epsilon": 0.1, "steps": 40}
    assert base["attack"] == {"name": "pgd", "epsilon": 0.3, "steps": 40}


def test_seeds_are_the_models_own_then_the_users_then_the_scales(declarations: Declarations) -> None:
    declarations.paper["models"]["image-hrm"]["seeds"] = 1
    assert [len(declarations.plan().seeds(name)) for name in ("image-hrm", "image-erm")] == [1, 2]
    declarations.config["overrides"] = {"seeds": 4}
    assert [len(declarations.plan().seeds(name)) for name in ("image-hrm", "image-erm")] == [1, 4]


def test_more_seeds_train_no_seed_anew(declarations: Declarations) -> None:
    before = declarations.plan().training_spec("image-hrm")
    declarations.config["overrides"] = {"seeds": 9}
    assert declarations.plan().training_spec("image-hrm") == before


def test_equal_declarations_give_equal_specs_whatever_their_order(declarations: Declarations) -> None:
    # Rows and columns are shown, and patterns applied, in their declared order: that one means something.
    ordered = copy.deepcopy(declarations.paper)
    expected = specs_of(declarations.plan())
    for kind in ("models", "measures"):
        declarations.paper[kind] = reversed_keys(ordered[kind])
    declarations.papers["small"] = dict(reversed(declarations.paper.items()))
    declarations.config = dict(reversed(declarations.config.items()))
    assert specs_of(declarations.plan()) == expected


def test_canonical_json_ignores_the_order_of_keys_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": {"d": "ε", "c": [2, 1]}}) == '{"a":{"c":[2,1],"d":"ε"},"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_a_spec_does_not_know_the_machine_the_config_or_other_jobs(declarations: Declarations, tmp_path: Path) -> None:
    expected = specs_of(declarations.plan())
    assert not any(str(tmp_path) in text or str(REPOSITORY) in text for text in expected.values())
    elsewhere = Declarations(tmp_path / "elsewhere")
    elsewhere.config["data"] = {"mirror": "/somewhere/else"}
    # On images it would be one more model that attacks those of the claims.
    elsewhere.paper["models"]["unused"] = elsewhere.paper["models"]["points-erm"]
    elsewhere.paper["measures"]["unused"] = {"attack": {"name": "clean"}}
    assert specs_of(elsewhere.plan()) == expected


def test_a_spec_changes_with_what_its_job_depends_on_only(declarations: Declarations) -> None:
    before = specs_of(declarations.plan())
    declarations.config["overrides"] = {"measures": {"pgd-training": {"attack": {"steps": 6}}}}
    after = specs_of(declarations.plan())
    assert {name for name in before if before[name] != after[name]} == {"attack"}
    declarations.config["overrides"] = {"models": {"image-hrm": {"objective": {"guard": 0.5}}}}
    after = specs_of(declarations.plan())
    assert {name for name in before if before[name] != after[name]} == {"train", "attack", "table"}


def test_an_attack_depends_on_the_training_objective_only_where_it_ascends_it(declarations: Declarations) -> None:
    plan = declarations.plan()
    assert "objective" not in json.loads(plan.attack_spec("image-hrm", "pgd"))
    assert json.loads(plan.attack_spec("image-hrm", "pgd-training"))["objective"] == {"name": "hrm", "guard": 1e-8}


def test_a_data_set_stands_in_where_the_scale_says_so(declarations: Declarations) -> None:
    plan = declarations.plan()
    assert plan.model("image-erm").dataset == "digits"
    assert plan.manifest("image-erm") == "data/digits/manifest.json"
    assert plan.stand_ins(["image-erm", "points-erm"]) == {"mnist": "digits"}
    assert plan.stand_ins(["points-erm"]) == {}
    assert json.loads(plan.table_spec("small", "accuracy"))["stand_ins"] == {"mnist": "digits"}
    assert json.loads(plan.table_spec("small", "distances"))["stand_ins"] == {}
    assert json.loads(plan.figure_spec("small", "regions"))["stand_ins"] == {}
    assert json.loads(plan.report_spec())["stand_ins"] == {"mnist": "digits"}
    declarations.config["scale"] = "paper"
    plan = declarations.plan()
    assert plan.model("image-erm").dataset == "mnist"
    assert plan.stand_ins(["image-erm"]) == {}


def test_unverified_data_are_said_by_what_uses_them(declarations: Declarations) -> None:
    declarations.config |= {"scale": "paper", "data": {"allow_unverified": ["mnist"]}}
    plan = declarations.plan()
    assert json.loads(plan.data_spec("mnist"))["allow_unverified"] is True
    assert json.loads(plan.data_spec("digits"))["allow_unverified"] is False
    assert json.loads(plan.table_spec("small", "accuracy"))["unverified"] == ["mnist"]
    assert json.loads(plan.table_spec("small", "distances"))["unverified"] == []


def test_a_table_is_made_from_one_measurement_a_cell_and_seed(declarations: Declarations) -> None:
    declarations.paper["models"]["points-hrm"]["seeds"] = 1
    plan = declarations.plan()
    attack = "results/quick/measurements/attack"
    assert plan.table_inputs("small", "accuracy") == [
        f"{attack}/{model}/seed{seed}/{measure}.parquet"
        for model in ("image-erm", "image-hrm")
        for measure in ("clean", "pgd")
        for seed in (0, 1)
    ]
    distance = "results/quick/measurements/parameter_distance/points-erm/seed0/points-hrm.parquet"
    assert plan.table_inputs("small", "distances") == [distance]  # of the seeds that both have
    boundary = "results/quick/measurements/decision_boundary/points-erm/seed0/grid20.parquet"
    assert plan.figure_inputs("small", "regions") == [boundary]


def test_a_figure_is_drawn_from_the_measurements_of_its_kind(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    panels = [{"label": "ERM", "model": "points-erm", "seed": 1}, {"label": "HRM", "model": "points-hrm"}]
    batch = {"losses": "image-hrm", "accuracy": {"ERM": "image-erm", "HRM": "image-hrm"}}
    batches = [batch | {"batch_size": 8}, batch | {"batch_size": 16}]
    for key, figure in {
        "gradients": {"name": "training_gradients", "every": 5, "panels": panels},
        "paths": {"name": "training_paths", "panels": panels},
        "diagonal": {"name": "diagonal_dominance", "measure": "pgd", "batches": batches},
        "colours": {"name": "heat_map", "table": "transfer"},
        "angles": {"name": "gradient_pair", "losses": [0.5, 2.0], "lengths": [1.0, 1.2], "angle": 70.0},
    }.items():
        declarations.paper["figures"][key] = {"where": "Figure 2", "caption": "A figure", "figure": figure}
    plan = declarations.plan()
    measured = "results/quick/measurements"
    places = ("points-erm/seed1", "points-hrm/seed0")
    assert {key: plan.figure_inputs("small", key) for key in declarations.paper["figures"]} == {
        "regions": [f"{measured}/decision_boundary/points-erm/seed0/grid20.parquet"],
        "gradients": [f"{measured}/training_path/{place}/every5.parquet" for place in places],
        "paths": [f"{measured}/training_path/{place}/every1.parquet" for place in places],
        "diagonal": [
            *(f"{measured}/losses/image-hrm/seed{seed}/train.parquet" for seed in (0, 1)),
            *(
                f"{measured}/attack/{model}/seed{seed}/pgd.parquet"
                for model in ("image-erm", "image-hrm")
                for seed in (0, 1)
            ),
        ],
        "colours": ["results/quick/papers/small/tables/transfer.json"],
        "angles": [],
    }


def test_command_line_papers_may_be_one_text(declarations: Declarations) -> None:
    declarations.papers["second"] = {**declarations.paper, "tables": {}, "figures": {}, "claims": {}}
    declarations.config["papers"] = "small,second"
    assert list(declarations.plan().papers) == ["small", "second"]


def test_a_model_that_two_papers_declare_alike_is_one_model(declarations: Declarations) -> None:
    declarations.papers["second"] = copy.deepcopy(declarations.paper)
    declarations.papers["second"]["tables"]["accuracy"].pop("published")
    declarations.config["papers"] = ["small", "second"]
    plan = declarations.plan()
    assert plan.table_inputs("small", "accuracy") == plan.table_inputs("second", "accuracy")


def test_the_report_is_told_what_a_scale_trains_instead_of_what_the_paper_declares(declarations: Declarations) -> None:
    as_declared = {name: {"epochs": 4} for name in declarations.paper["models"]}
    declarations.config["overrides"] = {"models": as_declared}
    assert json.loads(declarations.plan().report_spec())["instead"] == []
    smaller = {"architecture": {"name": "mlp", "hidden": [4]}, "epochs": 2}
    declarations.config["overrides"] = {"models": as_declared | {"image-erm": smaller, "image-hrm": {"epochs": 2}}}
    assert json.loads(declarations.plan().report_spec())["instead"] == [
        "mlp instead of lenet5 (1 of the models)",
        "2 instead of 4 epochs (2 of the models)",
    ]


def test_the_digest_of_printed_numbers_is_that_of_their_file(declarations: Declarations) -> None:
    before = declarations.plan().published_digest("small", "accuracy")
    declarations.published["accuracy.csv"] = declarations.published["accuracy.csv"].replace("3.25", "3.26")
    plan = declarations.plan()
    assert plan.published_digest("small", "accuracy") != before
    assert plan.published_option("small", "accuracy") == "--published papers/small/published/accuracy.csv"
    assert (plan.published_digest("small", "distances"), plan.published_option("small", "distances")) == ("", "")


def test_planning_imports_no_torch() -> None:
    # Snakemake plans in every process that it starts; torch alone would take seconds.
    script = """
import sys, yaml
from robustrepro.spec.plan import Plan
plan = Plan(yaml.safe_load(open("config.yaml")))
for paper in plan.papers.values():
    for row in (row for table in paper.tables.values() for row in table.rows.values()):
        if row.model:
            spec = plan.training_spec(row.model)
            plan.code("train", spec)
print(*sorted({"torch", "pandas", "matplotlib", "scipy", "sklearn", "pyarrow"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "\n"


@pytest.mark.parametrize("scale", ["quick", "reduced", "paper"])
def test_everything_declared_in_this_repository_can_be_planned(scale: str) -> None:
    config = {**yaml.safe_load((REPOSITORY / "config.yaml").read_text()), "scale": scale}
    config["papers"] = [path.parent.name for path in REPOSITORY.glob("papers/*/paper.yaml")]
    plan = Plan(config, REPOSITORY)
    for name, paper in plan.papers.items():
        for table in paper.tables:
            assert json.loads(plan.table_spec(name, table))["cells"]
            assert all(path.startswith(f"results/{scale}/") for path in plan.table_inputs(name, table))
        for figure in paper.figures:
            # Sketches are drawn from their declaration alone.
            assert bool(plan.figure_inputs(name, figure)) == bool(list(plan.declared.figure_models(name, figure)))

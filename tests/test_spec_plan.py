"""The plan: which layer takes precedence, what a job's spec holds, and what it must not."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Declarations
from planned_jobs import jobs_of

from robustrepro.canonical import canonical_json
from robustrepro.errors import UserError
from robustrepro.spec.config import merged
from robustrepro.spec.plan import RULES, Plan
from robustrepro.spec.training import TrainingSpec


def reversed_keys(tree: Any) -> Any:
    """Return the same declarations with every mapping in the opposite order."""
    if isinstance(tree, dict):
        return {key: reversed_keys(value) for key, value in reversed(tree.items())}
    return [reversed_keys(value) for value in tree] if isinstance(tree, list) else tree


JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "data": ("data", {"dataset": "digits"}),
    "train": ("train", {"model": "image-hrm", "seed": 0}),
    "attack": ("measure", {"measure": "pgd-training", "subject": "image-hrm", "seed": 0}),
    "distance": ("measure", {"measure": "distance", "subject": "points-erm+points-hrm", "seed": 0}),
    "boundary": ("measure", {"measure": "grid", "subject": "points-erm", "seed": 0}),
    "battery": ("measure", {"measure": "audit-linf-0.3", "subject": "image-hrm", "seed": 0}),
    "audit transfer": ("measure", {"measure": "audit-transfer-small", "subject": "image-erm", "seed": 0}),
    "table": ("table", {"paper": "small", "table": "accuracy"}),
    "figure": ("figure", {"paper": "small", "figure": "regions"}),
    "audit": ("audit", {"paper": "small"}),
    "scorecard": ("scorecard", {"paper": "small"}),
    "summary": ("summary", {}),
    "page": ("page", {"paper": "small"}),
    "report": ("report", {}),
}


def specs_of(plan: Plan) -> dict[str, str]:
    """Return every kind of spec once."""
    return {name: plan.job(step, **names).spec for name, (step, names) in JOBS.items()}


def spec(plan: Plan, name: str, **names: Any) -> Any:
    """Return one of these specs as plain data, with some names changed."""
    step, usual = JOBS[name]
    return json.loads(plan.job(step, **usual | names).spec)


def test_a_scale_takes_precedence_over_the_paper_and_overrides_over_the_scale(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"image-hrm": {"optimizer": {"learning_rate": 0.5}, "epochs": 9}}}
    plan = declarations.plan()
    assert plan.declarations.model("points-erm").epochs == 4  # the paper's
    assert plan.declarations.model("image-erm").epochs == 2  # the scale's
    assert plan.declarations.model("image-hrm").epochs == 9  # the user's
    assert plan.declarations.model("image-hrm").optimizer.model_dump() == {"name": "adam", "learning_rate": 0.5}
    assert plan.declarations.model("image-erm").optimizer.learning_rate == 0.001


def test_later_patterns_of_a_layer_take_precedence_over_earlier_ones(declarations: Declarations) -> None:
    assert declarations.plan().declarations.model("image-hrm").epochs == 3
    models = declarations.scales["quick"]["models"]
    declarations.scales["quick"]["models"] = dict(reversed(models.items()))
    assert declarations.plan().declarations.model("image-hrm").epochs == 2


def test_a_pattern_changes_what_it_fits_and_nothing_else(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"*-erm": {"batch_size": 99}}, "measures": {"pgd*": {"examples": 7}}}
    plan = declarations.plan()
    sizes = {name: plan.declarations.model(name).batch_size for name in declarations.paper["models"]}
    assert sizes == {"image-erm": 99, "image-hrm": 8, "points-erm": 99, "points-hrm": 8}
    examples = {name: spec(plan, "attack", measure=name)["measure"].get("examples") for name in ("pgd", "clean")}
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
    assert [len(declarations.plan().declarations.seeds(name)) for name in ("image-hrm", "image-erm")] == [1, 2]
    declarations.config["overrides"] = {"seeds": 4}
    assert [len(declarations.plan().declarations.seeds(name)) for name in ("image-hrm", "image-erm")] == [1, 4]


def test_more_seeds_train_no_seed_anew(declarations: Declarations) -> None:
    before = spec(declarations.plan(), "train")
    declarations.config["overrides"] = {"seeds": 9}
    assert spec(declarations.plan(), "train") == before


def of_one_model(declarations: Declarations) -> None:
    """Let each column of a table measure another model of its row."""
    models = {"erm": "image-erm", "hrm": "image-hrm"}
    declarations.paper["tables"]["by-model"] = {
        "where": "Table 3",
        "caption": "By model",
        "rows": {"both": {"label": "Both", "models": models}},
        "columns": {key: {"label": key, "measure": "pgd", "of": [key]} for key in models},
    }


def test_each_column_may_measure_another_model_of_its_row(declarations: Declarations) -> None:
    of_one_model(declarations)
    cells = spec(declarations.plan(), "table", table="by-model")["cells"]
    assert [(cell["column"], cell["subject"], cell["models"]) for cell in cells] == [
        ("erm", "image-erm", ["image-erm"]),
        ("hrm", "image-hrm", ["image-hrm"]),
    ]


def test_a_claim_about_such_a_cell_is_audited_as_any_other(declarations: Declarations) -> None:
    def audited() -> list[tuple[str, str]]:
        (claim,) = spec(declarations.plan(), "audit")["claims"]
        return sorted((cell["model"], cell["battery"]) for cell in claim["readings"][0]["cells"])

    expected = audited()
    of_one_model(declarations)
    declarations.paper["claims"]["hrm-is-better"]["holds_if"] = ["by-model[both, hrm] >= by-model[both, erm] + 20"]
    assert audited() == expected
    assert len(expected) == 2


def test_a_paper_that_declares_no_readings_has_one_without_a_name(declarations: Declarations) -> None:
    plan = declarations.plan()
    table = spec(plan, "table")
    assert (table["id"], table["of"], table["reading"]) == ("accuracy", "accuracy", "")
    holds_if = declarations.paper["claims"]["hrm-is-better"]["holds_if"]
    for step in ("audit", "scorecard"):
        (claim,) = spec(plan, step)["claims"]
        assert [(reading["reading"], reading["holds_if"]) for reading in claim["readings"]] == [("", holds_if)]
        assert not {"holds_if", "differs"} & set(claim)


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
    # The table shows what its models were trained with, and verdicts say what is not the paper's.
    said = {"table", "audit", "scorecard", "report", "page"}
    assert {name for name in before if before[name] != after[name]} == {"train", "attack"} | said


def test_an_attack_depends_on_the_training_objective_only_where_it_ascends_it(declarations: Declarations) -> None:
    plan = declarations.plan()
    assert "objective" not in spec(plan, "attack", measure="pgd")["subjects"][0]
    assert spec(plan, "attack")["subjects"][0]["objective"] == {"name": "hrm", "loss": "cross_entropy", "guard": 1e-8}
    hrm = "robustrepro.objectives.hrm:HollowRisk"
    assert [hrm in spec(plan, "attack", measure=name)["runs"] for name in ("pgd", "pgd-training")] == [False, True]


def test_a_data_set_stands_in_where_the_scale_says_so(declarations: Declarations) -> None:
    plan = declarations.plan()
    assert plan.declarations.dataset_of("image-erm") == "digits"
    assert plan.job("train", model="image-erm", seed=0).files == ["data/digits/manifest.json"]
    assert spec(plan, "table")["stand_ins"] == {"mnist": "digits"}
    assert spec(plan, "table", table="distances")["stand_ins"] == {}
    assert spec(plan, "figure")["stand_ins"] == {}
    assert spec(plan, "report")["stand_ins"] == {"mnist": "digits"}
    declarations.config["scale"] = "paper"
    plan = declarations.plan()
    assert plan.declarations.dataset_of("image-erm") == "mnist"
    assert spec(plan, "table")["stand_ins"] == {}


def test_unverified_data_are_said_by_what_uses_them(declarations: Declarations) -> None:
    declarations.config |= {"scale": "paper", "data": {"allow_unverified": ["mnist"]}}
    plan = declarations.plan()
    assert spec(plan, "data", dataset="mnist")["allow_unverified"] is True
    assert spec(plan, "data", dataset="digits")["allow_unverified"] is False
    assert spec(plan, "table")["unverified"] == ["mnist"]
    assert spec(plan, "table", table="distances")["unverified"] == []


def test_a_table_is_made_from_one_measurement_per_cell_and_seed(declarations: Declarations) -> None:
    declarations.paper["models"]["points-hrm"]["seeds"] = 1
    plan = declarations.plan()
    measured = "results/quick/measurements"
    assert plan.job("table", paper="small", table="accuracy").files == [
        f"{measured}/{measure}/{model}/seed{seed}.parquet"
        for model in ("image-erm", "image-hrm")
        for measure in ("clean", "pgd")
        for seed in (0, 1)
    ]
    # Of the seeds that both have.
    distance = f"{measured}/distance/points-erm+points-hrm/seed0.parquet"
    assert plan.job("table", paper="small", table="distances").files == [distance]
    boundary = f"{measured}/grid/points-erm/seed0.parquet"
    assert plan.job("figure", paper="small", figure="regions").files == [boundary]


def test_a_figure_is_drawn_from_the_sources_that_it_declares(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    declarations.paper["measures"] |= {
        "path": {"training_path": {"every": 5}},
        "losses": {"losses": {"split": "train"}},
    }
    panels = [{"label": "ERM", "model": "points-erm", "seed": 1}, {"label": "HRM", "model": "points-hrm"}]
    batch = {"losses": "image-hrm", "accuracy": {"ERM": "image-erm", "HRM": "image-hrm"}}
    batches = [batch | {"batch_size": 8}, batch | {"batch_size": 16}]
    for key, figure in {
        "gradients": {"name": "training_gradients", "measure": "path", "panels": panels},
        "diagonal": {
            "name": "diagonal_dominance",
            "measure": "pgd",
            "losses_measure": "losses",
            "batches": batches,
        },
        "colours": {"name": "heat_map", "table": "transfer"},
        "angles": {"name": "gradient_pair", "losses": [0.5, 2.0], "lengths": [1.0, 1.2], "angle": 70.0},
    }.items():
        declarations.paper["figures"][key] = {"where": "Figure 2", "caption": "A figure", "figure": figure}
    plan = declarations.plan()
    measured = "results/quick/measurements"
    files = {key: plan.job("figure", paper="small", figure=key).files for key in declarations.paper["figures"]}
    assert {key: set(of_figure) for key, of_figure in files.items()} == {
        "regions": {f"{measured}/grid/points-erm/seed0.parquet"},
        "gradients": {f"{measured}/path/{place}.parquet" for place in ("points-erm/seed1", "points-hrm/seed0")},
        "diagonal": {
            f"{measured}/{place}/seed{seed}.parquet"
            for place in ("losses/image-hrm", "pgd/image-erm", "pgd/image-hrm")
            for seed in (0, 1)
        },
        "colours": {"results/quick/papers/small/tables/transfer.json"},
        "angles": set(),
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
    files = [plan.job("table", paper=paper, table="accuracy").files for paper in ("small", "second")]
    assert files[0] == files[1]


def test_the_specs_of_a_paper_do_not_depend_on_which_papers_are_asked_for(declarations: Declarations) -> None:
    # The second paper makes claims about models of the first one, and attacks them by transfer with one of its own.
    second = copy.deepcopy(declarations.paper)
    second["tables"]["accuracy"].pop("published")
    second["models"] = {"image-other": second["models"]["image-erm"] | {"epochs": 3}}
    second["measures"] = {}
    second["tables"]["accuracy"]["rows"]["other"] = {"label": "Other", "model": "image-other"}
    second["claims"]["other-is-better"] = {
        **second["claims"]["hrm-is-better"],
        "holds_if": ["accuracy[other, pgd] >= accuracy[hrm, pgd] + 20"],
    }
    declarations.papers["second"] = second
    specs: dict[str, dict[str, str]] = {}
    for papers in (["small"], ["second"], ["small", "second"], ["second", "small"]):
        declarations.config["papers"] = papers
        plan = declarations.plan()
        specs[",".join(papers)] = {file: job.spec for file, job in jobs_of(plan).items()}
    alone, other, both, turned = specs.values()
    of_the_scale = {"results/quick/scorecard.csv", "results/quick/report/index.html"}
    # The pages link to one another, and depend on nothing else of other papers.
    for part in specs.values():
        for file in part:
            if file.startswith("results/quick/report/") and file not in of_the_scale:
                page = json.loads(part[file])
                assert {paper["id"] for paper in page.pop("papers")} <= {"small", "second"}
                part[file] = json.dumps(page)
    for part in (alone, other):
        shared = {file for file in part if file not in of_the_scale}
        assert len(shared) > 20
        assert {file for file in shared if part[file] != both[file]} == set()
    assert {file for file in both if both[file] != turned[file]} <= of_the_scale
    assert set(alone) | set(other) == set(both) == set(turned)


def test_a_paper_may_make_claims_on_models_that_another_paper_declares(declarations: Declarations) -> None:
    second = copy.deepcopy(declarations.paper)
    second["tables"]["accuracy"].pop("published")
    second |= {"models": {}, "measures": {}}
    declarations.papers["second"] = second
    declarations.config["papers"] = ["second"]
    audit = json.loads(declarations.plan().job("audit", paper="second").spec)
    assert audit["seeds"] == {"image-erm": 2, "image-hrm": 2}
    assert audit["sources"]["image-hrm"] == {"image-erm": 2, "image-hrm": 2}


def with_rows_of_another_paper(declarations: Declarations) -> Declarations:
    """Declare a second paper with a model of its own, in a table of which the first one's stand, too."""
    second = copy.deepcopy(declarations.paper)
    own = {**second["models"]["image-erm"], "epochs": 2}
    rows = {"own": {"label": "Own", "model": "image-own"}, "erm": {"label": "ERM", "model": "image-erm"}}
    rows["erm"]["only_with"] = "small"
    second["tables"] = {"accuracy": {**second["tables"]["accuracy"], "rows": rows}}
    second["tables"]["accuracy"].pop("published")
    claim = {**second["claims"]["hrm-is-better"], "holds_if": ["accuracy[own, pgd] >= 1"]}
    second |= {"models": {"image-own": own}, "measures": {}, "figures": {}, "claims": {"own": claim}}
    declarations.papers["second"] = second
    return declarations


def test_a_row_of_another_paper_is_measured_where_that_is_asked_for_too(declarations: Declarations) -> None:
    with_rows_of_another_paper(declarations)
    for papers, status in ((["second"], "not_measured"), (["small", "second"], "measured")):
        declarations.config["papers"] = papers
        plan = declarations.plan()
        cells = json.loads(plan.job("table", paper="second", table="accuracy").spec)["cells"]
        of_other = [cell for cell in cells if cell["row"] == "erm"]
        assert {cell["kind"] for cell in of_other} == {status}
        assert {cell.get("why") for cell in of_other} == {"small is not asked for" if status != "measured" else None}
        audit = json.loads(plan.job("audit", paper="second").spec)
        assert audit["sources"] == {"image-own": {"image-own": 2}}
        assert any("image-erm" in file for file in jobs_of(plan)) == (status == "measured")


def test_a_row_of_another_paper_can_carry_no_claim_and_names_one_that_is_there(declarations: Declarations) -> None:
    second = with_rows_of_another_paper(declarations).papers["second"]
    declarations.config["papers"] = ["second"]
    second["claims"]["own"]["holds_if"] = ["accuracy[own, pgd] >= accuracy[erm, pgd]"]
    with pytest.raises(UserError, match=r"accuracy\[erm, pgd\] is measured only with another paper"):
        declarations.plan()
    second["claims"]["own"]["holds_if"] = ["accuracy[own, pgd] >= 1"]
    second["tables"]["accuracy"]["rows"]["erm"]["only_with"] = "smal"
    with pytest.raises(UserError, match=r"rows\.erm\.only_with: 'smal'; did you mean 'small'"):
        declarations.plan()


def test_the_first_page_is_made_of_the_verdicts_alone_and_a_papers_page_of_all_that_it_shows(
    declarations: Declarations,
) -> None:
    second = copy.deepcopy(declarations.paper)
    second["tables"]["accuracy"].pop("published")
    declarations.papers["second"] = second
    declarations.config["papers"] = ["small", "second"]
    plan = declarations.plan()
    own = {
        paper: [*plan.presented.tables_of(paper), plan.layout.audit(paper), plan.layout.scorecard(paper)]
        for paper in plan.papers
    }
    assert set(plan.job("report").files) == {file for files in own.values() for file in files}
    assert set(plan.job("page", paper="small").files) == {*own["small"], *plan.presented.figures_of("small")}
    assert plan.targets()["small"] == [*plan.job("page", paper="small").files, "results/quick/report/small.html"]
    described = spec(plan, "page")
    assert set(described["paper"]) - set(spec(plan, "report")["papers"][0]) == {
        "terms",
        "departures",
        "readings",
    }
    assert [paper["id"] for paper in described["papers"]] == ["small", "second"]


def test_the_first_page_is_made_again_once_another_scale_has_verdicts(declarations: Declarations) -> None:
    alone = declarations.plan().job("report").files
    other = declarations.root / "results/paper/scorecard.csv"
    other.parent.mkdir(parents=True)
    other.write_text("paper,claim,verdict,audit\n", encoding="utf-8")
    own = declarations.root / "results/quick/scorecard.csv"
    own.parent.mkdir(parents=True)
    own.write_text("", encoding="utf-8")
    plan = Plan(declarations.config, declarations.root)
    assert plan.job("report").files == [*alone, "results/paper/scorecard.csv"]
    assert "results/paper/scorecard.csv" not in plan.job("page", paper="small").files
    assert spec(plan, "report")["scales"] == ["paper", "quick"]


def test_changed_printed_numbers_change_the_spec_of_their_table_alone(declarations: Declarations) -> None:
    before = specs_of(declarations.plan())
    declarations.published["accuracy.csv"] = declarations.published["accuracy.csv"].replace("3.25", "3.26")
    after = specs_of(declarations.plan())
    assert {name for name in before if before[name] != after[name]} == {"table"}


def test_every_implementation_that_a_declaration_stands_for_is_in_what_a_job_runs(declarations: Declarations) -> None:
    plan = declarations.plan()
    assert spec(plan, "attack")["runs"] == [
        "robustrepro.attacks.pgd:ascent_of",
        "robustrepro.measures.attack:measure",
        "robustrepro.models.lenet5:LeNet5",
        "robustrepro.objectives.hrm:HollowRisk",
    ]
    battery = spec(plan, "battery")["runs"]
    assert {f"robustrepro.attacks.{name}:ascent_of" for name in ("fgsm", "noise", "pgd")} < set(battery)
    # A figure of an attack's accuracy only names the attack.
    assert spec(plan, "figure")["runs"] == ["robustrepro.figures.decision_boundaries:draw"]


def test_no_target_can_have_the_name_of_a_rule() -> None:
    files = [REPOSITORY / "Snakefile", *REPOSITORY.glob("workflow/rules/*.smk")]
    names = re.findall(r"^(?:rule|use rule \w+ as) (\w+)", "\n".join(map(Path.read_text, files)), re.MULTILINE)
    assert set(names) == RULES


def test_planning_imports_no_torch() -> None:
    # Snakemake plans in every process that it starts; torch alone would take seconds.
    script = """
import sys, yaml
from robustrepro.spec.plan import Plan
plan = Plan(yaml.safe_load(open("config.yaml")))
for paper in plan.papers.values():
    for row in (row for table in paper.tables.values() for row in table.rows.values()):
        if row.model and plan.declarations.is_trained(row.model):
            plan.job("train", model=row.model, seed=0).code
print(*sorted({"torch", "numpy", "pandas", "seaborn", "matplotlib", "scipy", "sklearn", "pyarrow"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "\n"


def test_the_spec_of_a_training_has_the_checkpoints_that_it_reaches(declarations: Declarations) -> None:
    declarations.paper["models"]["image-erm"]["checkpoints"] = [1, 2, 3, 100]
    training = json.loads(declarations.plan().job("train", model="image-erm", seed=0).spec)["training"]
    assert (training["epochs"], training["checkpoints"]) == (2, [1, 2])
    assert TrainingSpec.model_validate(training).kept_epochs() == training["checkpoints"]


@pytest.mark.parametrize("scale", ["quick", "reduced", "paper"])
def test_everything_declared_in_this_repository_can_be_planned(scale: str) -> None:
    config = {**yaml.safe_load((REPOSITORY / "config.yaml").read_text()), "scale": scale}
    config["papers"] = [path.parent.name for path in REPOSITORY.glob("papers/*/paper.yaml")]
    plan = Plan(config, REPOSITORY)
    for job in jobs_of(plan).values():
        assert job.code
    for name, paper in plan.papers.items():
        for figure in paper.figures:
            # Sketches are drawn from their declaration alone.
            files = plan.job("figure", paper=name, figure=figure).files
            assert bool(files) == bool(plan.contents.figure_models(name, figure))

"""Readings of what a paper leaves unsaid: what they change, what they share, and how they are searched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Declarations
from planned_jobs import jobs_of

from robustrepro.errors import UserError
from robustrepro.spec.origins import require_checkpoints
from robustrepro.spec.plan import Plan

PLAIN: dict[str, Any] = {
    "unsaid": "The loss.",
    "where": "Section 3",
    "why": "Usual today.",
    "choices": {"loss": "plain", "epochs": 4},
}
CLIPPED: dict[str, Any] = {
    **PLAIN,
    "choices": {"loss": "clipped"},
    "models": {"image-*": {"objective": {"loss": "clipped_cross_entropy"}}},
    "measures": {"pgd": {"attack": {"loss": "clipped_cross_entropy"}}},
}
GUARDED: dict[str, Any] = {**PLAIN, "choices": {}, "models": {"image-hrm": {"objective": {"guard": 1e-4}}}}


def with_readings(declarations: Declarations, **readings: Any) -> Declarations:
    """Declare readings beside the default of the small paper, which has no guard of its own."""
    declarations.paper["models"]["image-hrm"]["objective"] = {"name": "hrm"}
    declarations.paper["readings"] = {"plain": {**PLAIN}, **readings}
    return declarations


def spec(plan: Plan, step: str, **names: Any) -> Any:
    return json.loads(plan.job(step, **names).spec)


def claims(plan: Plan) -> dict[str, list[str]]:
    """Return the conditions of the claim by reading, as the job of the scorecard has them."""
    (claim,) = spec(plan, "scorecard", paper="small")["claims"]
    return {reading["reading"]: reading["holds_if"] for reading in claim["readings"]}


def test_a_reading_names_what_it_changes(declarations: Declarations) -> None:
    plan = with_readings(declarations, clipped=CLIPPED).plan()
    assert claims(plan) == {
        "plain": ["accuracy[hrm, pgd] >= accuracy[erm, pgd] + 20"],
        "clipped": ["accuracy@clipped[hrm, pgd] >= accuracy@clipped[erm, pgd] + 20"],
    }
    table = spec(plan, "table", paper="small", table="accuracy@clipped")
    assert (table["of"], table["reading"]) == ("accuracy", "clipped")
    assert {cell["subject"] for cell in table["cells"]} == {"image-erm@clipped", "image-hrm@clipped"}
    assert [cell["measures"] for cell in table["cells"]] == [["clean"], ["pgd@clipped"]] * 2
    assert table["printed"] == spec(plan, "table", paper="small", table="accuracy")["printed"]
    training = spec(plan, "train", model="image-hrm@clipped", seed=0)["training"]
    assert training["objective"] == {"name": "hrm", "loss": "clipped_cross_entropy", "guard": 0.0}
    assert (training["dataset"], training["epochs"]) == ("digits", 3)  # the scale lies over a reading
    assert "small_accuracy_clipped" in plan.targets()


def test_what_readings_share_has_the_specs_that_it_has_without_them(declarations: Declarations) -> None:
    declarations.paper["models"]["image-hrm"]["objective"] = {"name": "hrm"}
    without = jobs_of(declarations.plan())
    readings = jobs_of(with_readings(declarations, clipped=CLIPPED, guarded=GUARDED).plan())
    presented = {"audit", "scorecard", "summary", "page", "report", "table"}
    for file, job in without.items():
        if job.step not in presented:
            assert readings[file].spec == job.spec
    assert {file for file, job in without.items() if job.step != "table"} <= readings.keys()


def test_a_reading_that_changes_nothing_at_a_scale_adds_no_job(declarations: Declarations) -> None:
    longer = {**PLAIN, "choices": {"epochs": 8}, "models": {"image-*": {"epochs": 8}}}
    plan = with_readings(declarations, longer=longer).plan()  # the scale has epochs of its own
    assert not any("@" in file for file in jobs_of(plan))
    assert list(claims(plan)) == ["plain"]
    declarations.config["scale"] = "paper"
    plan = declarations.plan()
    assert spec(plan, "train", model="image-erm@longer", seed=0)["training"]["epochs"] == 8
    assert list(claims(plan)) == ["plain", "longer"]


def test_two_readings_share_what_both_change_alike(declarations: Declarations) -> None:
    training_alone = {**CLIPPED, "measures": {}}
    plan = with_readings(declarations, clipped=CLIPPED, training=training_alone).plan()
    table = spec(plan, "table", paper="small", table="accuracy@training")
    assert {cell["subject"] for cell in table["cells"]} == {"image-erm@clipped", "image-hrm@clipped"}
    assert [cell["measures"] for cell in table["cells"]] == [["clean"], ["pgd"]] * 2
    assert not any("@training/" in file for file in jobs_of(plan))


def test_a_reading_over_another_has_its_changes_too(declarations: Declarations) -> None:
    guarded = {**GUARDED, "over": "clipped"}
    plan = with_readings(declarations, clipped=CLIPPED, both=guarded).plan()
    objective = spec(plan, "train", model="image-hrm@both", seed=0)["training"]["objective"]
    assert objective == {"name": "hrm", "loss": "clipped_cross_entropy", "guard": 1e-4}
    table = spec(plan, "table", paper="small", table="accuracy@both")
    assert {cell["subject"] for cell in table["cells"]} == {"image-erm@clipped", "image-hrm@both"}
    (claim,) = spec(plan, "scorecard", paper="small")["claims"]
    assert claim["readings"][2]["choices"] == {"loss": "clipped", "epochs": "4"}


def test_an_edit_of_one_reading_changes_its_own_jobs_alone(declarations: Declarations) -> None:
    before = jobs_of(with_readings(declarations, clipped=CLIPPED, guarded=GUARDED).plan())
    declarations.paper["readings"]["guarded"] = {**GUARDED, "models": {"image-hrm": {"objective": {"guard": 1e-3}}}}
    after = jobs_of(declarations.plan())
    changed = {file for file in before if before[file].spec != after[file].spec}
    computed = {file for file in changed if before[file].step in {"data", "train", "measure"}}
    assert computed
    assert all("image-hrm@guarded" in file for file in computed)
    assert before.keys() == after.keys()


def test_a_reading_concerns_the_tables_and_claims_that_it_names(declarations: Declarations) -> None:
    paper = declarations.paper
    paper["tables"]["again"] = {**paper["tables"]["accuracy"]}
    paper["claims"]["again"] = {**paper["claims"]["hrm-is-better"], "holds_if": ["again[hrm, pgd] >= 1"]}
    concerned = {**CLIPPED, "concerns": {"tables": ["again"]}}
    tables = with_readings(declarations, clipped=concerned).plan().declarations.papers["small"].tables
    assert list(tables) == ["accuracy", "distances", "again", "again@clipped"]
    concerned = {**CLIPPED, "concerns": {"claims": ["hrm-is-better"]}}
    of_claims = spec(with_readings(declarations, clipped=concerned).plan(), "scorecard", paper="small")["claims"]
    assert [len(claim["readings"]) for claim in of_claims] == [2, 1]


def test_a_scale_and_the_user_say_which_readings_are_run(declarations: Declarations) -> None:
    declarations.scales["quick"]["readings"] = {"small": ["clip*"]}
    assert list(claims(with_readings(declarations, clipped=CLIPPED, guarded=GUARDED).plan())) == ["plain", "clipped"]
    declarations.config["overrides"] = {"readings": {"small": ["guarded"]}}
    assert list(claims(declarations.plan())) == ["plain", "guarded"]
    declarations.config["overrides"] = {"readings": {"small": ["clopped"]}}
    with pytest.raises(UserError, match=r"reading of small in .*readings: 'clopped'"):
        declarations.plan()


def test_what_is_changed_of_a_model_is_changed_of_its_variants(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"image-hrm": {"batch_size": 16}}}
    plan = with_readings(declarations, clipped=CLIPPED).plan()
    assert spec(plan, "train", model="image-hrm@clipped", seed=0)["training"]["batch_size"] == 16
    declarations.config["overrides"] = {"models": {"*-hrm": {"batch_size": 16}}}
    plan = declarations.plan()
    assert spec(plan, "train", model="image-hrm@clipped", seed=0)["training"]["batch_size"] == 16
    declarations.config["overrides"] = {"models": {"image-hrm@clipped": {"batch_size": 16}}}
    plan = declarations.plan()
    assert spec(plan, "train", model="image-hrm@clipped", seed=0)["training"]["batch_size"] == 16
    assert spec(plan, "train", model="image-hrm", seed=0)["training"]["batch_size"] == 8


def left_out_in_the_report(plan: Plan) -> list[str]:
    (note,) = (note for note in spec(plan, "report")["differences"] if "left out" in note["words"])
    names: list[str] = note["names"]
    return names


def test_who_leaves_a_model_out_leaves_out_its_variants(declarations: Declarations) -> None:
    declarations.config["leave_out"] = ["*-hrm"]
    plan = with_readings(declarations, clipped=CLIPPED).plan()
    assert plan.declarations.left_out("image-hrm@clipped")
    assert not plan.declarations.left_out("image-erm@clipped")
    # The report names what is meant, and not all that is made of it.
    assert left_out_in_the_report(plan) == ["image-hrm", "points-hrm"]
    declarations.config["leave_out"] = ["image-hrm@*"]
    assert left_out_in_the_report(declarations.plan()) == ["image-hrm@clipped"]


def test_what_refers_to_a_changed_model_is_changed(declarations: Declarations) -> None:
    paper = declarations.paper
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 50}
    paper["models"]["cut"] = {"derived": {"from": "image-hrm", "change": change}}
    attack = {"name": "fgsm", "epsilon": 0.1}
    paper["datasets"] = {"fooling": {"adversarial": {"model": "image-hrm", "attacks": [attack]}}}
    paper["measures"] |= {
        "on-fooling": {"attack": {"name": "clean"}, "data": "fooling"},
        "transfer": {"transfer": {"source": "image-hrm", "targets": ["cut"], "attack": attack}},
    }
    paper["tables"]["others"] = {
        "where": "Table 3",
        "caption": "What refers to others",
        "rows": {"cut": {"label": "Cut", "model": "cut"}},
        "columns": {
            "fooling": {"label": "Fooling", "measure": "on-fooling"},
            "transfer": {"label": "Transfer", "measure": "transfer"},
        },
    }
    plan = with_readings(declarations, clipped=CLIPPED).plan()
    assert plan.job("derive", model="cut@clipped", seed=0).models == (("image-hrm@clipped", 0),)
    assert plan.job("data", dataset="fooling@clipped", seed=0).models == (("image-hrm@clipped", 0),)
    job = plan.job("measure", measure="transfer@clipped", subject="image-hrm@clipped", seed=0)
    assert job.models == (("image-hrm@clipped", 0), ("cut@clipped", 1))
    cells = spec(plan, "table", paper="small", table="others@clipped")["cells"]
    assert [(cell["measures"], cell["subject"]) for cell in cells] == [
        (["on-fooling@clipped"], "cut@clipped"),
        (["transfer@clipped"], "image-hrm@clipped"),
    ]


def test_a_model_is_attacked_by_those_of_its_own_reading(declarations: Declarations) -> None:
    plan = with_readings(declarations, clipped=CLIPPED).plan()
    audit = spec(plan, "audit", paper="small")
    cells = [cell for claim in audit["claims"] for reading in claim["readings"] for cell in reading["cells"]]
    transfers = {cell["model"]: cell["transfer"] for cell in cells}
    assert transfers["image-hrm"] == "audit-transfer-small"
    assert transfers["image-hrm@clipped"] == "audit-transfer-small@clipped"
    assert set(audit["sources"]["image-hrm"]) == {"image-erm", "image-hrm"}
    assert set(audit["sources"]["image-hrm@clipped"]) == {"image-erm@clipped", "image-hrm@clipped"}
    job = plan.job("measure", measure="audit-transfer-small@clipped", subject="image-erm@clipped", seed=0)
    assert {model for model, _ in job.models} == {"image-erm@clipped", "image-hrm@clipped"}


def test_what_of_a_reading_contradicts_the_paper_differs(declarations: Declarations) -> None:
    declarations.config["scale"] = "paper"
    longer = {**CLIPPED, "differs": ["epochs: 8, where Section 5 says 4"]}
    over = {**GUARDED, "over": "longer", "differs": ["a guard"]}
    (claim,) = spec(with_readings(declarations, longer=longer, over=over).plan(), "scorecard", paper="small")["claims"]
    assert [reading["differs"] for reading in claim["readings"]] == [
        [],
        ["epochs: 8, where Section 5 says 4"],
        ["epochs: 8, where Section 5 says 4", "a guard"],
    ]


def test_a_paper_without_readings_has_one_without_a_name(declarations: Declarations) -> None:
    (claim,) = spec(declarations.plan(), "scorecard", paper="small")["claims"]
    assert [(reading["reading"], reading["choices"]) for reading in claim["readings"]] == [("", {})]
    assert spec(declarations.plan(), "page", paper="small")["paper"]["readings"] == []


# -- searches ------------------------------------------------------------------------------------------------

SEARCH: dict[str, Any] = {
    "candidates": {str(count): {"models": {"image-*": {"batch_size": count}}} for count in (4, 8, 32)},
    "data": {"mnist": "validation"},
    "closest_to": "accuracy",
}
PADDED = {"models": {"image-erm": {"network": {"preprocessing": [{"name": "pad", "size": 32}]}}}}
VALIDATION = {"held_out": {"from": "mnist", "examples": 5000}}


def searched(declarations: Declarations, **changes: Any) -> Declarations:
    declarations.paper["datasets"] = {"validation": VALIDATION}
    reading = {**CLIPPED, "over": "clipped", "models": {}, "measures": {}, "search": {**SEARCH, **changes}}
    return with_readings(declarations, clipped=CLIPPED, best=reading)


def test_candidates_are_trained_and_measured_on_other_data_than_is_tested(declarations: Declarations) -> None:
    plan = searched(declarations).plan()
    training = spec(plan, "train", model="image-hrm@best.4", seed=0)["training"]
    assert (training["dataset"], training["batch_size"]) == ("validation", 4)
    assert training["objective"]["loss"] == "clipped_cross_entropy"
    search = spec(plan, "search", paper="small", reading="best")
    assert search["candidates"] == [
        {"candidate": key, "tables": {"accuracy": f"accuracy@best.{key}"}} for key in ("4", "8", "32")
    ]
    assert search["closest_to"] == "accuracy"
    cells = spec(plan, "table", paper="small", table="accuracy@best.4")["cells"]
    assert {len(cell["samples"]) for cell in cells} == {1}  # one seed decides
    job = plan.job("measure", measure="pgd@clipped", subject="image-hrm@best.4", seed=0)
    assert ("data", "results/quick/data/validation/seed0/manifest.json") in job.inputs


def test_of_what_a_sum_decides_only_the_rows_that_it_names_are_trained(declarations: Declarations) -> None:
    decided = {"closest_to": None, "largest": "accuracy[hrm, pgd]", "among": ["accuracy[hrm, clean] >= 50"]}
    plan = searched(declarations, **decided).plan()
    cells = spec(plan, "table", paper="small", table="accuracy@best.4")["cells"]
    assert {cell["row"] for cell in cells} == {"hrm"}
    trainings = [json.loads(job.spec) for job in jobs_of(plan).values() if job.step == "train"]
    on_validation = {each["model"] for each in trainings if each.get("training", {}).get("dataset") == "validation"}
    assert on_validation == {"image-hrm@best.4", "image-hrm@best.8", "image-hrm@best.32"}
    # A second row in a condition is as much part of it.
    both = searched(declarations, **{**decided, "among": ["accuracy[erm, clean] >= 50"]}).plan()
    cells = spec(both, "table", paper="small", table="accuracy@best.4")["cells"]
    assert {cell["row"] for cell in cells} == {"erm", "hrm"}


def test_what_a_search_chooses_is_trained_once_it_is_known(declarations: Declarations) -> None:
    plan = searched(declarations).plan()
    job = plan.job("train", model="image-hrm@best", seed=1)
    assert job.inputs == (
        ("data", "data/digits/manifest.json"),
        ("search", "results/quick/papers/small/searches/best.json"),
    )
    among = json.loads(job.spec)["among"]
    # What was held out is trained on, too.
    assert {key: (each["dataset"], each["batch_size"]) for key, each in among.items()} == {
        "4": ("digits", 4),
        "8": ("digits", 8),
        "32": ("digits", 32),
    }
    assert job.models == ()
    assert claims(plan)["best"] == ["accuracy@best[hrm, pgd] >= accuracy@best[erm, pgd] + 20"]
    jobs = jobs_of(plan)
    assert "search" in {job.step for job in jobs.values()}
    assert not any("refit" in file for file in jobs)
    assert not any("accuracy@best.4" in file for file in plan.job("scorecard", paper="small").files)


def test_a_search_with_nothing_to_choose_from_at_a_scale_is_no_search(declarations: Declarations) -> None:
    declarations.scales["quick"]["models"]["image-*"]["batch_size"] = 16
    plan = searched(declarations).plan()
    assert list(claims(plan)) == ["plain", "clipped"]
    assert "search" not in {job.step for job in jobs_of(plan).values()}


def test_a_claim_that_a_reading_leaves_as_it_is_is_not_tried_again(declarations: Declarations) -> None:
    declarations.paper["claims"]["clean"] = {
        **declarations.paper["claims"]["hrm-is-better"],
        "holds_if": ["accuracy[hrm, clean] >= accuracy[erm, clean]"],
    }
    attack_alone = {**CLIPPED, "models": {}}
    of_claims = spec(with_readings(declarations, attack=attack_alone).plan(), "scorecard", paper="small")["claims"]
    assert {claim["key"]: len(claim["readings"]) for claim in of_claims} == {"hrm-is-better": 2, "clean": 1}


BETWEEN = "accuracy@clipped[hrm, pgd] >= accuracy@guarded[hrm, pgd] + 1"


def test_a_claim_may_compare_tables_under_two_readings_and_is_not_judged_where_one_is_not_run(
    declarations: Declarations,
) -> None:
    claim = {**declarations.paper["claims"]["hrm-is-better"], "holds_if": [BETWEEN]}
    declarations.paper["claims"] = {"between": claim}
    plan = with_readings(declarations, clipped=CLIPPED, guarded=GUARDED).plan()
    assert claims(plan) == {"plain": [BETWEEN]}
    assert set(spec(plan, "audit", paper="small")["seeds"]) == {"image-hrm@clipped", "image-hrm@guarded"}
    declarations.config["overrides"] = {"readings": {"small": ["clipped"]}}
    alone = declarations.plan()
    assert claims(alone) == {"plain": [BETWEEN]}
    assert spec(alone, "audit", paper="small")["seeds"] == {}
    assert "results/quick/papers/small/tables/accuracy@guarded.json" not in jobs_of(alone)


@pytest.mark.parametrize("table", ["accuracy@nothing", "nothing@clipped"])
def test_a_claim_names_no_table_under_a_reading_that_nobody_declared(declarations: Declarations, table: str) -> None:
    claim = {**declarations.paper["claims"]["hrm-is-better"], "holds_if": [f"{table}[hrm, pgd] >= 1"]}
    declarations.paper["claims"] = {"between": claim}
    with pytest.raises(UserError, match=rf"unknown table in .*claims\.between: '{table}'"):
        with_readings(declarations, clipped=CLIPPED).plan()


def test_a_figure_of_a_reading_that_is_not_run_is_not_drawn(declarations: Declarations) -> None:
    panels = [{"label": "HRM", "model": "points-hrm@points"}]
    figure = {"name": "decision_boundaries", "measure": "grid", "panels": panels}
    declarations.paper["figures"]["of-points"] = {"where": "Figure 2", "caption": "Regions", "figure": figure}
    of_points = {**CLIPPED, "measures": {}, "models": {"points-*": {"objective": {"loss": "clipped_cross_entropy"}}}}
    drawn = "results/quick/papers/small/figures/of-points.png"
    assert drawn in jobs_of(with_readings(declarations, points=of_points, guarded=GUARDED).plan())
    declarations.config["overrides"] = {"readings": {"small": ["guarded"]}}
    declarations.scales["quick"]["models"]["points-*@points"] = {"batch_size": 4}
    assert drawn not in jobs_of(declarations.plan())


def test_a_longer_reading_leaves_what_is_declared_a_training_of_its_own(declarations: Declarations) -> None:
    declarations.config["scale"] = "paper"
    declarations.paper["models"]["image-erm"]["checkpoints"] = [4]
    longer = {**PLAIN, "choices": {}, "models": {"image-erm": {"epochs": 8}}}
    plan = with_readings(declarations, longer=longer).plan()
    assert plan.declarations.is_trained("image-erm")
    assert plan.declarations.is_trained("image-erm@longer")


def test_a_shorter_reading_is_measured_over_its_own_epochs_of_the_longer_training(declarations: Declarations) -> None:
    declarations.config["scale"] = "paper"
    paper = declarations.paper
    paper["models"]["image-erm"]["checkpoints"] = [1, 2, 3]
    paper["measures"]["over"] = {"over_epochs": {"attack": {"name": "clean"}}}
    shorter = {**PLAIN, "choices": {}, "models": {"image-erm": {"epochs": 2}}}
    plan = with_readings(declarations, shorter=shorter).plan()
    job = plan.job("measure", measure="over", subject="image-erm@shorter", seed=0)
    assert ("checkpoints", plan.layout.checkpoints("image-erm", 0)) in job.inputs
    assert ("weights", plan.layout.weights("image-erm@shorter", 0)) in job.inputs
    assert json.loads(job.spec)["subjects"][0]["checkpoints"] == [1, 2]


# -- mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        ({"clipped": CLIPPED}, "readings: expected one that changes nothing, which is the default; found none"),
        (
            {"plain": PLAIN, "other": PLAIN},
            "expected one that changes nothing, which is the default; found plain, other",
        ),
        ({"plain": PLAIN}, "readings: expected two or more, the default among them; found plain"),
        ({"plain": PLAIN, "a": {**CLIPPED, "over": "b"}}, "reading in papers/small/paper.yaml: readings.a.over: 'b'"),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "over": "b"}, "b": {**CLIPPED, "over": "a"}},
            "readings.a: over: in a circle: a over b over a",
        ),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "choices": {"los": "clipped"}}},
            "papers/small/paper.yaml: readings.a.choices, which the default answers: 'los'; did you mean 'loss'?",
        ),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "concerns": {"tables": ["accurac"]}}},
            "table in papers/small/paper.yaml: readings.a.concerns: 'accurac'; did you mean 'accuracy'?",
        ),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "concerns": {"claims": ["hrm"]}}},
            "claim in papers/small/paper.yaml: readings.a.concerns: 'hrm'",
        ),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "models": {"imag-*": {"epochs": 1}}}},
            "model in papers/small/paper.yaml: readings.a: 'imag-*'",
        ),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "models": {"image-hrm": {"epoch": 1}}}},
            "readings.a: models.image-hrm: epoch: unknown key; did you mean 'epochs'?",
        ),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "measures": {"pgd": {"attack": {"step": 1}}}}},
            "papers/small/paper.yaml: readings.a: measures.pgd",
        ),
        (
            {"plain": {"unsaid": "x"}, "a": CLIPPED},
            "papers/small/paper.yaml: readings.plain: where: this key is missing",
        ),
        ({"plain": PLAIN, "a": {**CLIPPED, "search": {**SEARCH, "largest": "accuracy[erm, pgd]"}}}, "closest_to"),
        (
            {"plain": PLAIN, "a": {**CLIPPED, "search": {**SEARCH, "closest_to": "acuracy"}}},
            "table in papers/small/paper.yaml: readings.a.search.closest_to: 'acuracy'; did you mean 'accuracy'?",
        ),
    ],
)
def test_a_mistake_in_a_reading_is_told_by_its_place(
    declarations: Declarations, readings: dict[str, Any], said: str
) -> None:
    declarations.paper["models"]["image-hrm"]["objective"] = {"name": "hrm"}
    declarations.paper["datasets"] = {"validation": VALIDATION}
    declarations.paper["readings"] = readings
    with pytest.raises(UserError) as caught:
        declarations.plan()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"mnst": "validation"}}, "search.data: clean of image-erm@best.4 would be decided on digits"),
        ({"data": {"mnist": "mnist"}}, "search.data: clean of image-erm@best.4 would be decided on digits"),
        ({"closest_to": "distances"}, "search.closest_to: distances has no 'published' numbers to be near"),
        ({"closest_to": None, "largest": "acuracy[hrm, pgd]"}, "search: 'acuracy'; did you mean 'accuracy'?"),
        ({"closest_to": None, "largest": "accuracy[hrn, pgd]"}, "'hrn'; did you mean 'hrm'?"),
        ({"closest_to": None, "largest": "hello world"}, "readings.best.search"),
        ({"closest_to": None, "largest": "distances[8, erm-hrm]"}, "search: no candidate changes what is compared"),
        (
            {
                "candidates": {
                    "a": {"models": {"image-erm": {"network": {"preprocessing": [{"name": "pad", "size": 32}]}}}},
                    "b": {"models": {"image-erm": {"batch_size": 4}}},
                }
            },
            "search: the candidates give image-erm different networks; expected one",
        ),
    ],
)
def test_a_search_that_cannot_be_decided_is_refused(
    declarations: Declarations, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        searched(declarations, **changes).plan()
    assert said in str(caught.value)


def test_a_search_that_changes_what_is_derived_from_a_training_is_refused(declarations: Declarations) -> None:
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 50}
    declarations.paper["models"]["cut"] = {"derived": {"from": "image-hrm", "change": change}}
    declarations.paper["tables"]["accuracy"]["rows"]["hrm"]["model"] = "cut"
    candidates = {str(part): {"models": {"cut": {"derived": {"change": {"percent": part}}}}} for part in (5, 9)}
    with pytest.raises(UserError, match=r"readings\.best\.search: it chooses how models are trained, and cut, which"):
        searched(declarations, candidates=candidates).plan()


def test_what_a_search_chooses_has_as_many_seeds_as_are_asked_for_it_whatever_its_candidates_have(
    declarations: Declarations,
) -> None:
    declarations.config["overrides"] = {
        "models": {"image-hrm@best": {"seeds": 4}, "image-hrm@clipped": {"seeds": 1}},
    }
    plan = searched(declarations).plan()
    assert len(plan.declarations.seeds("image-hrm@best")) == 4
    assert len(plan.declarations.seeds("image-erm@best")) == len(plan.declarations.seeds("image-erm"))


def test_to_leave_a_reading_out_leaves_a_search_in_that_has_it_as_a_candidate(declarations: Declarations) -> None:
    declarations.config["leave_out"] = ["image-hrm@clipped"]
    plan = searched(declarations).plan()
    assert not plan.declarations.left_out("image-hrm@best")
    declarations.config["leave_out"] = ["image-hrm@best.*"]
    plan = declarations.plan()
    assert plan.declarations.left_out("image-hrm@best")
    # Who reads the report learns of what would have been trained.
    assert left_out_in_the_report(plan) == [
        "image-hrm@best.4",
        "image-hrm@best.8",
        "image-hrm@best.32",
        "image-hrm@best",
    ]


def test_the_caption_of_a_table_decides_no_search(declarations: Declarations) -> None:
    before = searched(declarations).plan()
    declarations.paper["tables"]["accuracy"] |= {"caption": "Other words", "where": "Table 20"}
    after = declarations.plan()
    assert before.job("table", paper="small", table="accuracy@best") != after.job(
        "table", paper="small", table="accuracy@best"
    )
    for job in ("accuracy@best.4", "accuracy@best.8", "accuracy@best.32"):
        assert before.job("table", paper="small", table=job) == after.job("table", paper="small", table=job)


def test_a_table_says_how_what_it_shows_may_have_been_trained(declarations: Declarations) -> None:
    training = spec(searched(declarations).plan(), "table", paper="small", table="accuracy@best")["training"]
    account = json.loads(training["image-hrm@best"])
    assert account["search"] == "small/best"
    assert {key: each["batch_size"] for key, each in account["among"].items()} == {"4": 4, "8": 8, "32": 32}


def test_weights_within_a_training_that_a_search_chooses_are_not_to_be_had(declarations: Declarations) -> None:
    plan = searched(declarations).plan()
    with pytest.raises(UserError, match="image-hrm@best, which a search chooses, so that its epochs are not known"):
        require_checkpoints("over-epochs", "image-hrm@best", plan.declarations.models)


def test_what_a_search_chooses_has_no_training_objective_to_ascend(declarations: Declarations) -> None:
    declarations.paper["measures"]["pgd"]["attack"]["loss"] = "training"
    declarations.paper["readings"] = {}
    reading = {**PLAIN, "choices": {}, "search": SEARCH}
    declarations.paper["datasets"] = {"validation": VALIDATION}
    with pytest.raises(UserError, match="pgd needs the objective of image-erm@best, which a search chooses"):
        with_readings(declarations, best=reading).plan()


def test_readings_of_an_unknown_paper_are_refused(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"readings": {"smal": ["clipped"]}}
    with pytest.raises(UserError, match=r"paper in .* overrides: readings: 'smal'"):
        with_readings(declarations, clipped=CLIPPED).plan()


@pytest.mark.parametrize("kind", ["models", "measures"])
def test_no_declared_name_looks_like_that_of_a_variant(declarations: Declarations, kind: str) -> None:
    declared = declarations.paper[kind]
    declared["a@b"] = next(iter(declared.values()))
    with pytest.raises(UserError, match=f"{kind}: the name 'a@b' cannot be part of a path"):
        declarations.plan()


def test_readings_that_the_user_asks_for_stand_at_the_top_of_the_report(declarations: Declarations) -> None:
    with_readings(declarations, clipped=CLIPPED, guarded=GUARDED)
    for asked, words in ((["guarded"], "guarded"), ([], "none")):
        declarations.config |= {"overrides": {"readings": {"small": asked}}}
        notes = json.loads(declarations.plan().job("report").spec)["differences"]
        changes = [note["words"] for note in notes if note["overridden"]]
        assert changes == [f"readings of small: {words} (config.yaml)"]

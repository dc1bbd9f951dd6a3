"""What a run has other than its papers: every key of every model and measure, the user's own changes told apart."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from conftest import Declarations

from robustrepro.errors import UserError
from robustrepro.spec.differences import Differences
from robustrepro.spec.plan import Plan

STAND_IN = "dataset: digits instead of mnist"


def words(plan: Plan, model: str) -> list[str]:
    return [str(difference) for difference in Differences(plan.declarations).of_model(model)]


def differing(plan: Plan, claim: str = "hrm-is-better") -> list[str]:
    """Return what differs of a claim, as the job of the scorecard has it."""
    claims: list[dict[str, Any]] = json.loads(plan.job("scorecard", paper="small").spec)["claims"]
    return next(declared["readings"][0]["differs"] for declared in claims if declared["key"] == claim)


def test_nothing_differs_at_a_scale_that_changes_nothing(declarations: Declarations) -> None:
    declarations.config["scale"] = "paper"
    plan = declarations.plan()
    assert differing(plan) == []
    assert json.loads(plan.job("report").spec)["differences"] == []


def test_a_claim_says_what_of_its_models_and_measures_the_scale_changes(declarations: Declarations) -> None:
    declarations.scales["quick"]["measures"] = {"pgd": {"examples": 10}}
    assert differing(declarations.plan()) == [
        "dataset: digits instead of mnist (image-hrm, image-erm)",
        "epochs: 3 instead of 4 (image-hrm)",
        "examples: 10 instead of all (pgd)",
        "epochs: 2 instead of 4 (image-erm)",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"augmentation": None}, "augmentation: none instead of crop_and_flip (padding: 4)"),
        ({"optimizer": {"learning_rate": 0.01}}, "optimizer.learning_rate: 0.01 instead of 0.001"),
        ({"batch_size": 4}, "batch_size: 4 instead of 8"),
        (
            {"objective": {"name": "cem"}},
            "objective: cem (loss: cross_entropy, guard: 1e-08) instead of erm (loss: cross_entropy)",
        ),
        (
            {"network": {"architecture": {"name": "convnet", "channels": [4, 8]}}},
            "network.architecture: convnet (channels: 4, 8) instead of lenet5",
        ),
        (
            {"network": {"preprocessing": [{"name": "pad", "size": 32}]}},
            "network.preprocessing: pad (size: 32) instead of none",
        ),
    ],
    ids=["a dropped augmentation", "a learning rate", "a batch size", "an objective", "a network", "preprocessing"],
)
def test_every_key_that_decides_the_weights_is_compared(
    declarations: Declarations, change: dict[str, Any], said: str
) -> None:
    declarations.paper["models"]["image-erm"]["augmentation"] = {"name": "crop_and_flip"}
    declarations.scales["quick"]["models"] = {"image-erm": change}
    assert words(declarations.plan(), "image-erm") == [STAND_IN, said]


def test_seeds_and_the_accuracy_during_training_are_no_difference_from_the_paper(declarations: Declarations) -> None:
    declarations.scales["quick"]["models"] = {"image-erm": {"seeds": 7, "test_accuracy": True}}
    assert words(declarations.plan(), "image-erm") == [STAND_IN]


def test_what_the_user_changes_is_told_apart_from_what_the_scale_does(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"image-erm": {"optimizer": {"learning_rate": 0.01}}}}
    plan = declarations.plan()
    assert words(plan, "image-erm") == [
        STAND_IN,
        "optimizer.learning_rate: 0.01 instead of 0.001 (config.yaml)",
        "epochs: 2 instead of 4",
    ]
    notes = json.loads(plan.job("report").spec)["differences"]
    assert [(note["words"], note["names"]) for note in notes if note["overridden"]] == [
        ("optimizer.learning_rate: 0.01 instead of 0.001 (config.yaml)", ["image-erm"])
    ]


def test_a_change_back_to_the_papers_value_differs_from_the_scale_alone(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"image-erm": {"epochs": 4}}, "seeds": 5}
    plan = declarations.plan()
    assert words(plan, "image-erm") == [
        STAND_IN,
        "epochs: 4 instead of this scale's 2 (config.yaml)",
        "seeds: 5 instead of this scale's 2 (config.yaml)",
    ]
    assert [said for said in differing(plan) if "image-erm" in said] == [f"{STAND_IN} (image-hrm, image-erm)"]


def test_a_row_says_what_the_user_changed_of_it_and_other_rows_do_not(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {"image-hrm": {"batch_size": 4}}}
    spec = json.loads(declarations.plan().job("table", paper="small", table="accuracy").spec)
    assert {row["key"]: row["differs"] for row in spec["rows"]} == {
        "erm": [],
        "hrm": ["batch_size: 4 instead of 8 (config.yaml)"],
    }
    assert "epochs: 2 instead of 4 (image-erm)" in spec["differs"]


def test_a_derived_model_differs_where_its_source_does(declarations: Declarations) -> None:
    change = {"name": "truncate_singular_values", "layer": "f6", "percent": 10}
    declarations.paper["models"]["image-cut"] = {"derived": {"from": "image-erm", "change": change}}
    declarations.config["overrides"] = {"models": {"image-cut": {"derived": {"change": {"percent": 20}}}}}
    assert words(declarations.plan(), "image-cut") == [
        "change.percent: 20 instead of 10 (config.yaml)",
        f"from.{STAND_IN}",
        "from.epochs: 2 instead of 4",
    ]


def test_data_that_need_not_be_the_official_ones_are_said(declarations: Declarations) -> None:
    declarations.config |= {"scale": "paper", "data": {"allow_unverified": ["mnist"]}}
    plan = declarations.plan()
    assert differing(plan) == ["data: mnist from files that need not be the official ones (config.yaml)"]
    assert all(note["overridden"] for note in json.loads(plan.job("report").spec)["differences"])


def test_a_claim_on_a_computed_cell_rests_on_the_cells_that_it_is_computed_from(declarations: Declarations) -> None:
    declarations.paper["tables"]["ratios"] = {
        "where": "Table 9",
        "caption": "Ratios",
        "rows": declarations.paper["tables"]["accuracy"]["rows"],
        "columns": {
            "pgd": {"label": "PGD", "measure": "pgd"},
            "ratio": {"label": "Ratio", "value": "this[pgd] / erm[pgd]"},
        },
    }
    declarations.paper["claims"]["ratio"] = {
        "says": "It is twice as robust.",
        "where": "Table 9",
        "holds_if": ["ratios[hrm, ratio] >= 2"],
        "margins": "None.",
    }
    assert {"epochs: 3 instead of 4 (image-hrm)", "epochs: 2 instead of 4 (image-erm)"} <= set(
        differing(declarations.plan(), "ratio")
    )


def test_models_with_the_same_difference_are_named_together_and_counted_where_they_are_many(
    declarations: Declarations,
) -> None:
    model = declarations.paper["models"]["image-erm"]
    rows = declarations.paper["tables"]["accuracy"]["rows"]
    for number in range(3):
        declarations.paper["models"][f"image-erm-{number}"] = model
        rows[f"erm-{number}"] = {"label": f"ERM {number}", "model": f"image-erm-{number}"}
    del declarations.paper["tables"]["accuracy"]["published"]
    spec = json.loads(declarations.plan().job("table", paper="small", table="accuracy").spec)
    assert "epochs: 2 instead of 4 (4 models)" in spec["differs"]


def audited(plan: Plan) -> list[str]:
    """Return what differs of all that the claim is audited with."""
    (claim,) = json.loads(plan.job("audit", paper="small").spec)["claims"]
    differs: list[str] = claim["readings"][0]["differs"]
    return differs


def test_what_differs_in_the_audit_is_said_beside_it(declarations: Declarations) -> None:
    declarations.scales["paper"]["audit"] = {"examples": 5}
    declarations.config |= {"scale": "paper", "overrides": {"audit": {"attacks": {"pgd": {"steps": 3}}}}}
    plan = declarations.plan()
    assert audited(plan) == [
        "audit.examples: 5 instead of 20",
        "audit.attacks.pgd.steps: 3 instead of 5 (config.yaml)",
    ]
    assert differing(plan) == []


def test_an_audit_is_changed_for_some_papers_by_name_or_pattern_and_the_user_for_all_of_them(
    declarations: Declarations,
) -> None:
    nothing: dict[str, Any] = {key: {} for key in ("models", "measures", "tables", "figures", "claims")}
    declarations.papers["other"] = declarations.paper | nothing
    declarations.scales["paper"]["audit"] = {
        "examples": 5,
        "papers": {"*": {"noises": 1}, "oth*": {"examples": 3, "attacks": {"pgd": {"steps": 2}}}},
    }
    declarations.config |= {"scale": "paper", "papers": ["small", "other"]}

    def audits() -> list[tuple[int, int, int]]:
        plan = declarations.plan()
        of = [plan.declarations.audit(paper) for paper in ("small", "other")]
        return [(audit.examples, audit.noises, audit.attacks["pgd"]["steps"]) for audit in of]

    assert audits() == [(5, 1, 5), (3, 1, 2)]
    report = json.loads(declarations.plan().job("report").spec)
    said = [(note["words"], note["names"]) for note in report["differences"] if "audit" in note["words"]]
    assert said == [
        ("audit.examples: 5 instead of 20", ["small"]),
        ("audit.noises: 1 instead of 2", []),
        ("audit.examples: 3 instead of 20", ["other"]),
        ("audit.attacks.pgd.steps: 2 instead of 5", ["other"]),
    ]
    declarations.config["overrides"] = {"audit": {"examples": 7}}
    assert audits() == [(7, 1, 5), (7, 1, 2)]
    declarations.config["overrides"] = {"audit": {"papers": {"small": {"examples": 8}}}}
    assert audits() == [(8, 1, 5), (3, 1, 2)]


@pytest.mark.parametrize("order", [("small", "other"), ("other", "small")])
def test_papers_that_claim_in_the_same_ball_have_each_its_own_audit_there(
    declarations: Declarations, order: tuple[str, str]
) -> None:
    second = copy.deepcopy(declarations.paper)
    for kind in ("models", "measures"):
        second[kind] = {f"other-{name}": declared for name, declared in second[kind].items()}
    for row in second["tables"]["accuracy"]["rows"].values():
        row["model"] = f"other-{row['model']}"
    for column in second["tables"]["accuracy"]["columns"].values():
        column["measure"] = f"other-{column['measure']}"
    second["tables"] = {"accuracy": {**second["tables"]["accuracy"], "published": None}}
    second |= {"figures": {}}
    declarations.papers["other"] = second
    declarations.scales["quick"]["audit"] = {"papers": {"small": {"examples": 3}, "other": {"examples": 2}}}
    declarations.config["papers"] = list(order)
    plan = declarations.plan()

    jobs = [
        plan.job("measure", measure="audit-linf-0.3", subject=model, seed=0)
        for model in ("image-hrm", "other-image-hrm")
    ]
    assert [json.loads(job.spec)["measure"]["examples"] for job in jobs] == [3, 2]


def test_a_model_that_two_papers_audit_differently_in_one_ball_is_refused(declarations: Declarations) -> None:
    second = copy.deepcopy(declarations.paper) | {"models": {}, "measures": {}, "figures": {}}
    second["tables"] = {"accuracy": {**second["tables"]["accuracy"], "published": None}}
    declarations.papers["other"] = second
    declarations.config["papers"] = ["small", "other"]
    declarations.plan()
    declarations.scales["quick"]["audit"] = {"papers": {"other": {"examples": 2}}}
    with pytest.raises(UserError, match=r"image-erm is audited in the linf ball of 0\.3 by two papers, whose audits"):
        declarations.plan()


def with_a_third_model(declarations: Declarations) -> None:
    """Show another model on images, which attacks the two of the claim, and another measure in the claim's ball."""
    declarations.config["scale"] = "paper"
    declarations.paper["models"]["image-other"] = declarations.paper["models"]["image-erm"] | {"batch_size": 4}
    declarations.paper["tables"]["more"] = {
        "where": "Table 9",
        "caption": "More",
        "rows": {
            "hrm": {"label": "HRM", "model": "image-hrm"},
            "other": {"label": "Other", "model": "image-other"},
        },
        "columns": {"fgsm": {"label": "FGSM", "measure": "fgsm"}},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leave_out": ["image-other"]}, "transfer: none from image-other (config.yaml)"),
        (
            {"overrides": {"models": {"image-other": {"epochs": 1}}}},
            "epochs: 1 instead of 4 (config.yaml) (image-other)",
        ),
        ({"overrides": {"measures": {"fgsm": {"examples": 1}}}}, "examples: 1 instead of all (config.yaml) (fgsm)"),
    ],
    ids=["a source left out", "a source trained less", "fewer images of a measure in the same ball"],
)
def test_a_weaker_audit_is_said_and_leaves_the_claims_own_verdict(
    declarations: Declarations, change: dict[str, Any], said: str
) -> None:
    with_a_third_model(declarations)
    assert audited(declarations.plan()) == []
    declarations.config |= change
    plan = declarations.plan()
    assert audited(plan) == [said]
    assert differing(plan) == []


def test_a_model_of_other_data_is_told_though_its_measures_read_the_papers(declarations: Declarations) -> None:
    declarations.config["scale"] = "paper"
    for measure in ("clean", "pgd"):
        declarations.paper["measures"][measure]["data"] = "mnist"
    assert differing(declarations.plan()) == []
    declarations.config["overrides"] = {"models": {"image-hrm": {"dataset": "digits"}}}
    plan = declarations.plan()
    assert differing(plan) == ["dataset: digits instead of mnist (config.yaml) (image-hrm)"]
    rows = json.loads(plan.job("table", paper="small", table="accuracy").spec)["rows"]
    assert [row["differs"] for row in rows] == [[], ["dataset: digits instead of mnist (config.yaml)"]]


def test_data_generated_from_a_stand_in_are_told_by_their_source(declarations: Declarations) -> None:
    noise = {"name": "gaussian_noise", "standard_deviation": 0.1}
    declarations.paper["datasets"] = {"noisy": {"generated": {"from": "mnist", "by": noise}}}
    declarations.paper["measures"]["pgd"]["data"] = "noisy"
    assert "data.from: digits instead of mnist (pgd)" in differing(declarations.plan())


def test_numbers_that_look_alike_are_told_in_all_digits(declarations: Declarations) -> None:
    close = {"image-erm": {"optimizer": {"learning_rate": 0.0010000001}}}
    declarations.config |= {"scale": "paper", "overrides": {"models": close}}
    assert words(declarations.plan(), "image-erm") == [
        "optimizer.learning_rate: 0.0010000001 instead of 0.001 (config.yaml)"
    ]


def test_the_users_seeds_of_one_model_are_told_apart_from_the_scales(declarations: Declarations) -> None:
    declarations.scales["quick"]["models"] = {"image-erm": {"seeds": 4}}
    declarations.config["overrides"] = {"models": {"image-erm": {"seeds": 6}}}
    assert words(declarations.plan(), "image-erm") == [STAND_IN, "seeds: 6 instead of this scale's 4 (config.yaml)"]


def test_the_model_that_a_measures_data_are_made_from_counts_as_well(declarations: Declarations) -> None:
    attack = {"name": "fgsm", "epsilon": 0.1}
    declarations.paper["datasets"] = {"hard": {"adversarial": {"model": "image-hrm", "attacks": [attack]}}}
    declarations.paper["measures"]["on-hard"] = {"attack": {"name": "clean"}, "data": "hard"}
    declarations.paper["tables"]["hard"] = {
        "where": "Table 8",
        "caption": "Hard images",
        "rows": {"erm": {"label": "ERM", "model": "image-erm"}},
        "columns": {"hard": {"label": "Hard", "measure": "on-hard"}},
    }
    spec = json.loads(declarations.plan().job("table", paper="small", table="hard").spec)
    assert {"epochs: 2 instead of 4 (image-erm)", "epochs: 3 instead of 4 (image-hrm)"} <= set(spec["differs"])


def test_what_differs_in_the_audit_and_what_is_left_out_stand_at_the_top_of_the_report(
    declarations: Declarations,
) -> None:
    with_a_third_model(declarations)
    declarations.config |= {"leave_out": ["image-other"], "overrides": {"audit": {"examples": 5}}}
    notes = json.loads(declarations.plan().job("report").spec)["differences"]
    assert [(note["words"], note["names"], note["overridden"]) for note in notes] == [
        ("audit.examples: 5 instead of 20 (config.yaml)", [], True),
        ("models: left out (config.yaml)", ["image-other"], True),
    ]

"""The audit as planned: which models and balls, by whom they are attacked, and with what."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Declarations

ERM, HRM = "image-erm", "image-hrm"
MEASUREMENTS = "results/quick/measurements"
BALL = ("linf", 0.3)


def claim(declared: Declarations, *conditions: str) -> None:
    """Let the paper claim this and nothing else."""
    declared.paper["claims"]["hrm-is-better"]["holds_if"] = list(conditions)


def measure(declared: Declarations, key: str, attack: dict[str, Any], **more: Any) -> None:
    """Declare a measure and a column for it in the table of accuracies."""
    declared.paper["measures"][key] = {"attack": attack, **more}
    declared.paper["tables"]["accuracy"]["columns"][key] = {"label": key, "measure": key}
    declared.paper["tables"]["accuracy"].pop("published", None)
    declared.published.clear()


def test_the_models_of_a_claims_attacked_cells_are_audited_in_the_balls_of_these(declarations: Declarations) -> None:
    assert declarations.plan().robustness.audited == {ERM: [BALL], HRM: [BALL]}
    measure(declarations, "smaller", {"name": "fgsm", "epsilon": 0.1})
    measure(declarations, "round", {"name": "fgsm", "epsilon": 2.0, "norm": "l2"})
    measure(declarations, "same-ball", {"name": "fgsm", "epsilon": 0.3})
    claim(
        declarations,
        "accuracy[hrm, pgd] + accuracy[hrm, smaller] >= 20",
        "accuracy[hrm, round] + accuracy[hrm, same-ball] >= 20",
    )
    assert declarations.plan().robustness.audited == {HRM: [("l2", 2.0), ("linf", 0.1), BALL]}


NO_ATTACKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "clean": ("accuracy[hrm, clean] >= 20", {"name": "clean"}, {}),
    "on the training split": ("accuracy[hrm, other] >= 20", {"name": "fgsm", "epsilon": 0.3}, {"split": "train"}),
    "epsilon 0": ("accuracy[hrm, other] >= 20", {"name": "fgsm", "epsilon": 0.0}, {}),
    "by transfer": ("transfer[hrm, erm] >= 20", {"name": "clean"}, {}),
    "a distance": ("distances[8, erm-hrm] >= 20", {"name": "clean"}, {}),
}


@pytest.mark.parametrize("which", NO_ATTACKS)
def test_a_claim_that_rests_on_no_attack_on_the_model_itself_is_not_audited(
    declarations: Declarations, which: str
) -> None:
    condition, attack, more = NO_ATTACKS[which]
    declarations.add_transfer("transfer", white_box=True)
    measure(declarations, "other", attack, **more)
    claim(declarations, condition)
    plan = declarations.plan()
    assert plan.robustness.audited == {}
    assert json.loads(plan.claims_audit_spec())["papers"][0]["claims"] == []
    assert plan.audit_inputs() == []
    claim(declarations, condition, "accuracy[erm, pgd] >= 0")
    assert declarations.plan().robustness.audited == {ERM: [BALL]}


def test_a_claim_is_audited_with_own_measures_battery_and_transfer_from_all_other_models_on_its_data(
    declarations: Declarations,
) -> None:
    measure(declarations, "fgsm", {"name": "fgsm", "epsilon": 0.3})
    measure(declarations, "smaller", {"name": "fgsm", "epsilon": 0.1})
    measure(declarations, "train", {"name": "fgsm", "epsilon": 0.3}, split="train")
    declarations.paper["models"]["image-other"] = declarations.paper["models"][ERM] | {"seeds": 1}
    claim(declarations, "accuracy[hrm, pgd] >= 20")
    plan = declarations.plan()
    sources = [(ERM, 0), (ERM, 1), (HRM, 0), (HRM, 1), ("image-other", 0)]
    expected = {
        file
        for seed in (0, 1)
        for file in [
            *(f"{MEASUREMENTS}/attack/{HRM}/seed{seed}/{name}.parquet" for name in ("pgd", "fgsm")),
            f"{MEASUREMENTS}/audit/{HRM}/seed{seed}/audit.parquet",
        ]
    } | {f"{MEASUREMENTS}/transfer/{source}/seed{seed}/audit.parquet" for source, seed in sources}
    assert set(plan.audit_inputs()) == expected
    assert len(plan.audit_inputs()) == len(expected)
    (paper,) = json.loads(plan.claims_audit_spec())["papers"]
    assert paper["seeds"] == {HRM: 2}
    assert paper["sources"] == {HRM: {ERM: 2, HRM: 2, "image-other": 1}}
    (cell,) = paper["claims"][0]["cells"]
    assert cell == {
        "cell": "accuracy[hrm, pgd]",
        "table": "accuracy",
        "row": "hrm",
        "column": "pgd",
        "model": HRM,
        "measure": "pgd",
        "norm": "linf",
        "epsilon": 0.3,
        "measures": ["pgd", "fgsm"],
    }


def test_every_model_on_the_data_attacks_the_audited_ones_in_all_their_balls_and_never_itself(
    declarations: Declarations,
) -> None:
    measure(declarations, "smaller", {"name": "fgsm", "epsilon": 0.1})
    claim(declarations, "accuracy[erm, smaller] >= 20", "accuracy[hrm, pgd] >= 20")
    declarations.paper["models"]["image-other"] = declarations.paper["models"][ERM]
    plan = declarations.plan()
    everyone = [(ERM, 0), (ERM, 1), (HRM, 0), (HRM, 1)]
    for source in [*everyone, ("image-other", 0)]:
        expected = [target for target in everyone if target != source]
        assert plan.robustness.transfer_targets(*source, "audit") == expected
        spec = json.loads(plan.transfer_spec(*source, "audit"))
        assert [(target["model"], target["seed"]) for target in spec["targets"]] == expected
        assert [(attack["norm"], attack["epsilon"]) for attack in spec["attacks"]] == [("linf", 0.1), BALL]
        assert {attack["loss"] for attack in spec["attacks"]} == {"log_odds"}
        assert (spec["split"], spec["examples"]) == ("test", 20)
    assert plan.robustness.transfer_targets("points-erm", 0, "audit") == []


def test_the_audits_attacks_are_those_of_the_ball_with_steps_that_reach_across_it(declarations: Declarations) -> None:
    measure(declarations, "smaller", {"name": "fgsm", "epsilon": 0.1})
    claim(declarations, "accuracy[hrm, pgd] + accuracy[hrm, smaller] >= 20")
    declarations.audit["attacks"]["fixed"] = {"name": "bim", "steps": 4, "step_size": 0.01}
    spec = json.loads(declarations.plan().audit_spec(HRM))
    assert spec["architecture"] == {"name": "lenet5"}
    assert spec["examples"] == 20
    for ball, epsilon in zip(spec["balls"], (0.1, 0.3), strict=True):
        assert (ball["norm"], ball["epsilon"]) == ("linf", epsilon)
        several = [*ball["attacks"].values(), *ball["escalation"]["attacks"].values(), ball["noise"]["attack"]]
        assert {(attack["norm"], attack["epsilon"]) for attack in several} == {("linf", epsilon)}
        assert ball["attacks"]["pgd"]["step_size"] == pytest.approx(2.5 * epsilon / 5)
        assert ball["escalation"]["attacks"]["pgd-margin-2"]["restarts"] == 2
        assert ball["attacks"]["fixed"]["step_size"] == 0.01
        assert ball["noise"]["attack"]["draws"] == 2
        assert ball["smaller"]["attack"]["epsilons"] == [pytest.approx(epsilon / 2)]
        assert ball["smaller"]["attack"]["attack"]["norm"] == "linf"


def test_a_scale_changes_the_audit_and_the_users_overrides_the_scale(declarations: Declarations) -> None:
    declarations.scales["quick"]["audit"] = {"examples": 7, "attacks": {"pgd": {"steps": 3}}}
    before = json.loads(declarations.plan().audit_spec(HRM))
    assert before["examples"] == 7
    (ball,) = before["balls"]
    assert (ball["attacks"]["pgd"]["steps"], ball["attacks"]["pgd-margin"]["steps"]) == (3, 5)
    assert ball["attacks"]["pgd"]["step_size"] == pytest.approx(2.5 * 0.3 / 3)
    changed = {"examples": 9, "attacks": {"pgd-margin": {"name": "bim", "steps": 8}}, "smaller": {"shares": [0.1, 0.2]}}
    declarations.config["overrides"] = {"audit": changed}
    after = json.loads(declarations.plan().audit_spec(HRM))
    assert after["examples"] == 9
    (ball,) = after["balls"]
    assert (ball["attacks"]["pgd-margin"]["name"], ball["attacks"]["pgd-margin"]["steps"]) == ("bim", 8)
    assert ball["smaller"]["attack"]["epsilons"] == [pytest.approx(0.03), pytest.approx(0.06)]
    declarations.config["scale"] = "paper"
    declarations.config["overrides"] = {}
    assert json.loads(declarations.plan().audit_spec(HRM))["examples"] == 20


def test_what_the_audit_runs_is_measured_anew_where_it_changed_and_nothing_else_is(declarations: Declarations) -> None:
    plan = declarations.plan()
    declarations.audit["attacks"]["pgd"]["steps"] = 6
    changed = declarations.plan()
    assert changed.audit_spec(HRM) != plan.audit_spec(HRM)
    assert changed.transfer_spec(HRM, 0, "audit") == plan.transfer_spec(HRM, 0, "audit")
    assert changed.attack_spec(HRM, "pgd") == plan.attack_spec(HRM, "pgd")
    assert changed.claims_audit_spec() == plan.claims_audit_spec()
    declarations.audit["transfer"]["steps"] = 6
    other = declarations.plan()
    assert other.audit_spec(HRM) == changed.audit_spec(HRM)
    assert other.transfer_spec(HRM, 0, "audit") != changed.transfer_spec(HRM, 0, "audit")

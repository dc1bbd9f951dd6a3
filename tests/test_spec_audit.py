"""The audit as declared: templates become attacks in a ball, and mistakes are refused with their place."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from conftest import Declarations
from pydantic import ValidationError

from robustrepro.spec.attacks import Curve, Inputs, Noise
from robustrepro.spec.audit import Audit, AuditBall, attack_at, ball_of

AUDIT: dict[str, Any] = {
    "examples": 20,
    "attacks": {
        "fgsm": {"name": "fgsm"},
        "pgd": {"name": "pgd", "steps": 5},
        "fixed": {"name": "bim", "steps": 4, "step_size": "1/100"},
    },
    "transfer": {"name": "pgd", "loss": "log_odds", "steps": 5},
    "escalation": {"pgd-margin-2": {"name": "pgd", "loss": "margin", "steps": 5, "restarts": 2}},
    "smaller": {"shares": [0.25, 0.5], "attack": {"name": "pgd", "steps": 5, "relative_step": 0.5}},
    "noises": 2,
}
IMAGES = Inputs((1, 28, 28), 10)


def audit(**changes: Any) -> Audit:
    return Audit.model_validate({**copy.deepcopy(AUDIT), **changes})


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.1), ("l2", 2.0), ("l1", 8.0)])
def test_the_audits_attacks_are_those_of_the_ball_with_steps_that_reach_across_it(norm: Any, epsilon: float) -> None:
    ball = ball_of(audit(), norm, epsilon, IMAGES)
    assert (ball.norm, ball.epsilon) == (norm, epsilon)
    attacks = [*ball.attacks.values(), *ball.escalation.values(), ball.noise]
    assert {(attack.norm, attack.epsilon) for attack in attacks} == {(norm, epsilon)}
    assert ball.attacks["pgd"].step_size == pytest.approx(2.5 * epsilon / 5)
    assert ball.attacks["fixed"].step_size == 0.01
    assert ball.escalation["pgd-margin-2"].restarts == 2
    assert ball.noise == Noise(name="noise", draws=2, norm=norm, epsilon=epsilon)
    attack = {"name": "pgd", "norm": norm, "steps": 5, "relative_step": 0.5}
    assert ball.smaller == Curve.model_validate({"epsilons": [epsilon / 4, epsilon / 2], "attack": attack})


def test_a_ball_survives_its_plain_form() -> None:
    ball = ball_of(audit(attacks=AUDIT["attacks"] | {"auto": {"name": "autoattack"}}), "linf", 0.1, IMAGES)
    assert AuditBall.model_validate(ball.model_dump(mode="json")) == ball


def test_every_attack_of_a_ball_names_its_code() -> None:
    ball = ball_of(audit(), "linf", 0.1, IMAGES)
    attacks = [*ball.attacks.values(), *ball.escalation.values(), ball.noise, ball.smaller, ball.smaller.attack]
    assert [attack.implementation.rpartition(":")[0].rpartition(".")[2] for attack in attacks] == [
        "fgsm",
        "pgd",
        "bim",
        "pgd",
        "noise",
        "curve",
        "pgd",
    ]


def test_a_template_is_resolved_in_one_ball() -> None:
    attack = attack_at({"name": "bim", "steps": 4}, "l2", 0.8)
    assert (attack.name, attack.norm, attack.epsilon, attack.step_size) == ("bim", "l2", 0.8, 0.5)
    with pytest.raises(ValidationError, match="steps"):
        attack_at({"name": "pgd"}, "linf", 0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attacks": {"fgsm": {"name": "fgsm"}}}, "attacks.pgd: expected an attack of this name"),
        (
            {"attacks": AUDIT["attacks"] | {"pgd": {"name": "bim", "steps": 2}}},
            "attacks.pgd: expected an attack of this name",
        ),
        (
            {"attacks": AUDIT["attacks"] | {"own": {"name": "fgsm", "loss": "training"}}},
            "attacks.own: expected a loss that every model has, found 'training'",
        ),
        ({"attacks": AUDIT["attacks"] | {"far": {"name": "deepfool"}}}, "attack in attacks.far"),
        ({"attacks": AUDIT["attacks"] | {"none": {"name": "clean"}}}, "attack in attacks.none"),
        ({"escalation": {"more": {"name": "deepfool"}}}, "attack in escalation.more"),
        (
            {"smaller": AUDIT["smaller"] | {"attack": {"name": "fgsm", "loss": "training"}}},
            "smaller.attack: expected a loss that every model has, found 'training'",
        ),
        ({"transfer": {"name": "pgd", "stepz": 3}}, "transfer: "),
        ({"smaller": AUDIT["smaller"] | {"shares": [0.5, 0.25]}}, "smaller.shares: expected increasing shares"),
    ],
)
def test_a_mistake_is_refused_with_its_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        audit(**changes)


@pytest.mark.parametrize(
    ("norm", "inputs", "runs"),
    [
        ("linf", IMAGES, True),
        ("l1", IMAGES, True),
        ("linf", Inputs((2,), 10), False),
        ("linf", IMAGES._replace(classes=3), False),
        ("linf", IMAGES._replace(shape=(1, 4, 8)), True),
        ("l2", IMAGES._replace(shape=(1, 4, 8)), False),
    ],
)
def test_autoattack_is_left_out_of_the_audit_of_what_it_cannot_attack(norm: Any, inputs: Inputs, runs: bool) -> None:
    declared = audit(
        attacks=AUDIT["attacks"] | {"auto": {"name": "autoattack"}},
        escalation=AUDIT["escalation"] | {"auto-plus": {"name": "autoattack", "version": "plus"}},
    )
    ball = ball_of(declared, norm, 0.1, inputs)
    assert ("auto" in ball.attacks, "auto-plus" in ball.escalation) == (runs, runs)
    assert {*AUDIT["attacks"], *AUDIT["escalation"]} <= {*ball.attacks, *ball.escalation}


def test_models_on_points_and_on_images_are_audited_by_what_their_data_can_take(declarations: Declarations) -> None:
    declarations.audit["attacks"]["auto"] = {"name": "autoattack"}
    rows = declarations.paper["tables"]["accuracy"]["rows"]
    points = {key: {**row, "model": row["model"].replace("image", "points")} for key, row in rows.items()}
    table = {key: value for key, value in declarations.paper["tables"]["accuracy"].items() if key != "published"}
    declarations.paper["tables"]["points"] = table | {"rows": points}
    claim = declarations.paper["claims"]["hrm-is-better"]
    declarations.paper["claims"]["on-points"] = claim | {"holds_if": ["points[hrm, pgd] >= points[erm, pgd]"]}
    plan = declarations.plan()
    attacks = {
        model: json.loads(plan.job("measure", measure="audit-linf-0.3", subject=model, seed=0).spec)["measure"]["ball"]
        for model in ("image-hrm", "points-hrm")
    }
    assert "auto" in attacks["image-hrm"]["attacks"]
    assert "auto" not in attacks["points-hrm"]["attacks"]


def test_what_is_no_accuracy_under_attack_is_not_audited_as_one(declarations: Declarations) -> None:
    table = declarations.paper["tables"]["accuracy"]
    del table["published"]
    table["columns"]["linf"] = {"label": "Distance", "measure": "pgd", "statistic": {"mean": "linf"}, "unit": ""}
    condition = "accuracy[hrm, linf] >= accuracy[erm, linf]"
    declarations.paper["claims"]["distance"] = declarations.paper["claims"]["hrm-is-better"] | {"holds_if": [condition]}
    spec = json.loads(declarations.plan().job("audit", paper="small").spec)
    assert [claim["key"] for claim in spec["claims"]] == ["hrm-is-better"]


def test_a_claim_on_a_computed_cell_is_audited_on_the_cells_that_it_is_computed_from(
    declarations: Declarations,
) -> None:
    table = declarations.paper["tables"]["accuracy"]
    del table["published"]
    table["columns"]["half"] = {"label": "Half", "value": "this[pgd] / 2", "unit": "%"}
    table["columns"]["quarter"] = {"label": "Quarter", "value": "this[half] / 2", "unit": "%"}
    claim = declarations.paper["claims"]["hrm-is-better"] | {"holds_if": ["accuracy[hrm, quarter] >= 1"]}
    declarations.paper["claims"] = {"quarter": claim}
    (claim,) = json.loads(declarations.plan().job("audit", paper="small").spec)["claims"]
    (audited,) = claim["readings"]
    assert [cell["cell"] for cell in audited["cells"]] == ["accuracy[hrm, pgd]"]
    assert [(value["column"], value["value"]) for value in audited["values"]] == [
        ("half", "this[pgd] / 2"),
        ("quarter", "this[half] / 2"),
    ]


def test_what_is_not_clipped_is_audited_in_a_ball_of_its_own_by_attacks_that_do_not_clip(
    declarations: Declarations,
) -> None:
    declarations.paper["measures"]["free"] = {**declarations.paper["measures"]["pgd"], "clipped": False}
    by_labels = {"rays": {"name": "rays"}, "hop": {"name": "hop_skip_jump"}}
    declarations.audit["without_gradients"] = by_labels
    table = declarations.paper["tables"]["accuracy"]
    del table["published"]
    table["columns"]["free"] = {"label": "Unclipped", "measure": "free"}
    both = ["accuracy[hrm, free] >= accuracy[erm, free]", "accuracy[hrm, pgd] >= accuracy[erm, pgd]"]
    declarations.paper["claims"]["hrm-is-better"] |= {"holds_if": both}
    plan = declarations.plan()
    (claim,) = json.loads(plan.job("audit", paper="small").spec)["claims"]
    (reading,) = claim["readings"]
    cells = {cell["cell"]: cell for cell in reading["cells"]}
    free, clipped = cells["accuracy[hrm, free]"], cells["accuracy[hrm, pgd]"]
    assert (free["clipped"], free["measures"]) == (False, ["free"])
    assert (free["battery"], free["transfer"]) == ("audit-linf-0.3-unclipped", "audit-transfer-small-unclipped")
    assert (clipped["clipped"], clipped["measures"]) == (True, ["pgd"])
    assert (clipped["battery"], clipped["transfer"]) == ("audit-linf-0.3", "audit-transfer-small")
    for cell in (free, clipped):
        for kind in ("battery", "transfer"):
            subject = "image-hrm" if kind == "battery" else "image-erm"
            job = json.loads(plan.job("measure", measure=cell[kind], subject=subject, seed=0).spec)
            assert job["measure"]["clipped"] == cell["clipped"]
            if kind == "battery":  # the library of one of them clips
                added = job["measure"]["ball"]["without_gradients"].keys()
                assert added == (by_labels.keys() if cell["clipped"] else {"rays"})


def test_a_model_is_audited_on_the_data_that_its_measure_is_on_and_not_by_transfer(declarations: Declarations) -> None:
    fgsm = {"name": "fgsm", "norm": "l2", "epsilon": 0.5}
    of_erm = {"model": "image-erm", "attacks": [fgsm], "clipped": False, "stored": "originals"}
    declarations.paper["datasets"] = {"fooled": {"adversarial": of_erm}}
    declarations.paper["measures"]["own"] = {"attack": fgsm, "data": "fooled", "clipped": False}
    table = declarations.paper["tables"]["accuracy"]
    del table["published"]
    table["columns"]["own"] = {"label": "Made for it", "measure": "own"}
    both = ["accuracy[hrm, own] >= 10", "accuracy[hrm, pgd] >= accuracy[erm, pgd]"]
    declarations.paper["claims"]["hrm-is-better"] |= {"holds_if": both}
    plan = declarations.plan()
    (claim,) = json.loads(plan.job("audit", paper="small").spec)["claims"]
    cells = {cell["cell"]: cell for cell in claim["readings"][0]["cells"]}
    own, pgd = cells["accuracy[hrm, own]"], cells["accuracy[hrm, pgd]"]
    assert (own["data"], own["norm"], own["epsilon"]) == ("fooled", "l2", 0.5)
    assert (own["battery"], own["transfer"], own["measures"]) == ("audit-l2-0.5-unclipped-on-fooled", None, ["own"])
    assert (pgd["data"], pgd["battery"], pgd["transfer"]) == ("", "audit-linf-0.3", "audit-transfer-small")
    job = plan.job("measure", measure=own["battery"], subject="image-hrm", seed=1)
    measure = json.loads(job.spec)["measure"]
    assert (measure["data"], measure["clipped"], measure["ball"]["norm"]) == ("fooled", False, "l2")
    assert dict(job.inputs)["data"] == plan.layout.data_manifest("fooled", 1)
    files = [path for _, path in plan.job("audit", paper="small").inputs]
    assert any("on-fooled/image-hrm" in file for file in files)
    assert not any("transfer" in file and "fooled" in file for file in files)


def test_a_claim_on_a_point_of_a_curve_is_audited_in_the_ball_of_its_radius(declarations: Declarations) -> None:
    attack = {"name": "pgd", "norm": "l2", "steps": 5, "relative_step": 0.5}
    declarations.paper["measures"]["along"] = {"curve": {"epsilons": [0.5, 1.0], "attack": attack}}
    table = declarations.paper["tables"]["accuracy"]
    del table["published"]
    for epsilon in (0.5, 1.0):
        rows = {"epsilon": epsilon if epsilon == 0.5 else [epsilon]}
        table["columns"][f"at-{epsilon:g}"] = {"label": f"{epsilon}", "measure": "along", "rows": rows}
    condition = "accuracy[hrm, at-1] >= accuracy[erm, at-1]"
    declarations.paper["claims"]["hrm-is-better"] |= {"holds_if": [condition]}
    (claim,) = json.loads(declarations.plan().job("audit", paper="small").spec)["claims"]
    cells = {cell["cell"]: cell for cell in claim["readings"][0]["cells"]}
    assert set(cells) == {"accuracy[hrm, at-1]", "accuracy[erm, at-1]"}
    at_1 = cells["accuracy[hrm, at-1]"]
    assert (at_1["norm"], at_1["epsilon"], at_1["battery"]) == ("l2", 1.0, "audit-l2-1")
    assert (at_1["measure"], at_1["measures"]) == ("along", ["along"])


def test_a_claim_that_compares_attacks_on_one_model_in_one_ball_is_about_no_robustness(
    declarations: Declarations,
) -> None:
    declarations.paper["measures"]["longer"] = {"attack": {"name": "pgd", "epsilon": 0.3, "steps": 9, "step_size": 0.1}}
    table = declarations.paper["tables"]["accuracy"]
    del table["published"]
    table["columns"]["longer"] = {"label": "Longer", "measure": "longer"}
    claims = declarations.paper["claims"]
    claims["longer-is-stronger"] = claims["hrm-is-better"] | {
        "holds_if": ["accuracy[hrm, longer] <= accuracy[hrm, pgd]", "accuracy[hrm, pgd] >= 0"]
    }
    spec = json.loads(declarations.plan().job("audit", paper="small").spec)
    assert [claim["key"] for claim in spec["claims"]] == ["hrm-is-better"]
    claims["longer-is-stronger"]["holds_if"] = ["accuracy[hrm, longer] >= accuracy[erm, pgd]"]
    spec = json.loads(declarations.plan().job("audit", paper="small").spec)
    assert [claim["key"] for claim in spec["claims"]] == ["hrm-is-better", "longer-is-stronger"]

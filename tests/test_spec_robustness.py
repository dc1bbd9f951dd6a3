"""Transfer between models as planned: which seed of which target a source attacks, and with what."""

from __future__ import annotations

import json

import pytest
from conftest import Declarations

from robustrepro.errors import UserError

LENET = {"name": "lenet5"}
ERM, HRM = "image-erm", "image-hrm"


def test_a_target_is_trained_from_the_next_seed_but_for_the_white_box(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"seeds": 3}
    declarations.add_transfer("transfer", white_box=True)
    targets = declarations.plan().robustness.transfer_targets
    assert [targets(ERM, seed, "pgd") for seed in range(3)] == [
        [(ERM, 0), (HRM, 1)],
        [(ERM, 1), (HRM, 2)],
        [(ERM, 2), (HRM, 0)],
    ]
    assert targets(HRM, "0", "pgd") == [(ERM, 1), (HRM, 0)]  # as Snakemake's wildcards have it


def test_a_source_that_is_no_white_box_attacks_another_seed_of_its_own_model(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=False)
    targets = declarations.plan().robustness.transfer_targets
    assert [targets(ERM, seed, "pgd") for seed in (0, 1)] == [[(ERM, 1), (HRM, 1)], [(ERM, 0), (HRM, 0)]]


def test_examples_are_made_once_for_the_targets_of_all_tables(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    declarations.add_transfer("independent", white_box=False)
    declarations.add_transfer("by-fgsm", white_box=True, measure="fgsm")
    targets = declarations.plan().robustness.transfer_targets
    assert targets(ERM, 0, "pgd") == [(ERM, 0), (ERM, 1), (HRM, 1)]
    assert targets(ERM, 0, "fgsm") == [(ERM, 0), (HRM, 1)]
    assert targets(ERM, 0, "pgd-training") == []


def test_the_seeds_of_a_target_with_fewer_are_taken_in_turn(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {ERM: {"seeds": 5}}}
    declarations.add_transfer("transfer", white_box=True)
    robustness = declarations.plan().robustness
    hit = [dict(robustness.transfer_targets(ERM, seed, "pgd"))[HRM] for seed in range(5)]
    assert hit == [1, 0, 1, 0, 1]


def test_a_white_box_needs_no_second_seed(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    del declarations.paper["tables"]["transfer"]["columns"]["hrm"]
    declarations.paper["tables"]["transfer"]["rows"] = {"erm": {"label": "ERM", "model": ERM}}
    declarations.paper["models"][ERM]["seeds"] = 1
    assert declarations.plan().robustness.transfer_targets(ERM, 0, "pgd") == [(ERM, 0)]


def test_the_spec_of_transfer_holds_the_attack_and_each_target(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"measures": {"pgd": {"examples": 7}}}
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    attack = json.loads(plan.attack_spec(ERM, "pgd"))["attack"]
    assert json.loads(plan.transfer_spec(ERM, 1, "pgd")) == {
        "attacks": [attack],
        "architecture": LENET,
        "targets": [
            {"model": ERM, "seed": 1, "architecture": LENET},
            {"model": HRM, "seed": 0, "architecture": LENET},
        ],
        "split": "test",
        "examples": 7,
    }


def test_the_source_brings_its_objective_only_where_an_attack_ascends_it(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    declarations.add_transfer("own", white_box=True, measure="pgd-training")
    plan = declarations.plan()
    assert "objective" not in json.loads(plan.transfer_spec(HRM, 0, "pgd"))
    own = json.loads(plan.transfer_spec(HRM, 0, "pgd-training"))
    assert own["objective"] == {"name": "hrm", "guard": 1e-8}


def test_the_targets_checkpoints_are_handed_over_in_the_specs_order(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    targets = json.loads(plan.transfer_spec(HRM, 0, "pgd"))["targets"]
    files = [plan.weights(target["model"], target["seed"]) for target in targets]
    assert files == [
        "results/quick/models/image-erm/seed1/weights.safetensors",
        "results/quick/models/image-hrm/seed0/weights.safetensors",
    ]
    assert plan.transfer_weights(HRM, "0", "pgd") == files
    assert plan.transfer_options(HRM, "0", "pgd") == f"--target-weights {files[0]} --target-weights {files[1]}"


def test_a_cell_of_transfer_is_made_from_the_sources_measurements(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    cells = {(cell["row"], cell["column"]): cell for cell in json.loads(plan.table_spec("small", "transfer"))["cells"]}
    files = {str(seed): f"results/quick/measurements/transfer/image-erm/seed{seed}/pgd.parquet" for seed in (0, 1)}
    shared = {"kind": "transfer", "row": "erm", "measurements": files}
    assert cells["erm", "erm"] == shared | {
        "column": "erm",
        "models": [ERM],
        "target": ERM,
        "target_seeds": {"0": 0, "1": 1},
    }
    assert cells["erm", "hrm"] == shared | {
        "column": "hrm",
        "models": [ERM, HRM],
        "target": HRM,
        "target_seeds": {"0": 1, "1": 0},
    }
    assert plan.table_inputs("small", "transfer") == [
        f"results/quick/measurements/transfer/{source}/seed{seed}/pgd.parquet"
        for source in (ERM, HRM)
        for seed in (0, 1)
    ]


# -- transfer as the attack of a measure ---------------------------------------------------------------------


def test_a_measure_by_transfer_hits_every_row_with_the_next_seed_of_its_source(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"seeds": 3}
    declarations.add_attack_by_transfer(ERM)
    plan = declarations.plan()
    targets = plan.robustness.transfer_targets
    assert [targets(ERM, seed, "from-outside") for seed in range(3)] == [
        [(ERM, 2), (HRM, 2)],
        [(ERM, 0), (HRM, 0)],
        [(ERM, 1), (HRM, 1)],
    ]
    assert targets(HRM, 0, "from-outside") == []


def test_a_source_with_fewer_seeds_attacks_each_of_the_targets_and_never_one_of_its_own_seed(
    declarations: Declarations,
) -> None:
    declarations.config["overrides"] = {"models": {HRM: {"seeds": 5}}}
    declarations.add_attack_by_transfer(ERM)
    targets = declarations.plan().robustness.transfer_targets
    assert targets(ERM, 0, "from-outside") == [(ERM, 1), (HRM, 1), (HRM, 3)]
    assert targets(ERM, 1, "from-outside") == [(ERM, 0), (HRM, 0), (HRM, 2), (HRM, 4)]


def test_the_examples_are_made_for_the_source_alone(declarations: Declarations) -> None:
    declarations.add_attack_by_transfer(ERM)
    plan = declarations.plan()
    spec = json.loads(plan.transfer_spec(ERM, 0, "from-outside"))
    assert spec["attacks"] == [json.loads(plan.attack_spec(ERM, "pgd"))["attack"]]
    assert [target["model"] for target in spec["targets"]] == [ERM, HRM]
    with pytest.raises(UserError, match="from-outside attacks by transfer: its examples are made for image-erm"):
        plan.attack_spec(HRM, "from-outside")


def test_a_cell_of_a_measure_by_transfer_is_read_from_the_sources_measurements(declarations: Declarations) -> None:
    declarations.add_attack_by_transfer(ERM)
    plan = declarations.plan()
    cells = {cell["row"]: cell for cell in json.loads(plan.table_spec("small", "outside"))["cells"]}
    files = {
        str(seed): f"results/quick/measurements/transfer/image-erm/seed{1 - seed}/from-outside.parquet"
        for seed in (0, 1)
    }
    shared = {"kind": "transfer", "column": "outside", "measurements": files, "target_seeds": {"0": 0, "1": 1}}
    assert cells["erm"] == shared | {"row": "erm", "models": [ERM], "target": ERM}
    assert cells["hrm"] == shared | {"row": "hrm", "models": [ERM, HRM], "target": HRM}


def test_a_table_whose_source_is_left_out_is_not_made(declarations: Declarations) -> None:
    declarations.add_attack_by_transfer(ERM)
    declarations.paper["tables"]["outside"]["rows"] = {"hrm": {"label": "HRM", "model": HRM}}
    declarations.config["leave_out"] = [ERM]
    assert not declarations.plan().declared.is_made("small", "outside")


# -- one measurement by its name -----------------------------------------------------------------------------


def test_every_measurement_is_found_by_its_name_with_the_models_that_it_is_of(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    points = "points-erm"
    expected = {
        ("attack", ERM, "pgd"): (plan.attack_spec(ERM, "pgd"), [(ERM, 1)]),
        ("transfer", ERM, "pgd"): (plan.transfer_spec(ERM, 1, "pgd"), [(ERM, 1), (ERM, 1), (HRM, 0)]),
        ("transfer", ERM, "audit"): (
            plan.transfer_spec(ERM, 1, "audit"),
            [(ERM, 1), (ERM, 0), (HRM, 0), (HRM, 1)],
        ),
        ("audit", HRM, "audit"): (plan.audit_spec(HRM), [(HRM, 1)]),
        ("parameter_distance", points, "points-hrm"): (
            plan.distance_spec(points, "points-hrm"),
            [(points, 1), ("points-hrm", 1)],
        ),
        ("losses", ERM, "train"): (plan.losses_spec(ERM), [(ERM, 1)]),
        ("decision_boundary", points, "grid20"): (plan.boundary_spec(points, 20), [(points, 1)]),
        ("training_path", points, "every5"): (plan.path_spec(points, 5), [(points, 1)]),
    }
    for (kind, model, what), found in expected.items():
        assert plan.measurement(kind, model, 1, what) == found
    assert len({spec for spec, _ in expected.values()}) == len(expected)


@pytest.mark.parametrize(
    ("kind", "model", "what", "message"),
    [
        ("audit", "points-erm", "audit", "no rule makes such a measurement"),  # no claim rests on its robustness
        ("audit", ERM, "audit2", "no rule makes such a measurement"),
        ("losses", ERM, "test", "no rule makes such a measurement"),
        ("losses", ERM, "train7", "no rule makes such a measurement"),
        ("decision_boundary", "points-erm", "grid", "no rule makes such a measurement"),
        ("decision_boundary", "points-erm", "grid20x", "no rule makes such a measurement"),
        ("training_path", "points-erm", "grid20", "no rule makes such a measurement"),
        ("attacks", ERM, "pgd", "no rule makes such a measurement"),
        ("attack", ERM, "pdg", "unknown measure: 'pdg'; did you mean 'pgd'"),
        ("transfer", ERM, "pgd", "no rule makes such a measurement"),
        ("losses", "image-emr", "train", "unknown model: 'image-emr'; did you mean 'image-erm'"),
    ],
)
def test_a_measurement_that_no_rule_makes_is_refused(
    declarations: Declarations, kind: str, model: str, what: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        declarations.plan().measurement(kind, model, 0, what)

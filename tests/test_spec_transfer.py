"""Transfer between models as planned: which seed of which target a source attacks, and with what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations

from robustrepro.errors import UserError
from robustrepro.spec.plan import Plan

ERM, HRM = "image-erm", "image-hrm"


def targets(plan: Plan, source: str, seed: int | str, measure: str = "transfer-pgd") -> list[tuple[str, int]]:
    """Return the models, with their seeds, that the examples of a source are tried on."""
    (own, *others) = plan.job("measure", measure=measure, subject=source, seed=seed).models
    assert own == (source, int(seed))
    return others


def cells(plan: Plan, table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a table's cells by the keys of row and column."""
    spec = json.loads(plan.job("table", paper="small", table=table).spec)
    return {(cell.pop("row"), cell.pop("column")): cell for cell in spec["cells"]}


def sample(seed: int, subject_seed: int, target: str, target_seed: int) -> dict[str, Any]:
    return {"seed": seed, "subject_seed": subject_seed, "rows": {"target": target, "target_seed": target_seed}}


def test_a_target_is_trained_from_the_next_seed_and_the_source_itself_is_the_white_box(
    declarations: Declarations,
) -> None:
    declarations.config["overrides"] = {"seeds": 3}
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    assert [targets(plan, ERM, seed) for seed in range(3)] == [
        [(ERM, 0), (ERM, 1), (HRM, 1)],
        [(ERM, 1), (ERM, 2), (HRM, 2)],
        [(ERM, 0), (ERM, 2), (HRM, 0)],
    ]
    assert targets(plan, HRM, "0") == [(ERM, 1), (HRM, 0), (HRM, 1)]  # as Snakemake's wildcards have it


def test_without_a_white_box_a_source_attacks_another_seed_of_its_own_model(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=False)
    declarations.paper["measures"]["transfer-pgd"]["transfer"]["white_box"] = False
    plan = declarations.plan()
    assert [targets(plan, ERM, seed) for seed in (0, 1)] == [[(ERM, 1), (HRM, 1)], [(ERM, 0), (HRM, 0)]]


def test_the_seeds_of_a_target_with_fewer_are_taken_in_turn(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"models": {ERM: {"seeds": 5}}}
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    assert [dict(targets(plan, ERM, seed))[HRM] for seed in range(5)] == [1, 0, 1, 0, 1]


def test_a_white_box_needs_no_second_seed(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    declarations.paper["measures"]["transfer-pgd"]["transfer"]["targets"] = [ERM]
    del declarations.paper["tables"]["transfer"]["columns"]["hrm"]
    declarations.paper["tables"]["transfer"]["rows"] = {"erm": {"label": "ERM", "model": ERM}}
    declarations.paper["models"][ERM]["seeds"] = 1
    assert targets(declarations.plan(), ERM, 0) == [(ERM, 0)]


def test_the_spec_of_transfer_holds_the_attack_and_each_target(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"measures": {"transfer-pgd": {"examples": 7}}}
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    attack = json.loads(plan.job("measure", measure="pgd", subject=ERM, seed=1).spec)["measure"]["attack"]
    spec = json.loads(plan.job("measure", measure="transfer-pgd", subject=ERM, seed=1).spec)
    assert spec["measure"]["attack"] == attack
    assert (spec["measure"]["split"], spec["measure"]["examples"]) == ("test", 7)
    assert [(target["model"], target["seed"]) for target in spec["targets"]] == [(ERM, 0), (ERM, 1), (HRM, 0)]
    assert all(target["network"]["architecture"] == {"name": "lenet5"} for target in spec["targets"])
    assert "robustrepro.attacks.pgd:ascent_of" in spec["runs"]


def test_the_source_brings_its_objective_only_where_an_attack_ascends_it(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    declarations.add_transfer("own", white_box=True, measure="pgd-training")
    plan = declarations.plan()
    by_measure = {
        name: json.loads(plan.job("measure", measure=f"transfer-{name}", subject=HRM, seed=0).spec)["subjects"][0]
        for name in ("pgd", "pgd-training")
    }
    assert "objective" not in by_measure["pgd"]
    assert by_measure["pgd-training"]["objective"] == {"name": "hrm", "loss": "cross_entropy", "guard": 1e-8}


def test_the_checkpoints_are_handed_over_in_the_specs_order(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    job = declarations.plan().job("measure", measure="transfer-pgd", subject=HRM, seed="0")
    files = [f"results/quick/models/{model}/seed{seed}/weights.safetensors" for model, seed in job.models]
    assert [file for role, file in job.inputs if role == "weights"] == files
    assert job.options.endswith(
        " ".join(["--input data=data/digits/manifest.json", *(f"--input weights={file}" for file in files)])
    )


def test_a_cell_of_transfer_is_made_from_the_sources_measurements(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    plan = declarations.plan()
    shown = cells(plan, "transfer")
    assert shown["erm", "erm"]["subject"] == shown["erm", "hrm"]["subject"] == ERM
    assert shown["erm", "erm"]["samples"] == [sample(0, 0, ERM, 0), sample(1, 1, ERM, 1)]
    assert shown["erm", "hrm"]["samples"] == [sample(0, 0, HRM, 1), sample(1, 1, HRM, 0)]
    assert shown["erm", "hrm"]["models"] == [ERM, HRM]
    assert plan.job("table", paper="small", table="transfer").files == [
        f"results/quick/measurements/transfer-pgd/{source}/seed{seed}.parquet"
        for source in (ERM, HRM)
        for seed in (0, 1)
    ]


def test_examples_are_made_once_for_the_white_box_and_for_independent_targets(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=True)
    declarations.add_transfer("independent", white_box=False)
    plan = declarations.plan()
    assert cells(plan, "independent")["erm", "erm"]["samples"] == [sample(0, 0, ERM, 1), sample(1, 1, ERM, 0)]
    files = [plan.job("table", paper="small", table=name).files for name in ("transfer", "independent")]
    assert files[0] == files[1]


# -- the examples of one source, whatever the row ------------------------------------------------------------


def test_a_source_hits_every_row_with_the_next_seed(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"seeds": 3}
    declarations.add_transfer_from(ERM)
    plan = declarations.plan()
    assert [targets(plan, ERM, seed, "from-outside") for seed in range(3)] == [
        [(ERM, 2), (HRM, 2)],
        [(ERM, 0), (HRM, 0)],
        [(ERM, 1), (HRM, 1)],
    ]
    assert cells(plan, "outside")["hrm", "outside"]["samples"] == [
        sample(seed, (seed + 1) % 3, HRM, seed) for seed in range(3)
    ]


def test_a_source_with_fewer_seeds_attacks_each_of_the_targets_and_never_one_of_its_own_seed(
    declarations: Declarations,
) -> None:
    declarations.config["overrides"] = {"models": {HRM: {"seeds": 5}}}
    declarations.add_transfer_from(ERM)
    plan = declarations.plan()
    assert targets(plan, ERM, 0, "from-outside") == [(ERM, 1), (HRM, 1), (HRM, 3)]
    assert targets(plan, ERM, 1, "from-outside") == [(ERM, 0), (HRM, 0), (HRM, 2), (HRM, 4)]


def test_cells_whose_source_is_left_out_are_not_measured(declarations: Declarations) -> None:
    declarations.add_transfer_from(ERM)
    declarations.paper["tables"]["outside"]["rows"] = {"hrm": {"label": "HRM", "model": HRM}}
    declarations.config["leave_out"] = [ERM]
    cell = cells(declarations.plan(), "outside")["hrm", "outside"]
    assert cell == {"kind": "not_measured", "why": f"{ERM}: left out"}


# -- a single seed -------------------------------------------------------------------------------------------

NEEDS = {"kind": "not_measured", "why": f"needs two seeds or more of {ERM}; it has one"}


@pytest.mark.parametrize("white_box", [True, False])
def test_cells_that_need_a_second_seed_are_not_measured_and_all_others_are(
    declarations: Declarations, white_box: bool
) -> None:
    declarations.paper["models"][ERM]["seeds"] = 1
    declarations.add_transfer("transfer", white_box=white_box)
    declarations.add_transfer_from(ERM)
    plan = declarations.plan()
    shown = cells(plan, "transfer")
    assert shown["hrm", "erm"] == NEEDS
    assert shown["erm", "hrm"]["samples"] == [sample(0, 0, HRM, 1)]
    assert shown["hrm", "hrm"]["kind"] == "measured"
    assert (shown["erm", "erm"] == NEEDS) is not white_box
    assert list(cells(plan, "outside").values()) == [NEEDS, NEEDS]
    assert {cell["kind"] for cell in cells(plan, "accuracy").values()} == {"measured"}


@pytest.mark.parametrize("of_erm", [1, 2, 3])
@pytest.mark.parametrize("of_hrm", [1, 2, 3])
def test_a_target_has_another_seed_than_the_source_unless_it_is_the_white_box(
    declarations: Declarations, of_erm: int, of_hrm: int
) -> None:
    declarations.paper["models"][ERM]["seeds"], declarations.paper["models"][HRM]["seeds"] = of_erm, of_hrm
    declarations.add_transfer("transfer", white_box=True)
    declarations.add_transfer_from(ERM)
    plan = declarations.plan()
    for source, count in ((ERM, of_erm), (HRM, of_hrm)):
        for seed in range(count):
            tried = targets(plan, source, seed)
            assert [pair for pair in tried if pair[1] == seed] == [(source, seed)]
    for seed in range(of_erm):
        assert all(other != seed for _, other in targets(plan, ERM, seed, "from-outside"))


def with_figures(declarations: Declarations, *, white_box: bool) -> None:
    """Add a table of transfer, its colours, and what one of its columns has to do with the other."""
    declarations.add_transfer("transfer", white_box=white_box)
    series = {"label": "ERM", "model": ERM, "measure": "transfer-pgd"}
    for key, figure in {
        "colours": {"name": "heat_map", "table": "transfer"},
        "trade": {"name": "table_scatter", "table": "transfer", "x": "erm", "y": "hrm"},
        "distribution": {"name": "histogram", "x": {"column": "index", "label": "index"}, "series": [series]},
    }.items():
        declarations.paper["figures"][key] = {"where": "Figure 2", "caption": "A figure", "figure": figure}


@pytest.mark.parametrize(
    ("seeds", "white_box", "drawn"),
    [
        (2, True, ["colours", "trade", "distribution"]),
        # The diagonal alone is measured: no row has both of its numbers.
        (1, True, ["colours", "distribution"]),
        (1, False, ["distribution"]),
    ],
)
def test_a_figure_is_drawn_of_the_cells_that_are_measured_where_they_are_enough(
    declarations: Declarations, seeds: int, white_box: bool, drawn: list[str]
) -> None:
    declarations.config["overrides"] = {"seeds": seeds}
    with_figures(declarations, white_box=white_box)
    names = [Path(file).stem for file in declarations.plan().presented.figures_of("small")]
    assert names == ["regions", *drawn]


def test_a_figure_of_examples_that_are_tried_on_nothing_is_not_drawn(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"seeds": 1}
    with_figures(declarations, white_box=False)
    declarations.paper["measures"]["transfer-pgd"]["transfer"]["white_box"] = False
    names = [Path(file).stem for file in declarations.plan().presented.figures_of("small")]
    assert names == ["regions"]


def audited(plan: Plan) -> list[str]:
    """Return the claims that are audited."""
    return [claim["key"] for claim in json.loads(plan.job("audit", paper="small").spec)["claims"]]


def test_a_claim_on_a_cell_that_is_not_measured_is_not_audited(declarations: Declarations) -> None:
    declarations.add_transfer("transfer", white_box=False)
    columns = declarations.paper["tables"]["transfer"]["columns"]
    columns["resisted"] = {"label": "Resisted", "value": "100 - erm[hrm]", "unit": "%"}
    claim = declarations.paper["claims"]["hrm-is-better"]
    for key, compared in (("by-transfer", "transfer[erm, hrm]"), ("by-value", "transfer[hrm, resisted]")):
        declarations.paper["claims"][key] = claim | {"holds_if": [f"{compared} <= accuracy[hrm, pgd] + 5"]}
    assert audited(declarations.plan()) == ["hrm-is-better", "by-transfer", "by-value"]
    declarations.config["overrides"] = {"seeds": 1}
    assert audited(declarations.plan()) == ["hrm-is-better"]


def test_with_one_seed_every_other_network_of_the_paper_still_attacks_the_audited_ones(
    declarations: Declarations,
) -> None:
    declarations.config["overrides"] = {"seeds": 1}
    plan = declarations.plan()
    assert targets(plan, ERM, 0, "audit-transfer-small") == [(HRM, 0)]
    assert targets(plan, HRM, 0, "audit-transfer-small") == [(ERM, 0)]


def test_a_papers_only_network_has_none_to_attack_in_its_audit(declarations: Declarations) -> None:
    declarations.config["overrides"] = {"seeds": 1}
    del declarations.paper["tables"]["accuracy"]["rows"]["hrm"]
    del declarations.paper["tables"]["accuracy"]["published"]
    declarations.paper["claims"]["hrm-is-better"]["holds_if"] = ["accuracy[erm, pgd] >= 50"]
    files = declarations.plan().job("audit", paper="small").files
    assert not [file for file in files if "audit-transfer" in file]
    assert [file for file in files if "audit-linf-0.3" in file]


# -- one measurement by its name -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "subject", "seed", "message"),
    [
        ("audit-linf-0.25", ERM, 0, "no audit of the papers asked for has a measure audit-linf-0.25"),
        ("pdg", ERM, 0, "unknown measure: 'pdg'; did you mean 'pgd'"),
        ("pgd", "image-emr", 0, "unknown model: 'image-emr'; did you mean 'image-erm'"),
        ("pgd", ERM, 2, "image-erm has no seed 2 at this scale"),
        ("distance", "points-erm", 0, r"distance is of 2 model\(s\) at a time; points-erm names 1"),
        ("pgd", f"{ERM}+{HRM}", 0, r"pgd is of 1 model\(s\) at a time"),
    ],
)
def test_a_measurement_that_nothing_declares_is_refused(
    declarations: Declarations, measure: str, subject: str, seed: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        declarations.plan().job("measure", measure=measure, subject=subject, seed=seed)


@pytest.mark.parametrize("from_one_source", [False, True])
def test_no_network_counts_twice_where_the_other_side_has_more_seeds(
    declarations: Declarations, from_one_source: bool
) -> None:
    declarations.paper["models"]["image-erm"]["seeds"] = 5
    if from_one_source:
        declarations.add_transfer_from("image-hrm")
    else:
        declarations.add_transfer("transfer", white_box=False)
    table = "outside" if from_one_source else "transfer"
    spec = json.loads(declarations.plan().job("table", paper="small", table=table).spec)
    for cell in spec["cells"]:
        pairs = [(sample["subject_seed"], sample["rows"]["target_seed"]) for sample in cell["samples"]]
        for side in zip(*pairs, strict=True):
            assert len(set(side)) == len(side)

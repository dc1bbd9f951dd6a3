"""The per-image worst case, read from the measurements, and the step that judges a paper's claims by it."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustrepro.audits.step import run
from robustrepro.audits.worst_case import AttackFiles, WorstCase, read_worst_case
from robustrepro.errors import UserError
from robustrepro.layout import Layout
from robustrepro.measures.store import write_measurement
from robustrepro.steps import Work

IMAGES = 10
BALL = ("linf", 0.3)
OTHER_BALLS = [("linf", 0.1), ("l2", 0.3)]
CELL = {
    "model": "defended",
    "norm": "linf",
    "epsilon": 0.3,
    "clipped": True,
    "measure": "pgd",
    "measures": ["pgd", "fgsm"],
    "battery": "audit-linf-0.3",
    "transfer": "audit-transfer-small",
}
SOURCES = {"defended": 2, "plain": 1}
OWN_ATTACK = {"name": "pgd", "steps": 40, "epsilon": 0.3}
OWN_ORIGIN = {"spec": {"measure": {"kind": "attack", "attack": OWN_ATTACK, "split": "test"}}}
MORE = {"name": "pgd", "steps": 40, "restarts": 10, "loss": "margin", "epsilon": 0.3}
ENSEMBLE = {"name": "autoattack", "version": "plus", "epsilon": 0.3}
AUDIT = {
    "margin": {**MORE, "restarts": 1},
    "noise": {"name": "noise", "draws": 5, "epsilon": 0.3},
    "strong": ENSEMBLE,
    "autoattack-like": MORE,
}
Resisting = Sequence[int]
"""Which images resist an attack."""


def columns(resisting: Resisting, *, clean: Resisting = range(20), count: int = IMAGES) -> dict[str, np.ndarray]:
    """Return the columns of an attack on images of class 0; ``clean`` are those that are right without attack."""
    index = np.arange(count)
    return {
        "index": index,
        "label": np.zeros(count, dtype=np.int64),
        "clean_prediction": np.where(np.isin(index, list(clean)), 0, 1),
        "prediction": np.where(np.isin(index, list(resisting)), 0, 2),
    }


def below(*parts: tuple[Mapping[str, object], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return columns below one another, each part with some values that all of its rows share."""
    rows = [
        {name: np.full(IMAGES, value) for name, value in shared.items()} | dict(columns) for shared, columns in parts
    ]
    return {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}


def alarm(name: str, *, goes_off: bool) -> dict[str, Any]:
    return {"name": name, "value": 0.5, "bound": 0.4, "says": "", "goes_off": goes_off}


def write_battery(path: Path, attacks: Mapping[str, Resisting], *, seed: int = 0, clean: Resisting = range(20)) -> None:
    """Write the battery in one ball: which images resist which attack; the alarm goes off on seed 1."""
    measured = below(
        *(
            ({"attack": name, "epsilon": epsilon}, columns(resisting, clean=clean))
            for name, epsilon, resisting in [
                *((name, BALL[1], resisting) for name, resisting in attacks.items()),
                ("smaller", 0.1, range(8)),
                ("smaller", 0.2, range(6)),
            ]
        )
    )
    alarms = [alarm("zero gradients", goes_off=seed == 1), alarm("one step beats many", goes_off=False)]
    ball = {
        "norm": BALL[0],
        "epsilon": BALL[1],
        "attacks": AUDIT,
        "escalation": {"more": MORE},
        "without_gradients": {},
    }
    ball["noise"] = AUDIT["noise"]
    write_measurement(path, measured, {"notes": {"alarms": alarms, "ball": ball}})


def write_transfer(path: Path, resisting: Resisting, target: tuple[str, int], *, clean: Resisting = range(20)) -> None:
    """Write transfer to one model in three balls and, beside it, to others and another seed: there all are broken."""
    name, seed = target
    others = [(name, seed, ball, []) for ball in OTHER_BALLS] + [
        (name, seed + 7, BALL, []),
        ("another", seed, BALL, []),
    ]
    measured = below(
        *(
            ({"target": model, "target_seed": at, "norm": ball[0], "epsilon": ball[1]}, columns(which, clean=clean))
            for model, at, ball, which in [*others, (name, seed, BALL, resisting)]
        )
    )
    write_measurement(path, measured, {})


@pytest.fixture
def files(tmp_path: Path) -> AttackFiles:
    """The measurements of the model ``defended`` with seed 0: its tables', the audit's, and transfer to it."""
    paths = AttackFiles.of(Layout(str(tmp_path)), CELL, SOURCES, 0)
    write_measurement(paths.tables["pgd"], columns(range(9), count=20), OWN_ORIGIN)
    write_measurement(paths.tables["fgsm"], columns(range(10)), OWN_ORIGIN)
    write_battery(paths.battery, {"margin": range(7), "noise": range(1, 10)})
    write_transfer(paths.transfer["plain, seed 0"], [*range(5), 9], ("defended", 0))
    write_transfer(paths.transfer["defended, seed 1"], range(8), ("defended", 0))
    return paths


def test_the_ensemble_of_the_library_is_known_by_its_name_and_not_by_its_key(files: AttackFiles) -> None:
    write_battery(files.battery, {"margin": range(7), "strong": range(5), "autoattack-like": range(6)})
    assert read_worst_case(CELL, 0, files).ran_last == {"audit: strong"}


def test_a_papers_audit_reads_its_own_battery_ball_by_ball_and_its_own_transfer() -> None:
    cell = {**CELL, "battery": "audit-l2-0.5", "measures": ["pgd-l2"]}
    files = AttackFiles.of(Layout("results/quick"), cell, SOURCES, 1)
    folder = Path("results/quick/measurements")
    assert files.tables == {"pgd-l2": folder / "pgd-l2/defended/seed1.parquet"}
    assert files.battery == folder / "audit-l2-0.5/defended/seed1.parquet"
    assert files.transfer == {
        "defended, seed 0": folder / "audit-transfer-small/defended/seed0.parquet",
        "plain, seed 0": folder / "audit-transfer-small/plain/seed0.parquet",
    }


def images(resisted: pd.DataFrame) -> dict[Any, list[int]]:
    """Return the images that resist, by column."""
    return {name: np.flatnonzero(mask).tolist() for name, mask in resisted.items()}


def test_every_attack_of_the_ball_on_the_model_and_seed_is_read_and_no_other(files: AttackFiles) -> None:
    case = read_worst_case(CELL, 0, files)
    assert images(case.resisted) == {
        "pgd": [*range(9)],
        "fgsm": [*range(10)],
        "audit: margin": [*range(7)],
        "audit: noise": [*range(1, 10)],
        "transfer from defended, seed 1": [*range(8)],
        "transfer from plain, seed 0": [*range(5), 9],
    }
    assert images(case.smaller) == {0.1: [*range(8)], 0.2: [*range(6)]}
    assert [alarm["name"] for alarm in case.alarms] == ["zero gradients", "one step beats many"]
    assert (case.own, case.one_class) == ("pgd", 1.0)  # every clean prediction is right, and class 0


def test_the_tables_measures_are_cut_to_the_audits_images(files: AttackFiles) -> None:
    case = read_worst_case(CELL, 0, files)
    assert case.images == IMAGES
    assert len(case.resisted) == len(case.smaller) == IMAGES


def test_the_worst_case_is_what_resists_every_attack(files: AttackFiles) -> None:
    case = read_worst_case(CELL, 0, files)
    assert case.accuracy("pgd") == 90
    assert case.accuracy("pgd", "audit: noise") == 80
    assert case.accuracy() == 40  # images 1 to 4


def test_every_attack_of_the_tables_and_of_the_audit_has_words(files: AttackFiles) -> None:
    write_battery(files.battery, {"margin": range(7), "more, rescaled copy": range(7), "more": range(7)})
    words = read_worst_case(CELL, 0, files).words
    assert words == {
        "pgd": "PGD, 40 steps",
        "fgsm": "PGD, 40 steps",  # its measurement says so
        "audit: margin": "PGD, 40 steps, on the margin",
        "audit: more": "PGD, 40 steps, 10 restarts, on the margin",
        "audit: more, rescaled copy": "PGD, 40 steps, on the margin, on a rescaled copy",
    }


def test_of_a_curve_the_rows_at_the_radius_of_the_ball_count(files: AttackFiles) -> None:
    attack = {"name": "pgd", "steps": 20, "relative_step": 0.125, "restarts": 10}
    parts = [({"epsilon": 0.1}, columns(range(10))), ({"epsilon": 0.3}, columns(range(3)))]
    rows = {name: values.reshape(2, -1).T.flatten() for name, values in below(*parts).items()}  # image by image
    curve = {"kind": "curve", "curve": {"epsilons": [0.1, 0.3], "attack": attack}, "split": "test"}
    write_measurement(files.tables["fgsm"], rows, {"spec": {"measure": curve}})
    case = read_worst_case(CELL, 0, files)
    assert images(case.resisted)["fgsm"] == [0, 1, 2]
    assert case.words["fgsm"] == "PGD, 20 steps, 10 restarts"


def test_a_misclassified_image_resists_nothing_whatever_an_example_is_taken_for(files: AttackFiles) -> None:
    clean = [0, 1, 2, 4, 6]
    for path in files.tables.values():
        write_measurement(path, columns(range(10), clean=clean), OWN_ORIGIN)
    write_battery(files.battery, {"margin": range(10)}, clean=clean)
    for path in files.transfer.values():
        write_transfer(path, range(10), ("defended", 0), clean=clean)
    case = read_worst_case(CELL, 0, files)
    assert len(case.resisted.columns) == 5
    assert all(resisting == clean for resisting in images(case.resisted).values())
    assert images(case.smaller)[0.2] == [0, 1, 2, 4]
    assert case.one_class is None


def test_a_measure_of_fewer_images_leaves_the_worst_case_of_these(files: AttackFiles) -> None:
    fewer = {name: values[: IMAGES - 1] for name, values in columns(range(10)).items()}
    write_measurement(files.tables["fgsm"], fewer, OWN_ORIGIN)
    case = read_worst_case(CELL, 0, files)
    assert case.images == IMAGES - 1
    assert len(case.resisted) == len(case.smaller) == IMAGES - 1


def test_images_in_another_order_are_named_with_their_file(files: AttackFiles) -> None:
    path = files.tables["fgsm"]
    write_measurement(path, {name: values[::-1] for name, values in columns(range(10)).items()}, OWN_ORIGIN)
    with pytest.raises(UserError, match=f"{path}: expected the images 0 to 9 in order"):
        read_worst_case(CELL, 0, files)


def test_transfer_that_was_not_tried_on_the_model_is_named_with_its_file(files: AttackFiles) -> None:
    path = files.transfer["plain, seed 0"]
    write_transfer(path, range(10), ("defended", 1))
    with pytest.raises(UserError, match=f"{path}: expected the images 0 to 9 in order"):
        read_worst_case(CELL, 0, files)


def test_without_transfer_the_worst_case_is_over_what_was_made_for_the_model(tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    with_transfer = AttackFiles.of(layout, CELL, SOURCES, 0)
    without = AttackFiles.of(layout, {**CELL, "transfer": None}, SOURCES, 0)
    assert len(with_transfer.transfer) == 2
    assert without.transfer == {}
    assert (without.tables, without.battery) == (with_transfer.tables, with_transfer.battery)


@pytest.mark.parametrize("kind", ["tables", "battery", "transfer"])
def test_a_missing_measurement_is_named(files: AttackFiles, kind: str) -> None:
    path = files.battery if kind == "battery" else next(iter(getattr(files, kind).values()))
    path.unlink()
    with pytest.raises(UserError, match=f"{path}: there is no such measurement"):
        read_worst_case(CELL, 0, files)


# -- the step ------------------------------------------------------------------------------------------------

HOLDS_IF = "robust[defended, pgd] >= robust[plain, pgd] + 20"
OWN = {"defended": ([0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 8]), "plain": ([0], [1])}
"""Which images resist the paper's own PGD, by seed."""
SEEDS = {model: len(by_seed) for model, by_seed in OWN.items()}


def audited_cell(model: str, table: str = "robust") -> dict[str, Any]:
    keys = {"table": table, "row": model, "column": "pgd"}
    return {"cell": f"{table}[{model}, pgd]", **keys, **CELL, "model": model, "measures": ["pgd"]}


def write_table(folder: Path, name: str = "robust") -> None:
    """Write the table that the claim compares, as measured under the paper's own attack."""
    cells = []
    for model, by_seed in OWN.items():
        for column, of_one in (("pgd", 10.0), ("half", 5.0)):
            values = [{"seed": seed, "value": of_one * len(resisting)} for seed, resisting in enumerate(by_seed)]
            cells.append({"row": model, "column": column, "status": "measured", "why": None, "values": values})
    shared = {"group": None, "unit": "%", "decimals": 1}
    columns = [{"key": key, "label": key, "accuracy": key == "pgd", **shared} for key in ("pgd", "half")]
    table = {"columns": columns, "cells": cells}
    path = Path(Layout(str(folder)).table("small", name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table))


def write_measurements(folder: Path, targets: Collection[str] = tuple(OWN)) -> None:
    """Write what attacked the two models, and their examples on all: their own PGD, the battery, and transfer."""
    layout = Layout(str(folder))
    for model, by_seed in OWN.items():
        for seed, resisting in enumerate(by_seed):
            files = AttackFiles.of(layout, audited_cell(model), SEEDS, seed)
            write_measurement(files.tables["pgd"], columns(resisting, clean=range(9)), OWN_ORIGIN)
            # The margin leaves the defended model the images 0 to 3, and transfer takes image 0, or 1 and 2.
            # An alarm brings more on seed 1, which changes nothing.
            added = {"more": range(10)} if seed == 1 else {}
            write_battery(files.battery, {"margin": range(4), **added}, seed=seed, clean=range(9))
            lost = {("plain", 0): [0], ("plain", 1): [1, 2]}.get((model, seed), [])
            left = columns([image for image in range(IMAGES) if image not in lost], clean=range(9))
            in_ball = {"norm": BALL[0], "epsilon": BALL[1]}
            others = [(target, at) for target in targets for at in (0, 1) if (target, at) != (model, seed)]
            tried = below(*(({"target": target, "target_seed": at, **in_ball}, left) for target, at in others))
            write_measurement(Path(layout.measurement("audit-transfer-small", model, seed)), tried, {})


def reading(name: str, condition: str, table: str) -> dict[str, Any]:
    """Return a reading of a claim whose attacked cells are those of both models in a table."""
    cells = [audited_cell(model, table) for model in OWN]
    return {"reading": name, "holds_if": [condition], "cells": cells, "values": [], "differs": []}


def run_audit(
    folder: Path, claims: Sequence[Mapping[str, Any]], tables: Sequence[str], seeds: Mapping[str, int]
) -> tuple[Path, Path]:
    """Run the step on claims about models with so many seeds, which the two models attack; return both files."""
    spec = {"paper": "small", "folder": str(folder), "scale": "quick", "claims": claims, "tables": tables}
    details = Path(Layout(str(folder)).audit("small"))
    outputs = (details, details.with_name("audit.csv"))
    run(Work({**spec, "seeds": seeds, "sources": dict.fromkeys(seeds, SEEDS)}, "", {}, outputs))
    return outputs


def audit(folder: Path) -> tuple[Path, Path]:
    """Audit the one claim of the paper ``small`` about its two models with two seeds each; return both files."""
    write_table(folder)
    write_measurements(folder)
    return run_audit(folder, [{"key": "robust", "readings": [reading("", HOLDS_IF, "robust")]}], ["robust"], SEEDS)


@pytest.fixture
def judged(tmp_path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Audit the claim; return its row and its details."""
    details_path, rows_path = audit(tmp_path)
    (row,) = csv.DictReader(rows_path.read_text().splitlines())
    (details,) = json.loads(details_path.read_text())
    return row, details


def test_a_papers_audit_is_the_same_whatever_lies_beside_it(tmp_path: Path) -> None:
    alone = audit(tmp_path / "alone")
    layout = Layout(str(tmp_path / "beside"))
    for path in (
        layout.table("other", "robust"),
        layout.audit("other"),
        layout.measurement("audit-transfer-other", "defended", 0),
        layout.measurement(f"audit-{OTHER_BALLS[0][0]}-{OTHER_BALLS[0][1]:g}", "defended", 0),
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("not what it should be")
    beside = audit(tmp_path / "beside")
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in beside]


def test_a_paper_without_a_claim_about_robustness_has_an_empty_audit(tmp_path: Path) -> None:
    spec = {"paper": "small", "folder": str(tmp_path), "scale": "quick", "claims": [], "tables": []}
    outputs = (tmp_path / "audit.json", tmp_path / "audit.csv")
    run(
        Work(
            {**spec, "seeds": {}, "sources": {}},
            "",
            {},
            outputs,
        )
    )
    assert json.loads(outputs[0].read_text()) == []
    columns = "paper,claim,reading,verdict,taken_down_by,differs,measured,why,smaller_epsilon,alarms"
    assert outputs[1].read_text() == f"{columns}\n"


def test_a_claim_is_judged_on_the_worst_case_over_own_attack_battery_and_transfer(
    judged: tuple[dict[str, str], dict[str, Any]],
) -> None:
    # Of the defended model image 3 alone is left with either seed; of the plain one what resisted its own attack.
    row, details = judged
    for named in (row, details):
        assert (named["paper"], named["claim"], named["reading"]) == ("small", "robust", "")
    # Both seeds come to the same, and ten images leave the comparison open.
    assert row["verdict"] == "inconclusive"
    assert (
        "robust[defended, pgd] = 10.0, robust[plain, pgd] = 10.0; difference 0.0, at least 20 needed: margin -20.0"
        in row["measured"]
    )
    assert [cell["worst_case"] for cell in details["cells"]] == [10.0, 10.0]
    assert row["taken_down_by"].startswith("undecided under the paper's own attack, on the audit's 10 images")
    (worst,) = details["conditions"]
    assert (worst["condition"], worst["outcome"], worst["margin"]) == (HOLDS_IF, "crosses", -20.0)
    assert [number["value"] for number in worst["compared"]] == [10.0, 10.0]
    assert details["smaller"] == []


def test_the_details_have_every_attack_with_its_mean_over_seeds(
    judged: tuple[dict[str, str], dict[str, Any]],
) -> None:
    defended, plain = judged[1]["cells"]
    # By transfer: seed 0 loses images 0 to 2 to both seeds of the plain model, and image 9 is misclassified.
    more = {"audit: margin": 40.0, "audit: more": 90.0}
    assert defended["accuracies"] == {"pgd": 80.0, **more, "transfer from every other model": 60.0}
    assert plain["accuracies"] == {"pgd": 10.0, **more, "transfer from every other model": 75.0}
    assert defended["only_seeds"] == plain["only_seeds"] == {"audit: more": [1]}
    assert defended["words"]["audit: more"] == "PGD, 40 steps, 10 restarts, on the margin"
    shown = ("cell", "model", "norm", "epsilon", "clipped", "images", "seeds", "own")
    assert [defended[key] for key in shown] == ["robust[defended, pgd]", "defended", *BALL, True, IMAGES, 2, "pgd"]


def test_alarms_are_counted_over_seeds_and_told_seed_by_seed(judged: tuple[dict[str, str], dict[str, Any]]) -> None:
    row, details = judged
    assert row["alarms"] == "; ".join(
        f"robust[{model}, pgd]: zero gradients (1 of 2 seeds)" for model in ("defended", "plain")
    )
    alarms = details["cells"][0]["alarms"]
    assert [(alarm["seed"], alarm["name"], alarm["goes_off"]) for alarm in alarms] == [
        (0, "zero gradients", False),
        (0, "one step beats many", False),
        (1, "zero gradients", True),
        (1, "one step beats many", False),
    ]


# -- readings ------------------------------------------------------------------------------------------------

CLIPPED = "defended@clipped"
CLIPPED_HOLDS_IF = "robust@clipped[defended, pgd] >= robust[plain, pgd] + 20"
DIFFERS = ["audit.examples: 10 instead of 1000", f"epochs: 12 instead of 100 ({CLIPPED})"]


def clipped_cell() -> dict[str, Any]:
    """Return the cell of the table of a reading, of a model and a measure that the reading makes."""
    cell = audited_cell("defended", "robust@clipped")
    return cell | {"model": CLIPPED, "measure": "pgd@clipped", "measures": ["pgd@clipped"]}


def audit_of_readings(folder: Path, *readings: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Audit the claim under these readings, of which one may be about the clipped model; return rows and details."""
    write_table(folder)
    write_table(folder, "robust@clipped")
    write_measurements(folder, [*OWN, CLIPPED])
    for seed in range(2):
        files = AttackFiles.of(Layout(str(folder)), clipped_cell(), SEEDS, seed)
        write_measurement(files.tables["pgd@clipped"], columns(range(9), clean=range(9)), OWN_ORIGIN)
        write_battery(files.battery, {"margin": range(9)}, clean=range(9))
    claims = [{"key": "robust", "readings": list(readings)}]
    details, rows = run_audit(folder, claims, ["robust", "robust@clipped"], {**SEEDS, CLIPPED: 2})
    return list(csv.DictReader(rows.read_text().splitlines())), json.loads(details.read_text())


def test_every_reading_of_a_claim_is_audited_on_its_own_cells(tmp_path: Path) -> None:
    cells = [clipped_cell(), audited_cell("plain")]
    clipped = reading("clipped", CLIPPED_HOLDS_IF, "robust") | {"cells": cells, "differs": DIFFERS}
    rows, details = audit_of_readings(tmp_path, reading("plain", HOLDS_IF, "robust"), clipped)
    for entries in (rows, details):
        assert [(entry["claim"], entry["reading"]) for entry in entries] == [("robust", "plain"), ("robust", "clipped")]
    assert [row["verdict"] for row in rows] == ["inconclusive", "indicative: undecided"]
    assert [row["differs"] for row in rows] == ["", "; ".join(DIFFERS)]
    # Transfer takes the images 0 to 2 of the clipped model's nine, and no attack on it takes another.
    assert (
        "robust[defended, pgd] = 10.0, robust[plain, pgd] = 10.0; difference 0.0, at least 20 needed: margin -20.0"
        in rows[0]["measured"]
    )
    assert (
        "robust@clipped[defended, pgd] = 60.0, robust[plain, pgd] = 10.0; "
        "difference 50.0, at least 20 needed: margin +30.0" in rows[1]["measured"]
    )
    assert [[cell["cell"] for cell in entry["cells"]] for entry in details] == [
        ["robust[defended, pgd]", "robust[plain, pgd]"],
        ["robust@clipped[defended, pgd]", "robust[plain, pgd]"],
    ]
    cell = details[1]["cells"][0]
    assert (cell["model"], cell["own"], cell["worst_case"]) == (CLIPPED, "pgd@clipped", 60.0)
    assert list(cell["accuracies"]) == ["pgd@clipped", "audit: margin", "transfer from every other model"]


def test_a_value_of_a_readings_table_is_computed_anew_from_its_own_cells(tmp_path: Path) -> None:
    value = {"cell": "", "table": "robust@clipped", "row": "defended", "column": "half", "value": "this[pgd] / 2"}
    halved = reading("clipped", "robust@clipped[defended, half] >= 20", "robust")
    rows, _ = audit_of_readings(tmp_path, halved | {"cells": [clipped_cell()], "values": [value]})
    assert "robust@clipped[defended, half] = 30.0; margin +10.0" in rows[0]["measured"]


def test_a_cell_that_readings_share_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, int]] = []

    def counted(cell: Mapping[str, Any], seed: int, *others: Any) -> WorstCase:
        read.append((cell["cell"], seed))
        return read_worst_case(cell, seed, *others)

    monkeypatch.setattr("robustrepro.audits.step.read_worst_case", counted)
    rows, _ = audit_of_readings(tmp_path, *(reading(name, HOLDS_IF, "robust") for name in ("plain", "clipped")))
    assert sorted(read) == [(f"robust[{model}, pgd]", seed) for model in OWN for seed in range(2)]
    assert rows[0]["reading"] != rows[1]["reading"]
    assert rows[0] == rows[1] | {"reading": "plain"}

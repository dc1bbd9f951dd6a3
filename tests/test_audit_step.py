"""The worst case an image, read from the measurements, and the step that judges the claims by it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustrepro.audit.step import audit_step
from robustrepro.audit.worst_case import read_worst_case
from robustrepro.errors import UserError
from robustrepro.measurements.store import write_measurement
from robustrepro.spec.layout import Layout

IMAGES = 10
BALL = ("linf", 0.3)
OTHER_BALLS = [("linf", 0.1), ("l2", 0.3)]
CELL = {"model": "defended", "norm": "linf", "epsilon": 0.3, "measure": "pgd", "measures": ["pgd", "fgsm"]}
SOURCES = {"defended": 2, "plain": 1}
OWN_ORIGIN = {"spec": {"attack": {"name": "pgd", "steps": 40, "epsilon": 0.3}}}
MORE = {"name": "pgd", "steps": 40, "restarts": 10, "loss": "margin", "epsilon": 0.3}
AUDIT = {"margin": {**MORE, "restarts": 1}, "noise": {"name": "noise", "draws": 5, "epsilon": 0.3}}
Resisting = Sequence[int]
"""Which images resist an attack."""


def columns(resisting: Resisting, *, clean: Resisting = range(20), count: int = IMAGES) -> dict[str, np.ndarray]:
    """Return the columns of an attack on images of class 0; a clean prediction is wrong where not said otherwise."""
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


def write_battery(path: str, attacks: Mapping[str, Resisting], *, seed: int = 0, clean: Resisting = range(20)) -> None:
    """Write an audit of three balls; in the others every image is broken."""
    measured = below(
        *(
            ({"norm": ball[0], "ball": ball[1], "attack": name, "epsilon": epsilon}, columns(found, clean=clean))
            for ball in (*OTHER_BALLS, BALL)
            for name, epsilon, found in [
                *((name, ball[1], found if ball == BALL else []) for name, found in attacks.items()),
                ("smaller", 0.1, range(8)),
                ("smaller", 0.2, range(6)),
            ]
        )
    )
    origin = {
        "spec": {
            "balls": [
                {"norm": norm, "epsilon": epsilon, "attacks": AUDIT, "escalation": {"attacks": {"more": MORE}}}
                for norm, epsilon in (*OTHER_BALLS, BALL)
            ]
        },
        "alarms": [
            *[[alarm("one step beats many", goes_off=True)]] * len(OTHER_BALLS),
            [alarm("zero gradients", goes_off=seed == 1), alarm("one step beats many", goes_off=False)],
        ],
    }
    write_measurement(Path(path), measured, origin)


def write_transfer(path: str, found: Resisting, target: tuple[str, int], *, clean: Resisting = range(20)) -> None:
    """Write transfer to one model in three balls and, beside it, to others and another seed: there all are broken."""
    name, seed = target
    others = [(name, seed, ball, []) for ball in OTHER_BALLS] + [
        (name, seed + 7, BALL, []),
        ("another", seed, BALL, []),
    ]
    measured = below(
        *(
            ({"target": model, "target_seed": at, "norm": ball[0], "epsilon": ball[1]}, columns(which, clean=clean))
            for model, at, ball, which in [*others, (name, seed, BALL, found)]
        )
    )
    write_measurement(Path(path), measured, {})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    """The measurements of the model ``defended`` with seed 0: its tables', the audit's, and transfer to it."""
    found = Layout(str(tmp_path)).worst_case(CELL, SOURCES, 0)
    write_measurement(Path(found["attacks"]["pgd"]), columns(range(9), count=20), OWN_ORIGIN)
    write_measurement(Path(found["attacks"]["fgsm"]), columns(range(10)), OWN_ORIGIN)
    write_battery(found["battery"], {"margin": range(7), "noise": range(1, 10)})
    write_transfer(found["transfer"]["plain, seed 0"], [*range(5), 9], ("defended", 0))
    write_transfer(found["transfer"]["defended, seed 1"], range(8), ("defended", 0))
    return found


def images(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


def test_every_attack_of_the_ball_on_the_model_and_seed_is_read_and_no_other(files: dict[str, Any]) -> None:
    case = read_worst_case(CELL, files, 0)
    assert {name: images(mask) for name, mask in case.resisted.items()} == {
        "pgd": [*range(9)],
        "fgsm": [*range(10)],
        "audit: margin": [*range(7)],
        "audit: noise": [*range(1, 10)],
        "transfer from defended, seed 1": [*range(8)],
        "transfer from plain, seed 0": [*range(5), 9],
    }
    assert {epsilon: images(mask) for epsilon, mask in case.smaller.items()} == {0.1: [*range(8)], 0.2: [*range(6)]}
    assert [alarm["name"] for alarm in case.alarms] == ["zero gradients", "one step beats many"]
    assert (case.own, case.constant) == ("pgd", True)  # every clean prediction is right, and class 0


def test_the_tables_measures_are_cut_to_the_audits_images(files: dict[str, Any]) -> None:
    case = read_worst_case(CELL, files, 0)
    assert case.images == IMAGES
    assert {len(mask) for mask in case.resisted.values()} == {IMAGES}


def test_the_worst_case_is_what_resists_every_attack(files: dict[str, Any]) -> None:
    case = read_worst_case(CELL, files, 0)
    assert case.accuracy("pgd") == 90
    assert case.accuracy("pgd", "audit: noise") == 80
    assert case.accuracy() == 40  # images 1 to 4


def test_every_attack_of_the_tables_and_of_the_audit_has_words(files: dict[str, Any]) -> None:
    write_battery(files["battery"], {"margin": range(7), "more, rescaled copy": range(7), "more": range(7)})
    words = read_worst_case(CELL, files, 0).words
    assert words == {
        "pgd": "PGD, 40 steps",
        "fgsm": "PGD, 40 steps",  # its measurement says so
        "audit: margin": "PGD, 40 steps, on the margin",
        "audit: more": "PGD, 40 steps, 10 restarts, on the margin",
        "audit: more, rescaled copy": "PGD, 40 steps, 10 restarts, on the margin, on a rescaled copy",
    }


def test_a_misclassified_image_resists_nothing_whatever_an_example_is_taken_for(files: dict[str, Any]) -> None:
    clean = [0, 1, 2, 4, 6]
    for name in ("pgd", "fgsm"):
        write_measurement(Path(files["attacks"][name]), columns(range(10), clean=clean), OWN_ORIGIN)
    write_battery(files["battery"], {"margin": range(10)}, clean=clean)
    for path in files["transfer"].values():
        write_transfer(path, range(10), ("defended", 0), clean=clean)
    case = read_worst_case(CELL, files, 0)
    assert len(case.resisted) == 5
    assert all(images(mask) == clean for mask in case.resisted.values())
    assert images(case.smaller[0.2]) == [0, 1, 2, 4]
    assert not case.constant


def reorder(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: values[::-1] for name, values in found.items()}


def test_a_measure_of_fewer_images_leaves_the_worst_case_of_these(files: dict[str, Any]) -> None:
    fewer = {name: values[: IMAGES - 1] for name, values in columns(range(10)).items()}
    write_measurement(Path(files["attacks"]["fgsm"]), fewer, OWN_ORIGIN)
    case = read_worst_case(CELL, files, 0)
    assert case.images == IMAGES - 1
    assert {len(mask) for mask in (*case.resisted.values(), *case.smaller.values())} == {IMAGES - 1}


def test_images_in_another_order_are_named_with_their_file(files: dict[str, Any]) -> None:
    path = files["attacks"]["fgsm"]
    write_measurement(Path(path), reorder(columns(range(10))), {})
    with pytest.raises(UserError, match=f"{path}: expected the images 0 to 9 in order"):
        read_worst_case(CELL, files, 0)


def test_transfer_that_was_not_tried_on_the_model_is_named_with_its_file(files: dict[str, Any]) -> None:
    path = files["transfer"]["plain, seed 0"]
    write_transfer(path, range(10), ("defended", 1))
    with pytest.raises(UserError, match=f"{path}: expected the images 0 to 9 in order"):
        read_worst_case(CELL, files, 0)


@pytest.mark.parametrize("kind", ["attacks", "transfer"])
def test_a_missing_measurement_is_named(files: dict[str, Any], kind: str) -> None:
    path = next(iter(files[kind].values()))
    Path(path).unlink()
    with pytest.raises(UserError, match=f"{path}: there is no such measurement"):
        read_worst_case(CELL, files, 0)


# -- the step ------------------------------------------------------------------------------------------------

HOLDS_IF = "robust[defended, pgd] >= robust[plain, pgd] + 20"
OWN = {"defended": ([0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 8]), "plain": ([0], [1])}
"""Which images resist the paper's own PGD, by seed."""


def audited_cell(model: str) -> dict[str, Any]:
    keys = {"table": "robust", "row": model, "column": "pgd"}
    return {"cell": f"robust[{model}, pgd]", **keys, **CELL, "model": model, "measures": ["pgd"]}


@pytest.fixture
def judged(tmp_path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Audit one claim about two models with two seeds each; return its line and its details."""
    layout = Layout(str(tmp_path))
    sources = {"defended": 2, "plain": 2}
    table: dict[str, Any] = {"decimals": 1, "unit": "%", "stand_in": False, "stand_in_note": "", "cells": []}
    for model, resisting in OWN.items():
        values = [{"seed": seed, "value": 10.0 * len(found), "count": 10} for seed, found in enumerate(resisting)]
        mean = float(np.mean([value["value"] for value in values]))
        table["cells"].append({"row": model, "column": "pgd", "mean": mean, "interval": None, "values": values})
        for seed, found in enumerate(resisting):
            paths = layout.worst_case(audited_cell(model), sources, seed)
            write_measurement(Path(paths["attacks"]["pgd"]), columns(found, clean=range(9)), OWN_ORIGIN)
            # The margin leaves the defended model the images 0 to 3, and transfer takes image 0, or 1 and 2.
            # An alarm brings more on seed 1, which changes nothing.
            added = {"more": range(10)} if seed == 1 else {}
            write_battery(paths["battery"], {"margin": range(4), **added}, seed=seed, clean=range(9))
    for source, seeds in sources.items():
        for seed in range(seeds):
            path = layout.measurement("transfer", source, seed, "audit")
            targets = [(model, at) for model in OWN for at in (0, 1) if (model, at) != (source, seed)]
            lost = {("plain", 0): [0], ("plain", 1): [1, 2]}.get((source, seed), [])
            measured = below(
                *(
                    (
                        {"target": model, "target_seed": at, "norm": BALL[0], "epsilon": BALL[1]},
                        columns([image for image in range(10) if image not in lost], clean=range(9)),
                    )
                    for model, at in targets
                )
            )
            write_measurement(Path(path), measured, {})
    path = tmp_path / "papers/small/tables/robust.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(table))
    claim = {"key": "robust", "holds_if": [HOLDS_IF], "cells": [audited_cell(model) for model in OWN]}
    paper = {"id": "small", "claims": [claim], "tables": ["robust"]}
    paper |= {"seeds": {"defended": 2, "plain": 2}, "sources": dict.fromkeys(OWN, sources)}
    audit_step({"folder": str(tmp_path), "papers": [paper]}, tmp_path)
    (line,) = csv.DictReader((tmp_path / "audit.csv").read_text().splitlines())
    (details,) = json.loads((tmp_path / "audit.json").read_text())
    return line, details


def test_a_claim_is_judged_on_the_worst_case_over_own_attack_battery_and_transfer(
    judged: tuple[dict[str, str], dict[str, Any]],
) -> None:
    # Of the defended model image 3 alone is left with either seed; of the plain one what resisted its own attack.
    line, details = judged
    assert (line["paper"], line["claim"]) == (details["paper"], details["claim"]) == ("small", "robust")
    assert line["verdict"] == "does not survive"
    assert "robust[defended, pgd] = 10.0, robust[plain, pgd] = 10.0; margin -20.0" in line["measured"]
    assert [cell["worst_case"] for cell in details["cells"]] == [10.0, 10.0]
    # The margin alone leaves 40 against 10 points, which would do: no single attack takes the claim down.
    assert line["taken_down_by"].startswith("all attacks together: ")
    assert details["taken_down"]["by"] == "all attacks together"
    (left,), (worst,) = details["taken_down"]["left"]["conditions"], details["conditions"]
    assert left == worst
    assert (worst["condition"], worst["outcome"], worst["margin"]) == (HOLDS_IF, "fails", -20.0)
    assert [one["value"] for one in worst["compared"]] == [10.0, 10.0]
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
    shown = ("cell", "model", "norm", "epsilon", "images", "seeds", "own")
    assert [defended[key] for key in shown] == ["robust[defended, pgd]", "defended", *BALL, IMAGES, 2, "pgd"]


def test_alarms_are_counted_over_seeds_and_told_seed_by_seed(judged: tuple[dict[str, str], dict[str, Any]]) -> None:
    line, details = judged
    assert line["alarms"] == "; ".join(
        f"robust[{model}, pgd]: zero gradients (1 of 2 seeds)" for model in ("defended", "plain")
    )
    alarms = details["cells"][0]["alarms"]
    assert [(alarm["seed"], alarm["name"], alarm["goes_off"]) for alarm in alarms] == [
        (0, "zero gradients", False),
        (0, "one step beats many", False),
        (1, "zero gradients", True),
        (1, "one step beats many", False),
    ]

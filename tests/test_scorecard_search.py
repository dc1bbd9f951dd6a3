"""The step ``search``: the candidate that comes out best on validation images, and the model that it is made of."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from scorecard_cases import cell, column, table_of

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.layout import Layout
from robustrepro.models import derive
from robustrepro.models.build import build_network
from robustrepro.scorecard import search
from robustrepro.spec.networks import Network
from robustrepro.steps import Work

PAPER, READING = "small", "best"
NETWORK: dict[str, Any] = {"architecture": {"name": "mlp", "hidden": [4]}}


def table(robust: float, clean: float = 98.0, distance: float | None = None) -> dict[str, Any]:
    """Return a table of one row with a distance to what is printed, as a table's JSON has it."""
    cells = [cell("hrm", "pgd", [robust - 1, robust + 1]), cell("hrm", "clean", [clean])]
    found = {"mean_absolute_difference": distance, "cells": 0 if distance is None else 2}
    return {**table_of(cells, column("pgd"), column("clean")), "distance": found}


def searched(folder: Path, tables: dict[str, dict[str, Any]], **compared: Any) -> dict[str, Any]:
    """Run the step over candidates by key, and return what it writes."""
    layout = Layout(str(folder))
    for key, content in tables.items():
        path = Path(layout.table(PAPER, f"accuracy@best.{key}"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    candidates = [{"candidate": key, "tables": {"accuracy": f"accuracy@best.{key}"}} for key in tables]
    spec = {"folder": str(folder), "paper": PAPER, "reading": READING, "candidates": candidates, **compared}
    outcome = Path(layout.search(PAPER, READING))
    search.run(Work(spec, "c0de", {}, [outcome, outcome.with_suffix(".csv")]))
    found: dict[str, Any] = json.loads(outcome.read_text())
    return found


def test_the_candidate_nearest_to_the_printed_numbers_is_chosen(tmp_path: Path) -> None:
    tables = {"1": table(1, distance=30.0), "12": table(2, distance=7.5), "100": table(3, distance=12.0)}
    found = searched(tmp_path, tables, closest_to="accuracy")
    assert found["chosen"] == "12"
    assert [(each["candidate"], each["value"]) for each in found["candidates"]] == [("1", 30), ("12", 7.5), ("100", 12)]
    rows = list(csv.DictReader(Path(Layout(str(tmp_path)).search(PAPER, READING)).with_suffix(".csv").open()))
    assert [(row["candidate"], row["value"], row["chosen"]) for row in rows] == [
        ("1", "30.0", "False"),
        ("12", "7.5", "True"),
        ("100", "12.0", "False"),
    ]


def test_of_equally_good_candidates_the_first_is_chosen(tmp_path: Path) -> None:
    tables = {"9": table(1, distance=7.5), "3": table(2, distance=7.5)}
    assert searched(tmp_path, tables, closest_to="accuracy")["chosen"] == "9"


def test_the_largest_sum_of_cells_is_chosen_among_those_that_meet_the_conditions(tmp_path: Path) -> None:
    tables = {"weak": table(40), "strong": table(60), "spoilt": table(80, clean=90.0)}
    compared = {"largest": "accuracy[hrm, pgd]", "among": ["accuracy[hrm, clean] >= 97"]}
    found = searched(tmp_path, tables, **compared)
    assert found["chosen"] == "strong"
    assert [(each["value"], each["allowed"], each["why"]) for each in found["candidates"]] == [
        (40, True, ""),
        (60, True, ""),
        (80, False, "it does not meet accuracy[hrm, clean] >= 97"),
    ]


def test_a_candidate_that_was_not_measured_is_not_chosen(tmp_path: Path) -> None:
    tables = {"1": table(1), "2": table(1, distance=50.0)}
    found = searched(tmp_path, tables, closest_to="accuracy")
    assert (found["chosen"], found["candidates"][0]["why"]) == (
        "2",
        "none of its numbers has a distance to the printed ones",
    )
    unmeasured = {**cell("hrm", "pgd", [1.0]), "status": "not measured", "why": "image-hrm: left out", "values": []}
    tables = {"1": table_of([unmeasured], column("pgd")), "2": table(5)}
    found = searched(tmp_path, tables, largest="accuracy[hrm, pgd]", among=[])
    assert (found["chosen"], found["candidates"][0]["allowed"]) == ("2", False)
    assert "image-hrm: left out" in found["candidates"][0]["why"]


def test_a_search_with_nothing_to_choose_from_says_why(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"papers/small/paper\.yaml: readings\.best\.search: nothing to choose from \(1: "
    ):
        searched(tmp_path, {"1": table(1), "2": table(1)}, closest_to="accuracy")


# -- the model -----------------------------------------------------------------------------------------------


def chosen(folder: Path, data: Path, outcome: dict[str, Any], among: dict[str, str]) -> Work:
    """Run the step that copies what a search chose; every candidate's weights are those of a seed of its own."""
    files = {}
    for number, name in enumerate(sorted(set(among.values()))):
        model = build_network(Network.model_validate(NETWORK), (2,), 2, seed=number)
        files[name] = folder / f"{name}.safetensors"
        save_file(model.state_dict(), files[name])
    (folder / "best.json").write_text(json.dumps(outcome))
    spec = {"model": "m@best", "seed": 0, "dataset": "two_moons", "network": NETWORK}
    spec["chosen"] = {"search": "small/best", "among": among}
    of_candidates = list(dict.fromkeys(among[key] for key in sorted(among)))
    inputs = {
        "data": [data / "manifest.json"],
        "search": [folder / "best.json"],
        "weights": [files[name] for name in of_candidates],
    }
    work = Work(spec, "c0de", inputs, [folder / "weights.safetensors", folder / "card.json"])
    derive.run(work)
    return work


def test_the_chosen_candidate_is_copied_and_its_card_says_so(tmp_path: Path, moons: Path) -> None:
    among = {"100": "plain", "12": "shorter", "9": "plain"}
    work = chosen(tmp_path, moons, {"chosen": "12"}, among)
    assert work.outputs[0].read_bytes() == (tmp_path / "shorter.safetensors").read_bytes()
    card = json.loads(work.outputs[1].read_text())
    assert (card["source"], card["chosen"]) == ("shorter", "12")
    assert card["source_weights_sha256"] == sha256_of(tmp_path / "shorter.safetensors")
    assert card["search_sha256"] == sha256_of(tmp_path / "best.json")


def test_a_choice_that_is_no_candidate_is_refused(tmp_path: Path, moons: Path) -> None:
    with pytest.raises(UserError, match=r"best\.json: it chooses '5'; expected one of 1, 2"):
        chosen(tmp_path, moons, {"chosen": "5"}, {"1": "a", "2": "b"})

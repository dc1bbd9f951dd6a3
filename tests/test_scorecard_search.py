"""The step ``search``: the candidate that comes out best on validation images."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from scorecard_cases import cell, column, table_of

from robustrepro.errors import UserError
from robustrepro.layout import Layout
from robustrepro.scorecard import search
from robustrepro.steps import Work

PAPER, READING = "small", "best"


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

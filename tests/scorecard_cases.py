"""Tables in plain data, and a paper's scorecard made from them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from robustrepro.layout import Layout
from robustrepro.scorecard import step
from robustrepro.steps import Work
from robustrepro.tables.statistics import accuracy_interval

CLAIM = "table2[hrm, pgd] >= table2[erm, pgd] + 20"
IMAGES = 10_000
Tables = dict[str, dict[str, Any]]


def cell(row: str, column: str, values: Sequence[float], images: int | None = None) -> dict[str, Any]:
    """Return a measured cell: an accuracy over so many images, or a number whose rows say nothing of its spread."""
    return {
        "row": row,
        "column": column,
        "status": "measured",
        "why": None,
        "mean": fmean(values),
        "values": [
            {"seed": seed, "value": value, "interval": accuracy_interval(value, images) if images else None}
            for seed, value in enumerate(values)
        ],
    }


def column(key: str, *, unit: str = "%", decimals: int = 2, accuracy: bool = True) -> dict[str, Any]:
    return {"key": key, "unit": unit, "decimals": decimals, "accuracy": accuracy}


def table_of(cells: list[dict[str, Any]], *columns: dict[str, Any]) -> dict[str, Any]:
    return {"columns": list(columns), "cells": cells}


def tables(**rows: Sequence[float]) -> Tables:
    """Return table2 with the accuracies of each row under PGD, one per seed."""
    cells = [cell(row, "pgd", values, IMAGES) for row, values in rows.items()]
    return {"table2": table_of(cells, column("pgd"))}


HOLDS = tables(erm=[3.0, 3.2, 2.9], hrm=[56.0, 57.0, 55.0])
FAILS = tables(erm=[3.0, 3.2, 2.9], hrm=[5.0, 5.2, 4.9])
CROSSES = tables(erm=[3.0, 3.2, 2.9], hrm=[5.0, 56.0, 30.0])
AUDIT = "paper,claim,reading,verdict,taken_down_by,differs,why\n"


def judge_paper(folder: Path, paper: str, made: Tables, audit: str, claims: Sequence[Mapping[str, Any]]) -> None:
    """Write a paper's tables and its audit, and run its scorecard."""
    layout = Layout(str(folder))
    for name, table in made.items():
        path = Path(layout.table(paper, name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(table))
    Path(layout.audit(paper)).with_name("audit.csv").write_text(AUDIT + audit)
    spec = {"paper": paper, "folder": str(folder), "scale": "quick", "claims": claims, "tables": list(made)}
    details = Path(layout.scorecard(paper))
    step.run(Work(spec, "", {}, [details, *(details.with_name(name) for name in ("scorecard.csv", "readings.csv"))]))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))

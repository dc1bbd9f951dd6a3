"""Results of a small paper on disk, as a run leaves them, to compare with one another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scorecard_cases import CLAIM, IMAGES, cell, column, judge_paper, table_of

from robustrepro.comparison.results import Number
from robustrepro.layout import Layout
from robustrepro.tables.statistics import PERCENTAGES, Sample, accuracy_interval, estimate_over

CLAIMS = [
    {
        "key": "gain",
        "says": "HRM is better.",
        "where": "Table 2",
        "margins": "20",
        "readings": [{"reading": "", "holds_if": [CLAIM], "differs": [], "choices": {}}],
    }
]
Accuracies = Sequence[float] | None
"""Of a row of table2 under PGD, one per seed; None where it was not measured."""


def number(values: Sequence[float], images: int | None = IMAGES) -> Number:
    """Return a cell's number from an accuracy per seed, or, without images, from numbers without intervals."""
    estimate = estimate_over([_sample(value, images) for value in values])
    return Number(estimate.mean, estimate.std, estimate.interval, len(values), 2, "%")


def _sample(value: float, images: int | None) -> Sample:
    if images is None:
        return Sample(value, 1)
    return Sample(value, images, lambda: accuracy_interval(value, images), "binomial", PERCENTAGES)


def write_results(folder: Path, paper: str = "small", **rows: Accuracies) -> Path:
    """Write a scale's table2 and its scorecard, and return the scale's folder.

    The claim is that HRM gains 20 points over ERM.
    """
    judge_paper(folder, paper, {"table2": table_of([_cell(*row) for row in rows.items()], column("pgd"))}, "", CLAIMS)
    assert Path(Layout(str(folder)).table(paper, "table2")).exists()
    return folder


def _cell(row: str, values: Accuracies) -> dict[str, Any]:
    if values is None:
        absent = {"status": "not measured", "why": "left out", "mean": None, "std": None, "interval": None}
        return {"row": row, "column": "pgd", **absent, "seeds": 0, "values": []}
    measured = {key: value for key, value in asdict(number(values)).items() if key not in {"decimals", "unit"}}
    return json.loads(json.dumps({**cell(row, "pgd", values, IMAGES), **measured}))

"""Specs of tables and the measurements behind them, for the tests of the step that makes tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robustrepro.layout import Layout
from robustrepro.measures.store import write_measurement
from robustrepro.steps import Work
from robustrepro.tables.step import run

FOLDER = "results/quick"
LABELS = [0, 1, 2, 3]
TRAINING = {
    name: json.dumps({"objective": {"name": name.removeprefix("image-")}}) for name in ("image-erm", "image-hrm")
}


def measure(
    name: str,
    subject: str,
    seed: int,
    columns: Mapping[str, Any],
    *,
    declared: Mapping[str, Any] | None = None,
    models: Sequence[tuple[str, int]] | None = None,
    **account: Any,
) -> Path:
    """Write a measurement of these columns where the layout says, and return its file.

    ``account`` is more that its origin says.
    """
    path = Path(Layout(FOLDER).measurement(name, subject, seed))
    origin = {
        "spec": {
            "measure": declared or {"kind": "attack", "attack": {"name": name}},
            "targets": ["a", "long", "list"],
        },
        "models": [
            {"model": model, "seed": of_seed, "weights_sha256": f"sha-of-{model}-{of_seed}"}
            for model, of_seed in models or [(subject, seed)]
        ],
        "commit": "c0ffee",
        "device": "cpu",
        **account,
    }
    write_measurement(path, {key: np.array(values) for key, values in columns.items()}, origin)
    return path


def predictions(clean: Sequence[int], under_attack: Sequence[int]) -> dict[str, Sequence[int]]:
    """Return the columns of an attack on four images."""
    return {"index": LABELS, "label": LABELS, "clean_prediction": clean, "prediction": under_attack}


def column(key: str, label: str, **more: Any) -> dict[str, Any]:
    """Return a column as a table's spec has it."""
    return {"key": key, "label": label, "group": None, "unit": "%", "decimals": 2, "accuracy": True, **more}


def measured(row: str, at: str, measures: Sequence[str], subject: str, seeds: int, **more: Any) -> dict[str, Any]:
    """Return a measured cell as a table's spec has it, with one value per seed of its subject."""
    return {
        "row": row,
        "column": at,
        "kind": "measured",
        "measures": list(measures),
        "subject": subject,
        "models": subject.split("+"),
        "statistic": {"name": "accuracy"},
        "samples": [{"seed": seed, "subject_seed": seed, "rows": None} for seed in range(seeds)],
        **more,
    }


def table_spec(
    rows: Mapping[str, str], columns: Sequence[dict[str, Any]], cells: Sequence[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """Return a table's spec."""
    return {
        "id": "accuracy",
        "paper": "small",
        "folder": FOLDER,
        "scale": "quick",
        "where": "Table 1",
        "caption": "Accuracy",
        "of": "accuracy",
        "reading": "",
        "row_header": "",
        "rows": [{"key": key, "label": label, "differs": []} for key, label in rows.items()],
        "columns": list(columns),
        "cells": list(cells),
        "printed": [],
        "training": TRAINING,
        "stand_ins": {},
        "differs": [],
        "unverified": [],
        **more,
    }


def made(spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Make a table in all its forms and return it as its JSON has it."""
    outputs = [folder / f"{spec['id']}{suffix}" for suffix in (".json", ".csv", ".md")]
    run(Work(spec=json.loads(json.dumps(spec)), code="", inputs={}, outputs=outputs))
    table: dict[str, Any] = json.loads(outputs[0].read_text(encoding="utf-8"))
    return table


def cell_of(table: Mapping[str, Any], row: str, at: str) -> dict[str, Any]:
    """Return one cell of a table."""
    cell: dict[str, Any] = next(cell for cell in table["cells"] if (cell["row"], cell["column"]) == (row, at))
    return cell

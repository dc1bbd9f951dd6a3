"""The step ``table``: from measurements to one table, as JSON (with every number's origin), CSV and Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from robustrepro.files import write_text
from robustrepro.measurements.store import read_measurement
from robustrepro.spec.paper import Table
from robustrepro.spec.published import printed_value, read_published
from robustrepro.tables.render import as_csv, as_markdown
from robustrepro.tables.statistics import of_accuracy, of_number


def table_step(spec: dict[str, Any], folder: Path, published: Path | None) -> None:
    """Make one table from its measurements.

    Parameters
    ----------
    spec
        The table's declaration, the measurements of every cell, and what stands in for what.
    folder
        Receives ``{table}.json``, ``{table}.csv`` and ``{table}.md``.
    published
        The numbers as printed, if the paper has this table.
    """
    declaration = Table.from_order(spec["table"])
    printed = read_published(published, declaration) if published else {}
    cells = [_cell(cell, spec["training"], printed.get((cell["row"], cell["column"]))) for cell in spec["cells"]]
    table = {
        "id": spec["id"],
        "paper": spec["paper"],
        "scale": spec["scale"],
        "where": declaration.where,
        "caption": declaration.caption,
        "unit": declaration.unit,
        "decimals": declaration.decimals,
        "row_header": declaration.row_header,
        "stand_in": bool(spec["stand_ins"]),
        "stand_in_note": ", ".join(f"{used} instead of {name}" for name, used in spec["stand_ins"].items()),
        "unverified": spec["unverified"],
        "rows": [{"key": key, "label": row.label} for key, row in declaration.rows.items()],
        "columns": [{"key": key, "label": column.label} for key, column in declaration.columns.items()],
        "cells": cells,
    }
    stem = folder / spec["id"]
    write_text(stem.with_suffix(".csv"), as_csv(table))
    write_text(stem.with_suffix(".md"), as_markdown(table))
    write_text(stem.with_suffix(".json"), json.dumps(table, indent=1, ensure_ascii=False) + "\n")


def _cell(cell: dict[str, Any], training: dict[str, str], printed: str | None) -> dict[str, Any]:
    """Return a cell with its estimate over seeds and the origin of each seed's value."""
    values: list[dict[str, Any]] = []
    for seed, file in cell["measurements"].items():
        measured, origin = read_measurement(Path(file))
        models = origin["models"]
        match cell["kind"]:
            case "attack":
                value, count = _accuracy(measured)
            case "transfer":
                target = (cell["target"], cell["target_seeds"][seed])
                value, count = _accuracy(_on_target(measured, *target))
                models = [models[0], *(model for model in models[1:] if (model["model"], model["seed"]) == target)]
            case _:
                value, count = _distance(measured)
        sources = [
            {
                "model": model["model"],
                "weights_sha256": model["weights_sha256"],
                "training_spec": json.loads(training[model["model"]]),
                "measurement": file,
                "attack_spec": None if cell["kind"] == "parameter_distance" else _attack_of(origin["spec"]),
                "commit": origin["commit"],
                "device": origin["device"],
            }
            for model in models
        ]
        values.append({"seed": int(seed), "value": value, "count": count, "sources": sources})
    numbers = [value["value"] for value in values]
    is_accuracy = cell["kind"] != "parameter_distance"
    estimate = of_accuracy(numbers, values[0]["count"]) if is_accuracy else of_number(numbers)
    printed_number = printed_value(printed) if printed is not None else None
    return {
        "row": cell["row"],
        "column": cell["column"],
        "mean": estimate.mean,
        "std": estimate.std,
        "interval": estimate.interval,
        "interval_kind": estimate.kind,
        "seeds": len(values),
        "printed": printed,
        "printed_value": printed_number,
        "difference": None if printed_number is None else estimate.mean - printed_number,
        "values": values,
    }


def _accuracy(measured: pa.Table) -> tuple[float, int]:
    """Return the accuracy in percent and the number of images. An image misclassified when clean is not robust."""
    correct = measured.column("prediction").to_numpy() == measured.column("label").to_numpy()
    return 100 * float(correct.mean()), len(correct)


def _on_target(measured: pa.Table, target: str, seed: int) -> pa.Table:
    """Return the rows of one target; an example that an already misclassified image was made into stays wrong."""
    chosen = (measured.column("target").to_numpy() == target) & (measured.column("target_seed").to_numpy() == seed)
    rows = measured.filter(pa.array(chosen))
    clean, found = (rows.column(name).to_numpy() for name in ("clean_prediction", "prediction"))
    right = clean == rows.column("label").to_numpy()
    return rows.set_column(rows.column_names.index("prediction"), "prediction", pa.array(np.where(right, found, clean)))


def _attack_of(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what a reader needs of an attack's spec; the list of a transfer's targets is not part of it."""
    return {key: value for key, value in spec.items() if key != "targets"}


def _distance(measured: pa.Table) -> tuple[float, int]:
    """Return the euclidean distance of two parameter vectors and their length."""
    squares = measured.column("squared_difference").to_numpy()
    return float(np.sqrt(squares.sum())), int(measured.column("parameters").to_numpy().sum())

"""Measurements for figures to be drawn from, in the layout of a scale."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from robustrepro.figures.data import FigureData
from robustrepro.layout import Layout
from robustrepro.measures.store import write_measurement
from robustrepro.spec.figures import Drawing

drawing_adapter: TypeAdapter[Any] = TypeAdapter(Drawing)


def write(folder: Path, measure: str, model: str, seed: int, **columns: Any) -> str:
    """Write a measurement where a figure looks for it."""
    path = Layout(str(folder)).measurement(measure, model, seed)
    write_measurement(Path(path), {name: np.asarray(values) for name, values in columns.items()}, {})
    return path


def figure_spec(folder: Path, figure: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """Return a figure's spec, with the seeds of each model that lie in the folder."""
    declared = drawing_adapter.validate_python(figure)
    sources = list(declared.sources())
    return {
        "id": "figure",
        "paper": "small",
        "folder": str(folder),
        "scale": "quick",
        "where": "Figure 1",
        "caption": "A figure",
        "figure": declared.model_dump(mode="json"),
        "declared_by": f"{type(declared).__module__}:{type(declared).__name__}",
        "seeds": {
            model: len(list(folder.glob(f"measurements/{measure}/{model}/seed*.parquet")))
            for model, measure, _ in sources
        },
        "measures": {measure: f"the words for {measure}" for _, measure, _ in sources},
        "stand_ins": {},
        "unverified": [],
        **changed,
    }


def declared_with_data(folder: Path, figure: Mapping[str, Any], **changed: Any) -> tuple[Any, FigureData]:
    """Return what a draw function is called with."""
    return drawing_adapter.validate_python(figure), FigureData(figure_spec(folder, figure, **changed))


def table_cell(row: str, column: str, mean: float | None, **changed: Any) -> dict[str, Any]:
    """Return a cell as a table's JSON has it; it is not measured where there is no mean."""
    interval = None if mean is None else [mean - 1, mean + 1]
    status = "not measured" if mean is None else "measured"
    cell = {"row": row, "column": column, "status": status, "why": None, "mean": mean, "interval": interval}
    return {**cell, "seeds": 0 if mean is None else 3, "printed": None, "printed_value": None, **changed}


def write_table(folder: Path, name: str, cells: list[dict[str, Any]], **column: Any) -> str:
    """Write a table whose rows and columns are those of its cells."""
    rows, columns = (dict.fromkeys(cell[side] for cell in cells) for side in ("row", "column"))
    options = {"group": None, "unit": "%", "decimals": 2, "accuracy": True, **column}
    table = {
        "id": name,
        "rows": [{"key": key, "label": f"from {key}"} for key in rows],
        "columns": [{"key": key, "label": f"to {key}", **options} for key in columns],
        "cells": cells,
    }
    path = Path(Layout(str(folder)).table("small", name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table))
    return str(path)

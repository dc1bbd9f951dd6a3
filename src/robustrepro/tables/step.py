"""The step ``table``: from measurements to one table, as JSON (with every number's origin), CSV and Markdown."""

from __future__ import annotations

import json
from typing import Any

from robustrepro.files import write_text
from robustrepro.grammar import Place
from robustrepro.steps import Work
from robustrepro.tables.cells import cell_as_data, contents_of
from robustrepro.tables.distance import distance_to_printed
from robustrepro.tables.render import as_csv, as_markdown
from robustrepro.tables.reported import with_reported

CARRIED_OVER = (
    "id",
    "of",
    "reading",
    "paper",
    "scale",
    "where",
    "caption",
    "row_header",
    "unverified",
    "differs",
    "rows",
    "columns",
)
"""What a table's JSON has from its spec, as it is: ``of`` is the declared table, of which ``id`` is one reading."""


def run(work: Work) -> None:
    """Make one table from its measurements.

    Parameters
    ----------
    work
        Its spec has the declared rows and columns, what each cell is computed from, the numbers as printed, what stands
        in for what, which ``reading`` ``of`` which declared table it is, and which seed it ``reports`` where that is
        declared. Each output is written in the form that its suffix names: ``.json``, ``.csv``, ``.md``.

    Raises
    ------
    UserError
        If a measurement is missing or does not have what a cell needs.
    """
    table = table_of(work.spec)
    forms = {".json": as_json, ".csv": as_csv, ".md": as_markdown}
    for path in work.outputs:
        write_text(path, forms[path.suffix](table))


def table_of(spec: Any) -> dict[str, Any]:
    """Return a table as its JSON has it."""
    printed = {Place(cell["row"], cell["column"]): cell["text"] for cell in spec["printed"]}
    given = frozenset(spec.get("given", ()))
    cells = [cell_as_data(place, content, printed.get(place), given) for place, content in contents_of(spec).items()]
    reports = spec.get("reports")
    if reports:
        cells = with_reported(cells, reports["median_of"])
    return {
        **{name: spec[name] for name in CARRIED_OVER},
        **({"reports": reports} if reports else {}),
        "stand_in": bool(spec["stand_ins"]),
        "stand_in_note": ", ".join(f"{used} instead of {name}" for name, used in spec["stand_ins"].items()),
        "distance": distance_to_printed(cells, spec["columns"]),
        "cells": cells,
    }


def as_json(table: dict[str, Any]) -> str:
    """Return the table as verdicts and the report read it."""
    return json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

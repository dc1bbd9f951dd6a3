"""The step ``search``: which candidate of a reading comes out best on validation images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustrepro.errors import UserError
from robustrepro.files import write_text
from robustrepro.grammar import Cell, Linear, parse_condition
from robustrepro.layout import Layout
from robustrepro.scorecard.cells import TableCells, read_tables
from robustrepro.scorecard.rows import write_rows
from robustrepro.steps import Work

COLUMNS = ["paper", "reading", "candidate", "value", "cells", "allowed", "chosen", "why"]


def run(work: Work) -> None:
    """Compare the candidates of a search, and choose one; of several that are equally good, the first.

    Writes a JSON file with ``chosen`` and, for each of the ``candidates``, its ``value``, whether it is ``allowed``,
    and ``why`` not; and the same as a CSV file with the columns ``COLUMNS``.

    Parameters
    ----------
    work
        ``spec``: ``folder``, ``paper``, ``reading``; ``candidates``, each with its tables' names by the declared ones;
        and what is compared: ``closest_to``, a table whose printed numbers are to be near, or ``largest``, a sum
        of cells, and ``among``, the conditions that a candidate has to meet. ``outputs``: the two files.

    Raises
    ------
    UserError
        If no candidate was measured, or none meets the conditions.
    """
    spec = work.spec
    found = [{"candidate": each["candidate"], **_judged(spec, each["tables"])} for each in spec["candidates"]]
    allowed = [each for each in found if each["allowed"]]
    if not allowed:
        reasons = "; ".join(f"{each['candidate']}: {each['why']}" for each in found)
        raise UserError(
            f"papers/{spec['paper']}/paper.yaml: readings.{spec['reading']}.search: nothing to choose from ({reasons})"
        )
    if len({each.get("cells") for each in allowed}) > 1:
        counts = ", ".join(f"{each['candidate']} over {each['cells']}" for each in allowed)
        raise UserError(
            f"papers/{spec['paper']}/paper.yaml: readings.{spec['reading']}.search: the distances do not compare: they "
            f"are not over the same cells ({counts})"
        )
    best = (min if "closest_to" in spec else max)(allowed, key=lambda each: each["value"])["candidate"]
    json_path, csv_path = work.outputs
    write_text(json_path, json.dumps({"chosen": best, "candidates": found}, indent=1, ensure_ascii=False) + "\n")
    rows = [
        {
            **{key: "" if value is None else str(value) for key, value in each.items()},
            "paper": spec["paper"],
            "reading": spec["reading"],
            "chosen": str(each["candidate"] == best),
        }
        for each in found
    ]
    write_rows(csv_path, pd.DataFrame(rows, columns=COLUMNS))


def _judged(spec: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return what a candidate comes to on validation images, and whether it may be chosen."""
    tables = read_tables(Layout(spec["folder"]), spec["paper"], names.values())
    if "closest_to" in spec:
        distance = tables[names[spec["closest_to"]]]["distance"]
        value = distance["mean_absolute_difference"]
        why = "" if value is not None else "none of its numbers has a distance to the printed ones"
        return {"value": value, "cells": distance["cells"], "allowed": value is not None, "why": why}
    cells = TableCells.of_tables({declared: tables[name] for declared, name in names.items()})
    largest = parse_condition(f"{spec['largest']} >= 0").margin
    among = [parse_condition(text) for text in spec["among"]]
    reasons = cells.why_not_measured(
        [cell for sum_ in (largest, *(each.margin for each in among)) for _, cell in sum_.terms]
    )
    if reasons:
        return {"value": None, "allowed": False, "why": "; ".join(reasons)}
    failed = [each.text for each in among if _mean(each.margin, cells) < 0]
    why = f"it does not meet {', '.join(failed)}" if failed else ""
    return {"value": _mean(largest, cells), "allowed": not failed, "why": why}


def _mean(linear: Linear, cells: TableCells) -> float:
    """Return what a sum of cells comes to where each has its mean over seeds."""
    means: dict[Cell, float] = {cell: float(cells.samples_of(cell)["value"].mean()) for _, cell in linear.terms}
    return linear.value(means)

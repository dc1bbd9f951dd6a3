"""The seed that a table reports in each row, as papers do that train several models and report the median one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median_low
from typing import Any

PlainData = dict[str, Any]


def with_reported(cells: Sequence[Mapping[str, Any]], median_of: str) -> list[PlainData]:
    """Return a table's cells with the number that each reports: that of its row's seed with the median of a column.

    Every cell has ``reported``: the ``seed``, its ``value``, and the ``low``est and ``high``est value of any of the
    cell's seeds; ``difference`` is then the reported value less the printed number. It is None, and the cell as it was,
    where nothing is chosen (the column is not measured in this row, or with one seed), and where the cell has no value
    of the chosen seed, or of no other.

    Parameters
    ----------
    cells
        As the table's JSON has them, whole rows.
    median_of
        The key of the column.
    """
    seeds = {cell["row"]: median_seed(cell["values"]) for cell in cells if cell["column"] == median_of}
    return [{**cell, **_reported(cell, seeds[cell["row"]])} for cell in cells]


def median_seed(values: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the seed whose value is the median of all; None where there are not several.

    Of an even number it is the lower of the two in the middle, and of seeds with the same value the lowest.

    Parameters
    ----------
    values
        A cell's, each with its ``seed`` and ``value``.
    """
    if len(values) < 2:
        return None
    median = median_low(value["value"] for value in values)
    seed: int = min(value["seed"] for value in values if value["value"] == median)
    return seed


def _reported(cell: Mapping[str, Any], seed: int | None) -> PlainData:
    """Return what is otherwise in a cell whose row reports this seed."""
    values = {value["seed"]: value["value"] for value in cell["values"]}
    if seed not in values or len(values) < 2:
        return {"reported": None}
    value, printed = values[seed], cell["printed_value"]
    return {
        "reported": {"seed": seed, "value": value, "low": min(values.values()), "high": max(values.values())},
        "difference": None if printed is None else value - printed,
    }

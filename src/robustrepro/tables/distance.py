"""How far a table is from the printed one: the declared distance by which readings of a paper are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any


def distance_to_printed(cells: Iterable[Mapping[str, Any]], columns: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean absolute difference between a table and the printed one.

    It is the mean of abs(ours − printed) over the cells that are measured and that the paper prints as numbers, where
    ours is the unrounded number that the cell shows (the mean over seeds, or the value of the one seed that the table
    reports) and printed is the number as printed. Every such cell has the same weight, whatever its row and column, its
    interval and its number of seeds. A cell that is not measured does not count, so that distances of tables compare
    where they are over the same cells.

    Parameters
    ----------
    cells, columns
        A table's, as its JSON has them: of a cell its ``column`` and its ``difference``, ours less the printed number,
        None where either is missing; of a column its ``key`` and ``unit``.

    Returns
    -------
    ``mean_absolute_difference``, in the unit of the compared columns, and how many ``cells`` it is over. The mean is
    None where no cell is compared, and where the compared columns differ in their unit, since percentage points and
    seconds have no mean.
    """
    units = {column["key"]: column["unit"] for column in columns}
    compared = [cell for cell in cells if cell["difference"] is not None]
    one_unit = len({units[cell["column"]] for cell in compared}) == 1
    return {
        "mean_absolute_difference": fmean(abs(cell["difference"]) for cell in compared) if one_unit else None,
        "cells": len(compared),
    }

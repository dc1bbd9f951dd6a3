"""Numbers as printed: strings exactly as the paper has them, under the table's own row and column names."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from robustrepro.errors import UserError
from robustrepro.spec.paper import Table


def read_published(path: Path, table: Table) -> dict[tuple[str, str], str]:
    """Return what the paper prints in each cell, by the declared keys of row and column.

    Parameters
    ----------
    path
        A CSV file with the table's own names: its first line has the columns, its first column the rows.
    table
        The declaration, whose labels are those names.

    Raises
    ------
    UserError
        If the file is missing, or its names are not the declared labels.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *lines = list(csv.reader(stream))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file, though a table names it under 'published'") from None
    except ValueError:
        raise UserError(f"{path}: the file is empty") from None
    columns = {column.label: key for key, column in table.columns.items()}
    rows = {row.label: key for key, row in table.rows.items()}
    for kind, found, declared in (("column", header[1:], columns), ("row", [line[0] for line in lines], rows)):
        if found != list(declared):
            raise UserError(f"{path}: {kind} names {found} differ from the declared labels {list(declared)}")
    cells: dict[tuple[str, str], str] = {}
    for line in lines:
        if len(line) != len(header):
            raise UserError(f"{path}: row '{line[0]}' has {len(line) - 1} numbers, expected {len(header) - 1}")
        for name, text in zip(header[1:], line[1:], strict=True):
            cells[rows[line[0]], columns[name]] = text
    return cells


def printed_value(text: str) -> float:
    """Return the number in a printed cell such as ``98.71%``.

    Raises
    ------
    UserError
        If it holds no single number.
    """
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    if len(numbers) != 1:
        raise UserError(f"printed cell '{text}': expected one number")
    return float(numbers[0])

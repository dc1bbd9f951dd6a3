"""Numbers as printed: text exactly as the paper has it, read when the plan is made."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robustrepro.errors import UserError

EMPTY = frozenset({"", "-", "–", "—", "−", "n/a", "N/A"})
"""How papers say that they have no number."""

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_CELL = re.compile(
    rf"(?P<sign>[-+−]?)(?P<value>{_NUMBER})\s*%?(?:\s*(?:±\s*(?P<spread>{_NUMBER})|\((?P<bracketed>{_NUMBER})\))\s*%?)?",
    re.ASCII,
)
_EMPHASIS = re.compile(r"\*\*|</?b>")


@dataclass(frozen=True)
class Printed:
    """What one cell of a paper's table says.

    Attributes
    ----------
    text
        As printed.
    value
        The number; None where the paper prints none.
    spread
        What stands after ± or in brackets behind it, if anything.
    """

    text: str
    value: float | None
    spread: float | None = None


def parse_printed(text: str) -> Printed:
    """Read a printed cell such as ``98.71%``, ``3,053``, ``98.71 ± 0.1``, ``98.71 (0.1)``, ``-`` or nothing at all.

    Marks of emphasis (``**43.2**``, ``<b>+2.9</b>``) are ignored.

    Raises
    ------
    UserError
        If the text is neither one number nor one of the signs that there is none.
    """
    plain = _EMPHASIS.sub("", text).strip()
    if plain in EMPTY:
        return Printed(text, None)
    match = _CELL.fullmatch(plain)
    if match is None:
        raise UserError(
            f"printed cell '{text}': expected one number, such as 98.71%, 3,053 or 98.71 ± 0.1, or an empty cell"
        )
    value = _number(match["value"])
    spread = match["spread"] or match["bracketed"]
    return Printed(text, -value if match["sign"] in {"-", "−"} else value, _number(spread) if spread else None)


def heading(group: str | None, label: str) -> str:
    """Return the name of a column in one line: ``PGD: ε = 0.3`` for the column ``ε = 0.3`` under the heading PGD."""
    return f"{group}: {label}" if group else label


def read_published(
    path: Path, rows: Mapping[str, str], columns: Mapping[str, str], shares: Collection[str] = ()
) -> dict[tuple[str, str], str]:
    """Return what the paper prints in each cell, without emphasis, by the declared keys of row and column.

    Parameters
    ----------
    path
        A CSV file under the table's own names: its first line has the columns, its first column the rows.
    rows, columns
        The declared keys by those names, in the table's order; of a grouped column its :func:`heading`.
    shares
        The keys of the columns whose numbers are shares in percent.

    Raises
    ------
    UserError
        If the file is missing, its names are not the declared ones, or a cell cannot be read; the message has the
        file, the line and, of a cell, its row and column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file, though a table names it under 'published'") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        place = f", line {reader.line_num}" if isinstance(error, csv.Error) else ""
        raise UserError(f"{path}{place}: not a CSV file in UTF-8 ({error})") from error
    if not lines:
        raise UserError(f"{path}: the file is empty")
    (_, header), *body = lines
    _require_same(f"{path}, line 1: column names", header[1:], columns)
    _require_same(f"{path}: row names", [line[0] for _, line in body], rows)
    cells: dict[tuple[str, str], str] = {}
    for row, (number, line) in zip(rows.values(), body, strict=True):
        where = f"{path}, line {number}"
        if len(line) != len(header):
            raise UserError(f"{where}: row '{line[0]}' has {len(line) - 1} cells, expected {len(header) - 1}")
        for (label, column), text in zip(columns.items(), line[1:], strict=True):
            place = f"{where}, row '{line[0]}', column '{label}'"
            try:
                value = parse_printed(text).value
            except UserError as error:
                raise UserError(f"{place}: {error}") from None
            if column in shares and value is not None and not 0 <= value <= 100:
                raise UserError(f"{place}: printed cell '{text}': expected a share, between 0 and 100%")
            cells[row, column] = _EMPHASIS.sub("", text)
    return cells


def _require_same(what: str, names: Sequence[str], declared: Mapping[str, str]) -> None:
    if list(names) != list(declared):
        raise UserError(f"{what} {list(names)} differ from the declared labels {list(declared)}")


def _number(text: str) -> float:
    return float(text.replace(",", ""))

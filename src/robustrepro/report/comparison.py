"""Comparisons in the words of the tables that they are about, instead of in declared keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from robustrepro.grammar import CELL, cell_of
from robustrepro.report.content import Paper
from robustrepro.report.displays import DeclaredTable
from robustrepro.report.presentation import NO_BREAK, number, signed
from robustrepro.scorecard.judged import Judged, Outcome
from robustrepro.scorecard.statements import named_by_what_differs, statement, with_signs
from robustrepro.words import plural


@dataclass(frozen=True)
class Value:
    """One number of a comparison, with the name of its cell; ``printed`` is empty where the paper prints none.

    ``note`` says what ours is where the cell's table shows another number of ours; else it is empty.
    """

    name: str
    ours: str
    printed: str
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """A condition of a claim as the page says it.

    Attributes
    ----------
    where
        What all its cells share: ``Table 2, PGD (ε = 0.3)``.
    statement
        What has to hold, with the cells named by what they do not share: ``HRM ≥ ERM + 20``.
    values
        The number in each cell.
    difference
        By how much its cells differ, and what is asked of that; empty where the margin is this difference.
    margin
        By how much it holds (or, below 0, fails), with its interval.
    outcome
        ``holds``, ``fails``, ``crosses`` or ``beyond``.
    more_seeds
        How many seeds would decide, where the interval crosses 0; else empty.
    """

    where: str
    statement: str
    values: tuple[Value, ...]
    difference: str
    margin: str
    outcome: Outcome
    more_seeds: str


def comparison(condition: Judged, paper: Paper, attack: str = "", attacked: Collection[str] = ()) -> Comparison:
    """Return a condition in the words of the paper's tables.

    Parameters
    ----------
    condition
        As measured.
    paper
        The paper whose tables it compares.
    attack, attacked
        Another attack, in words, and the cells that are under it instead of their column's.
    """
    cells = [compared.cell for compared in condition.compared]
    where, names = cell_names(cells, paper, dict.fromkeys(set(cells) & set(attacked), attack))
    values = tuple(
        Value(
            names[compared.cell],
            number(compared.value, condition.decimals, condition.unit),
            compared.printed or "",
            "mean over seeds" if compared.cell not in attacked and _reports_a_seed(compared.cell, paper) else "",
        )
        for compared in condition.compared
    )
    apart = condition.difference
    difference = f"{number(apart.value, condition.decimals)}, {with_signs(apart.asked)}" if apart else ""
    margin = signed(condition.margin, condition.decimals)
    if condition.interval:
        low, high = (signed(end, condition.decimals) for end in condition.interval)
        margin += f" (95%:{NO_BREAK}{low} to{NO_BREAK}{high})"
    needed = condition.seeds_to_decide
    more_seeds = f"about {plural(needed, 'seed')} would decide" if needed is not None else ""
    said = statement(condition.condition, names)
    return Comparison(where, said, values, difference, margin, condition.outcome, more_seeds)


def measured_elsewhere(measured: str, paper: Paper) -> list[tuple[str, str]]:
    """Return the comparisons that the scorecard of another scale has in one line.

    Parameters
    ----------
    measured
        Its column ``measured``.
    paper
        The paper whose tables are compared, as this scale has them.

    Returns
    -------
    Of each comparison, what was measured, with names for cells, and what these cells share.
    """
    comparisons = re.split(r"; (?!margin |difference )", measured) if measured else []
    shown = []
    for text in comparisons:
        cells = [str(cell_of(match[0])) for match in CELL.finditer(text)]
        where, names = cell_names(cells, paper) if cells else ("", {})
        shown.append((statement(text, names), where))
    return shown


def cell_names(
    cells: Sequence[str], paper: Paper, columns: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, dict[str, str]]:
    """Return what all cells share, and each cell's name by what they do not.

    Parameters
    ----------
    cells
        As claims write them: ``table2[hrm, pgd]``.
    paper
        The paper whose tables they are of.
    columns
        For some cells, what stands instead of the name of their column.
    """
    parts = {cell: _parts(cell, paper, columns.get(cell)) for cell in dict.fromkeys(cells)}
    return named_by_what_differs(parts)


def with_names(text: str, paper: Paper) -> str:
    """Return a text with the full names of the cells in it."""
    return CELL.sub(lambda match: ", ".join(_parts(match[0], paper, None)), text)


def _parts(cell: str, paper: Paper, column_name: str | None) -> tuple[str, str, str]:
    """Return the names of a cell's table, column and row; the keys where the table was not made."""
    key = cell_of(cell)
    declared = _declared_table(key.table, paper)
    if declared is None or declared.table is None:
        return key.table, column_name or key.column, key.row
    table = declared.table
    header = f"{table.row_header.lower()} " if table.row_header else ""
    columns = {column.key: column.name for column in table.columns}
    rows = {row.key: row.label for row in table.rows}
    return (
        _unbroken(declared.name),
        column_name or _unbroken(columns.get(key.column, key.column)),
        header + rows.get(key.row, key.row),
    )


def _reports_a_seed(cell: str, paper: Paper) -> bool:
    """Tell whether a cell's table shows the number of one seed there, instead of the mean."""
    key = cell_of(cell)
    declared = _declared_table(key.table, paper)
    shown = declared.table.cell_at.get((key.row, key.column)) if declared and declared.table else None
    return shown is not None and shown.reported is not None


def _declared_table(name: str, paper: Paper) -> DeclaredTable | None:
    """Return a table of a paper by its key, if it is declared."""
    return next((declared for declared in paper.tables if declared.id == name), None)


def _unbroken(label: str) -> str:
    """Return a label whose numbers stay on the line of the word before: Table 4, ε = 0.3."""
    return re.sub(r" (?==|\d)", NO_BREAK, re.sub(r"= ", f"={NO_BREAK}", label))

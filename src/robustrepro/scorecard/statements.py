"""Comparisons as a reader of the paper says them: names for cells, signs for operators."""

from __future__ import annotations

import re
from collections.abc import Mapping

from robustrepro.grammar import CELL, cell_of

MINUS = "\u2212"
SYMBOLS = {">=": "≥", "<=": "≤", "-": MINUS, "*": "×"}
Parts = tuple[str, str, str]
"""The names of a cell's table, column and row."""


def named_by_what_differs(parts: Mapping[str, Parts]) -> tuple[str, dict[str, str]]:
    """Return what all cells share, and each cell's name by what they do not.

    Parameters
    ----------
    parts
        By cell, as claims write it: ``table2[hrm, pgd]``. At least one.
    """
    distinct = [len(set(column)) > 1 for column in zip(*parts.values(), strict=True)]
    if not any(distinct):
        # A single cell is named by its row, as the others of its column would be.
        distinct = [False, False, True]
    first = next(iter(parts.values()))
    shared = [part for part, varies in zip(first, distinct, strict=True) if not varies]
    names = {
        cell: ", ".join(part for part, varies in reversed(list(zip(of_cell, distinct, strict=True))) if varies)
        for cell, of_cell in parts.items()
    }
    return ", ".join(shared), names


def statement(condition: str, names: Mapping[str, str]) -> str:
    """Return a comparison with names for its cells and signs for its operators: ``HRM ≥ ERM + 20``."""
    parts = []
    position = 0
    for match in CELL.finditer(condition):
        parts += [with_signs(condition[position : match.start()]), names[str(cell_of(match[0]))]]
        position = match.end()
    return "".join([*parts, with_signs(condition[position:])])


def with_signs(text: str) -> str:
    """Return a text with ``≥ ≤ − ×`` for ``>= <= - *``."""
    return re.sub("|".join(map(re.escape, SYMBOLS)), lambda match: SYMBOLS[match[0]], text)

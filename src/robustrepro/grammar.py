"""The conditions of a claim: comparisons between table cells, as text that a reader of the paper can follow.

``table2[hrm, pgd] >= table2[erm, pgd] + 20`` compares two cells by their declared keys; the margin is in the table's
own unit. A side is a sum of cells and numbers, each cell with an optional factor (``2 * table1[8, cem-hrm]``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from robustrepro.errors import UserError

CELL = re.compile(r"[\w-]+\[[^\[\],]+,[^\[\],]+\]")
"""A cell as claims write it."""

_TOKEN = re.compile(rf"\s*(?:(?P<cell>{CELL.pattern})|(?P<number>\d+(?:\.\d+)?)|(?P<operator>>=|<=|[-+*]))\s*")


@dataclass(frozen=True)
class Cell:
    """A cell of a table of the same paper, by the declared keys of its row and column."""

    table: str
    row: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}[{self.row}, {self.column}]"


@dataclass(frozen=True)
class Condition:
    """A comparison brought to the form Σ factor·cell + constant ≥ 0.

    Attributes
    ----------
    text
        The comparison as declared.
    terms
        (factor, cell) of every cell in it.
    constant
        What is added to them.
    """

    text: str
    terms: tuple[tuple[float, Cell], ...]
    constant: float


def parse_condition(text: str) -> Condition:
    """Parse a comparison with one ``>=`` or ``<=``.

    Raises
    ------
    UserError
        If the text is no such comparison; the message has the place where reading stopped.
    """
    tokens = _tokens(text)
    operators = [value for kind, value in tokens if kind == "operator" and value in {">=", "<="}]
    if len(operators) != 1:
        raise UserError(f"condition '{text}': expected one '>=' or '<='")
    split = tokens.index(("operator", operators[0]))
    direction = 1.0 if operators[0] == ">=" else -1.0
    left_terms, left_constant = _side(tokens[:split], text)
    right_terms, right_constant = _side(tokens[split + 1 :], text)
    terms = [(direction * factor, cell) for factor, cell in left_terms]
    terms += [(-direction * factor, cell) for factor, cell in right_terms]
    if not terms:
        raise UserError(f"condition '{text}': it compares no cell, such as table2[hrm, pgd]")
    return Condition(text, tuple(terms), direction * (left_constant - right_constant))


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UserError(
                f"condition '{text}': cannot read '{text[position:]}'; expected a cell, a number, + - * >= <="
            )
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind]))
        position = match.end()
    return tokens


def _side(tokens: list[tuple[str, str]], text: str) -> tuple[list[tuple[float, Cell]], float]:
    """Read a sum of numbers, cells, and numbers times cells."""
    terms: list[tuple[float, Cell]] = []
    constant, sign = 0.0, 1.0
    position = 0
    expecting_term = True
    while position < len(tokens):
        kind, value = tokens[position]
        if not expecting_term and kind == "operator" and value in "+-":
            sign, expecting_term = (1.0 if value == "+" else -1.0), True
        elif expecting_term and kind == "cell":
            terms.append((sign, cell_of(value)))
            expecting_term = False
        elif expecting_term and kind == "number":
            if [kind for kind, _ in tokens[position + 1 : position + 3]] == ["operator", "cell"] and (
                tokens[position + 1][1] == "*"
            ):
                terms.append((sign * float(value), cell_of(tokens[position + 2][1])))
                position += 2
            else:
                constant += sign * float(value)
            expecting_term = False
        else:
            raise UserError(f"condition '{text}': unexpected '{value}'")
        position += 1
    if expecting_term:
        raise UserError(f"condition '{text}': one side ends where a cell or a number is expected")
    return terms, constant


def cell_of(text: str) -> Cell:
    """Return the cell of a text that matches ``CELL``."""
    table, _, keys = text.rstrip("]").partition("[")
    row, column = (key.strip() for key in keys.split(","))
    return Cell(table, row, column)

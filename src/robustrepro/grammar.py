"""What is written about table cells, as text that a reader of the paper can follow.

A claim's condition, ``table2[hrm, pgd] >= table2[erm, pgd] + 20``, compares cells by their declared keys; its margin is
in the column's own unit, and both sides are linear in their cells. A cell's value, ``this[time] / natural[time]``, is
computed from cells of the same table, ``row[column]``, where ``this`` is the row that it stands in.

Keys may contain hyphens, so a minus has a space before a cell: ``1 - table2[hrm, pgd]``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from robustrepro.errors import UserError, unknown_name
from robustrepro.expressions import COMPARISONS, Node, Reader, evaluated, read_sum

THIS = "this"
"""The row that a value stands in."""

_KEY = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
CELL = re.compile(rf"{_KEY}\[[^\[\],]+,[^\[\],]+\]")
"""A cell as claims write it."""

CELL_OF_TABLE = re.compile(rf"{_KEY}\[[^\[\],]+\]")
"""A cell as values write it."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table of the same paper, by the declared keys of its row and column."""

    table: str
    row: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}[{self.row}, {self.column}]"


class Place(NamedTuple):
    """A cell of the same table, by the declared keys of its row and column."""

    row: str
    column: str

    def __str__(self) -> str:
        return f"{self.row}[{self.column}]"


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


@dataclass(frozen=True)
class Expression:
    """The value of a cell, computed from other cells.

    Attributes
    ----------
    text
        As declared.
    cells
        Each cell in it once, in the order in which they are written.
    """

    text: str
    cells: tuple[Place, ...]
    _row: str
    _tree: Node = field(repr=False)

    def evaluated(self, numbers: Mapping[Place, float]) -> float:
        """Return the value where each of its cells has one of these numbers.

        Raises
        ------
        ZeroDivisionError
            If it divides by 0.
        """
        return float(evaluated(self._tree, lambda text: numbers[_place_of(text, self._row)]))


def readable_key(key: str) -> bool:
    """Return whether a declared key of a table, row or column can be written in conditions and values."""
    return re.fullmatch(_KEY, key) is not None and key != THIS


def cell_of(text: str) -> Cell:
    """Return the cell of a text that matches ``CELL``."""
    table, _, keys = text.rstrip("]").partition("[")
    row, column = (key.strip() for key in keys.split(","))
    return Cell(table, row, column)


def parse_condition(text: str) -> Condition:
    """Parse a comparison with one ``>=`` or ``<=``.

    Raises
    ------
    UserError
        If the text is no such comparison, or is not linear in its cells; the message has the place where reading
        stopped.
    """
    reader = Reader("condition", text, CELL)
    signs = [token.text for token in reader.tokens if token.text in COMPARISONS]
    if len(signs) != 1:
        raise reader.error("expected one '>=' or '<='")
    left = read_sum(reader)
    reader.take(*COMPARISONS)
    right = read_sum(reader)
    reader.require_end()
    try:
        difference = _linear(left) - _linear(right)
    except _NotLinearError as error:
        raise reader.error(f"it is not linear in its cells: {error}") from None
    except ZeroDivisionError:
        raise reader.error("it divides by 0") from None
    if not difference.terms:
        raise reader.error("it compares no cell, such as table2[hrm, pgd]")
    direction = 1.0 if signs == [">="] else -1.0
    terms = tuple((direction * factor, cell) for factor, cell in difference.terms)
    return Condition(text, terms, direction * difference.constant)


def parse_value(text: str, row: str = THIS) -> Expression:
    """Parse the value of a cell, an expression over cells of its table.

    Parameters
    ----------
    text
        Such as ``this[time] / natural[time]``.
    row
        The row that the value stands in, which takes the place of ``this``.

    Raises
    ------
    UserError
        If the text is no such expression; the message has the place where reading stopped.
    """
    reader = Reader("value", text, CELL_OF_TABLE)
    tree = read_sum(reader)
    reader.require_end()
    cells = dict.fromkeys(_place_of(token.text, row) for token in reader.tokens if token.kind == "cell")
    if not cells:
        raise reader.error("it has no cell, such as this[pgd]")
    return Expression(text, tuple(cells), row, tree)


def order_of_values(values: Mapping[Place, Expression], others: Collection[Place]) -> list[Place]:
    """Return the cells that have these values, each behind those that it is computed from.

    Parameters
    ----------
    values
        What is computed in which cell, each parsed with its own row.
    others
        The table's other cells.

    Raises
    ------
    UserError
        If a value has a cell that is in neither, or needs itself.
    """
    for value in values.values():
        for cell in value.cells:
            if cell not in values and cell not in others:
                raise unknown_name(f"cell in value '{value.text}'", str(cell), map(str, (*values, *others)))
    needed = {place: [cell for cell in value.cells if cell in values] for place, value in values.items()}
    try:
        return list(TopologicalSorter(needed).static_order())
    except CycleError as error:
        cycle = " needs ".join(map(str, reversed(error.args[1])))
        raise UserError(f"a cell's value needs the cell itself: {cycle}") from None


def _place_of(text: str, row: str) -> Place:
    """Return the cell of a text that matches ``CELL_OF_TABLE``, seen from a row."""
    written, _, column = text.rstrip("]").partition("[")
    return Place(row if written == THIS else written, column.strip())


class _NotLinearError(Exception):
    pass


@dataclass(frozen=True)
class _Linear:
    """Σ factor·cell + constant."""

    terms: tuple[tuple[float, Cell], ...]
    constant: float

    def __add__(self, other: _Linear) -> _Linear:
        return _Linear(self.terms + other.terms, self.constant + other.constant)

    def __sub__(self, other: _Linear) -> _Linear:
        return self + other._times(-1.0)

    def __mul__(self, other: _Linear) -> _Linear:
        if self.terms and other.terms:
            raise _NotLinearError("a cell is multiplied by a cell")
        return self._times(other.constant) if self.terms else other._times(self.constant)

    def __truediv__(self, other: _Linear) -> _Linear:
        if other.terms:
            raise _NotLinearError("something is divided by a cell")
        divisor = other.constant
        return _Linear(tuple((factor / divisor, cell) for factor, cell in self.terms), self.constant / divisor)

    def _times(self, factor: float) -> _Linear:
        return _Linear(tuple((factor * own, cell) for own, cell in self.terms), factor * self.constant)


def _linear(node: Node) -> _Linear:
    linear: _Linear = evaluated(
        node, lambda text: _Linear(((1.0, cell_of(text)),), 0.0), lambda number: _Linear((), number)
    )
    return linear

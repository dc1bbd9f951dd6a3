"""What is written about table cells, as text that a reader of the paper can follow.

A claim's condition, ``table2[hrm, pgd] >= table2[erm, pgd] + 20``, compares cells by their declared keys; its margin is
in the column's own unit, and both sides are linear in their cells. A cell's value, ``this[time] / natural[time]``, is
computed from cells of the same table, ``row[column]``, where ``this`` is the row that it stands in; a comparison in
parentheses counts 1 where it holds.

Keys may contain hyphens, so a minus has a space before a cell: ``1 - table2[hrm, pgd]``. What a reading makes of a
table is a table of its own, ``table2@clipped[hrm, pgd]``, with the rows and columns of the declared one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from robustrepro.errors import UserError, unknown_name
from robustrepro.expressions import COMPARISONS, Node, Reader, evaluated, read_sum
from robustrepro.keys import KEY, NAME, THIS

CELL = re.compile(rf"{NAME}\[[^\[\],]+,[^\[\],]+\]")
"""A cell as claims write it."""

CELL_OF_TABLE = re.compile(rf"{KEY}\[[^\[\],]+\]")
"""A cell as values write it."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table of the same paper, by the table's name and the declared keys of its row and column."""

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
class Linear:
    """Σ factor·cell + constant: one side of a comparison, or what is left where the other is taken from it."""

    terms: tuple[tuple[float, Cell], ...]
    constant: float

    def __add__(self, other: Linear) -> Linear:
        return Linear(self.terms + other.terms, self.constant + other.constant)

    def __sub__(self, other: Linear) -> Linear:
        return self + other.times(-1.0)

    def __mul__(self, other: Linear) -> Linear:
        if self.terms and other.terms:
            raise _NotLinearError("a cell is multiplied by a cell")
        return self.times(other.constant) if self.terms else other.times(self.constant)

    def __truediv__(self, other: Linear) -> Linear:
        if other.terms:
            raise _NotLinearError("something is divided by a cell")
        divisor = other.constant
        return Linear(tuple((factor / divisor, cell) for factor, cell in self.terms), self.constant / divisor)

    def combined(self) -> Linear:
        """Return the same with every cell once, and none that cancels out."""
        factors: dict[Cell, float] = {}
        for factor, cell in self.terms:
            factors[cell] = factors.get(cell, 0.0) + factor
        return Linear(tuple((factor, cell) for cell, factor in factors.items() if factor), self.constant)

    def parted(self) -> tuple[Linear, Linear]:
        """Return its cells as a difference: those that are added, and those that are taken from them."""
        kept = Linear(tuple(term for term in self.terms if term[0] > 0), 0.0)
        return kept, Linear(tuple((-factor, cell) for factor, cell in self.terms if factor < 0), 0.0)

    def times(self, factor: float) -> Linear:
        """Return it multiplied by a number."""
        return Linear(tuple((factor * own, cell) for own, cell in self.terms), factor * self.constant)

    def value(self, numbers: Mapping[Cell, float]) -> float:
        """Return what it comes to where each of its cells has one of these numbers."""
        return sum((factor * numbers[cell] for factor, cell in self.terms), self.constant)

    def reach(self, low: float, high: float) -> tuple[float, float]:
        """Return the smallest and the largest value that it can have where every cell lies between two numbers."""
        ends = [sorted((factor * low, factor * high)) for factor, _ in self.terms]
        return sum((end[0] for end in ends), self.constant), sum((end[1] for end in ends), self.constant)


@dataclass(frozen=True)
class Condition:
    """A comparison brought to the form margin ≥ 0, and to that of something that has to meet a bound.

    Attributes
    ----------
    text
        The comparison as declared.
    margin
        The left side less the right, or of a ``<=`` the right less the left.
    subject, bound
        The side that has to meet the other, and the other: the one that adds a number to its cells, or else the right.
        Of ``a - b >= 20``, what is taken away belongs to the bound.
    at_least
        Whether the subject has to be at least the bound, or at most.
    """

    text: str
    margin: Linear
    subject: Linear
    bound: Linear
    at_least: bool

    @property
    def cells(self) -> list[Cell]:
        """Every cell in it, once."""
        return list(dict.fromkeys(cell for _, cell in self.margin.terms))


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
        sides = _linear(left).combined(), _linear(right).combined()
    except _NotLinearError as error:
        raise reader.error(f"it is not linear in its cells: {error}") from None
    except ZeroDivisionError:
        raise reader.error("it divides by 0") from None
    if not any(side.terms for side in sides):
        raise reader.error("it compares no cell, such as table2[hrm, pgd]")
    subject, bound = sides
    turned = not subject.terms or bool(subject.constant and bound.terms and not bound.constant)
    if turned:
        subject, bound = bound, subject
    at_least = (signs == [">="]) != turned
    margin = (subject - bound if at_least else bound - subject).combined()
    if not margin.terms:
        raise reader.error("its cells cancel out, so that it compares none")
    if not bound.terms:
        left_over = bound - Linear((), subject.constant)
        subject, taken = subject.parted()
        if subject.terms:
            bound = left_over + taken
        else:
            subject, bound, at_least = taken, left_over.times(-1.0), not at_least
    return Condition(text, margin, subject, bound, at_least)


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
    reader = Reader("value", text, CELL_OF_TABLE, compares=True)
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


def _linear(node: Node) -> Linear:
    linear: Linear = evaluated(
        node, lambda text: Linear(((1.0, cell_of(text)),), 0.0), lambda number: Linear((), number)
    )
    return linear

"""Expressions over table cells: numbers, cells, ``+ - * /``, a minus in front, parentheses.

Where that is asked for, a comparison in parentheses, ``(this[change] >= 0.1)``, is 1 where it holds and else 0, so that
a sum of them counts.

Read by hand instead of by Python's parser, so that a message has the place where reading stopped on every version.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robustrepro.errors import UserError

COMPARISONS = (">=", "<=")
LONGEST = 500
"""Characters that someone may still follow, and that a reader which calls itself can; a cell counts as one."""
ENDS = "an expression ends where a cell or a number is expected"
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    ">=": lambda left, right: float(left >= right),
    "<=": lambda left, right: float(left <= right),
}


@dataclass(frozen=True)
class Reference:
    """A cell in an expression, as written."""

    text: str


@dataclass(frozen=True)
class Operation:
    """Two expressions and the symbol between them."""

    symbol: str
    left: Node
    right: Node


Node = float | Reference | Operation


@dataclass(frozen=True)
class Token:
    """A cell, a number or a symbol, and where it starts."""

    kind: str
    text: str
    start: int


class Reader:
    """The tokens of a text, taken one after the other.

    Parameters
    ----------
    what
        What the text is, for messages: ``condition``.
    text
        As declared.
    cell
        How cells are written in it.
    compares
        Whether there may be comparisons in parentheses.

    Raises
    ------
    UserError
        If some part of the text is no token.
    """

    def __init__(self, what: str, text: str, cell: re.Pattern[str], *, compares: bool = False) -> None:
        self._what, self._text, self.compares = what, text, compares
        pattern = re.compile(
            rf"\s*(?:(?P<cell>{cell.pattern})|(?P<number>\d+(?:\.\d+)?)|(?P<symbol>>=|<=|[-+*/()]))\s*", re.ASCII
        )
        self.tokens: list[Token] = []
        length = len(cell.sub("x", text))
        if length > LONGEST:
            raise UserError(f"{what} '{text[:40]}...': it has {length} characters; expected at most {LONGEST}")
        position = 0
        while position < len(text):
            match = pattern.match(text, position)
            if match is None:
                raise self.error(f"cannot read '{text[position:]}'; expected a cell, a number, + - * / ( ) >= <=")
            kind = str(match.lastgroup)
            self.tokens.append(Token(kind, match[kind], match.start(kind)))
            position = match.end()
        self._taken = 0

    @property
    def next(self) -> Token | None:
        """The token that is taken next; None at the end."""
        return self.tokens[self._taken] if self._taken < len(self.tokens) else None

    def sees(self, *symbols: str) -> bool:
        """Return whether one of these symbols is next."""
        return self.next is not None and self.next.text in symbols

    def take(self, *symbols: str) -> str:
        """Return the next token's text, which must be one of these symbols if any are named, and move past it."""
        token = self.next
        if token is None or (symbols and token.text not in symbols):
            raise self.unexpected()
        self._taken += 1
        return token.text

    def require_end(self) -> None:
        """Refuse whatever is left."""
        if self.next is not None:
            raise self.unexpected()

    def error(self, message: str) -> UserError:
        """Return the error that quotes the text."""
        return UserError(f"{self._what} '{self._text}': {message}")

    def unexpected(self) -> UserError:
        """Return the error at the next token."""
        if self.next is None:
            return self.error(ENDS)
        return self.error(f"unexpected '{self.next.text}' at character {self.next.start + 1}")


def read_sum(reader: Reader) -> Node:
    """Read an expression up to the first token that cannot go on with it.

    Raises
    ------
    UserError
        If the next tokens are no expression.
    """
    node = _product(reader)
    while reader.sees("+", "-"):
        node = Operation(reader.take(), node, _product(reader))
    return node


def _product(reader: Reader) -> Node:
    node = _factor(reader)
    while reader.sees("*", "/"):
        node = Operation(reader.take(), node, _factor(reader))
    return node


def _factor(reader: Reader) -> Node:
    if reader.sees("-"):
        reader.take()
        return Operation("-", 0.0, _factor(reader))
    if reader.sees("("):
        reader.take()
        node = read_sum(reader)
        if reader.compares and reader.sees(*COMPARISONS):
            node = Operation(reader.take(), node, read_sum(reader))
        if reader.next is None:
            raise reader.error("a '(' is not closed")
        reader.take(")")
        return node
    if reader.next is None or reader.sees(*COMPARISONS):
        raise reader.error(ENDS)
    if reader.next.kind == "symbol":
        raise reader.unexpected()
    kind = reader.next.kind
    return float(reader.take()) if kind == "number" else Reference(reader.take())


def evaluated(node: Node, of_cell: Callable[[str], Any], of_number: Callable[[float], Any] = float) -> Any:
    """Return what an expression comes to.

    Parameters
    ----------
    node
        The expression.
    of_cell, of_number
        What its cells (as written) and its numbers are turned into; the results know ``+ - * /``.

    Raises
    ------
    ZeroDivisionError
        If it divides by 0.
    """
    match node:
        case Operation(symbol, left, right):
            sides = (evaluated(side, of_cell, of_number) for side in (left, right))
            return _OPERATIONS[symbol](*sides)
        case Reference(text):
            return of_cell(text)
        case float():
            return of_number(node)

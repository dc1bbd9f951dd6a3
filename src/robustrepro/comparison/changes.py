"""What is otherwise between two results: table cells and claims, one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from robustrepro.comparison.results import Claim, Interval, Number, Results, read_results
from robustrepro.comparison.settings import changed_settings, read_settings
from robustrepro.comparison.sources import Side
from robustrepro.comparison.spread import Over, Spread, spread_of_difference
from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import Cell

Outcome = Literal["same", "within", "beyond", "unknown", "appeared", "gone"]
"""What became of a cell: ``within`` and ``beyond`` its spread, ``unknown`` where nothing tells of a spread."""
ROUNDING = 1e-9
"""What is nearer to 0 than this is 0."""
Key = TypeVar("Key")


@dataclass(frozen=True)
class CellChange:
    """A cell before and after; None on a side where it was not measured."""

    scale: str
    paper: str
    cell: Cell
    before: Number | None
    after: Number | None

    @property
    def difference(self) -> float | None:
        """After less before."""
        return self.after.mean - self.before.mean if self.before and self.after else None

    @cached_property
    def spread(self) -> Spread | None:
        """The 95% interval of the difference, and what it is over; None where nothing tells of one."""
        return spread_of_difference(self.before, self.after) if self.before and self.after else None

    @property
    def interval(self) -> Interval | None:
        """The 95% interval of the difference; None where nothing tells of one."""
        return self.spread.interval if self.spread else None

    @property
    def over(self) -> Over | None:
        """What that interval is over."""
        return self.spread.over if self.spread else None

    @property
    def outcome(self) -> Outcome:
        """What became of it; what changes by less than the table prints, and within its spread, is the same."""
        if self.before is None or self.after is None:
            return "appeared" if self.after else "gone" if self.before else "same"
        difference = self.after.mean - self.before.mean
        if abs(difference) < ROUNDING:
            return "same"
        if self.interval and (self.interval[0] > ROUNDING or self.interval[1] < -ROUNDING):
            return "beyond"
        decimals = self.after.decimals
        if f"{self.before.mean:.{decimals}f}" == f"{self.after.mean:.{decimals}f}":
            return "same"
        return "within" if self.interval else "unknown"


@dataclass(frozen=True)
class ClaimChange:
    """A claim before and after; None on a side that does not have it."""

    scale: str
    paper: str
    claim: str
    before: Claim | None
    after: Claim | None

    @property
    def is_changed(self) -> bool:
        """Whether its verdict or its audit is another one."""
        if self.before is None or self.after is None:
            return True
        return (self.before.verdict, self.before.audit) != (self.after.verdict, self.after.audit)


@dataclass(frozen=True)
class Comparison:
    """Two results beside each other.

    Attributes
    ----------
    before, after
        What each is, in words.
    cells, claims
        Of every scale and paper that both have, changed or not.
    only_before, only_after
        Scales, and papers at a scale, that one side has alone, in words.
    settings
        Every setting that differs, in words; None where one side does not record its settings.
    """

    before: str
    after: str
    cells: Sequence[CellChange]
    claims: Sequence[ClaimChange]
    only_before: Sequence[str]
    only_after: Sequence[str]
    settings: Sequence[str] | None = None


def compare(before: Side, after: Side, scale: str | None = None) -> Comparison:
    """Return what is otherwise between two sides.

    Parameters
    ----------
    before, after
        The sides. Scales of the same name are compared; of two folders of one scale each, these.
    scale
        Only this one, if named.

    Raises
    ------
    UserError
        If they have no scale in common, or not the named one.
    """
    pairs = _pairs(before, after, scale)
    cells: list[CellChange] = []
    claims: list[ClaimChange] = []
    only: tuple[list[str], list[str]] = ([], [])
    settings: list[str] | None = None
    if scale is None and not (before.is_one_scale or after.is_one_scale):
        only[0].extend(f"scale {name}" for name in before.scales if name not in {first for first, _ in pairs})
        only[1].extend(f"scale {name}" for name in after.scales if name not in {second for _, second in pairs})
    for first, second in pairs:
        name = first if first == second else f"{first} → {second}"
        old = read_results(before.scales[first], before.name)
        new = read_results(after.scales[second], after.name)
        only[0].extend(f"{paper} at scale {name}" for paper in sorted(old.papers - new.papers))
        only[1].extend(f"{paper} at scale {name}" for paper in sorted(new.papers - old.papers))
        recorded = read_settings(before.scales[first]), read_settings(after.scales[second])
        if all(recorded):
            at = f" (scale {name})" if len(pairs) > 1 else ""
            settings = [*(settings or []), *(f"{words}{at}" for words in changed_settings(*recorded))]
        cells.extend(_cells(name, old, new))
        claims.extend(_claims(name, old, new))
    return Comparison(before.name, after.name, cells, claims, *only, settings)


def _pairs(before: Side, after: Side, scale: str | None) -> list[tuple[str, str]]:
    """Return the scales to compare, each as both sides call it."""
    if scale is not None:
        for side in (before, after):
            if scale not in side.scales:
                raise unknown_name(f"scale in {side.name}", scale, side.scales)
        return [(scale, scale)]
    if common := [name for name in before.scales if name in after.scales]:
        return [(name, name) for name in common]
    if before.is_one_scale and after.is_one_scale:
        return list(zip(before.scales, after.scales, strict=True))
    has = [f"{side.name} has {', '.join(side.scales)}" for side in (before, after)]
    raise UserError(f"there is no scale on both sides: {'; '.join(has)}")


def _cells(scale: str, before: Results, after: Results) -> Iterator[CellChange]:
    papers = before.papers & after.papers
    for paper, cell in _in_order(after.cells, before.cells):
        if paper in papers:
            key = (paper, cell)
            yield CellChange(scale, paper, cell, before.cells.get(key), after.cells.get(key))


def _claims(scale: str, before: Results, after: Results) -> Iterator[ClaimChange]:
    papers = before.papers & after.papers
    for paper, claim in _in_order(after.claims, before.claims):
        if paper in papers:
            key = (paper, claim)
            yield ClaimChange(scale, paper, claim, before.claims.get(key), after.claims.get(key))


def _in_order(first: Iterable[Key], then: Iterable[Key]) -> list[Key]:
    """Return the keys of both, each once."""
    return list(dict.fromkeys([*first, *then]))

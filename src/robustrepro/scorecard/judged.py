"""A claim as judged: every comparison with its numbers, and what they come to; data alone, to write and to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from robustrepro.grammar import parse_condition
from robustrepro.verdicts import Verdict

Outcome = Literal["holds", "fails", "crosses", "beyond"]

FLOOR = 5.0
"""Below this accuracy in percent, half of what guessing reaches on ten classes, there is no robustness to compare."""


@dataclass(frozen=True)
class Compared:
    """One number of a comparison: the cell as claims write it, its mean over the seeds compared, the printed one."""

    cell: str
    value: float
    printed: str | None


class Difference(NamedTuple):
    """By how much the cells of a comparison differ, and the least or the most that the comparison asks of that."""

    value: float
    bound: float
    at_least: bool

    @property
    def asked(self) -> str:
        """What is asked, in words."""
        return f"at least {self.bound:g} needed" if self.at_least else f"at most {self.bound:g} allowed"


@dataclass(frozen=True)
class Judged:
    """One condition, brought to the form margin ≥ 0, as measured.

    Attributes
    ----------
    condition
        The comparison as declared.
    outcome
        Whether the margin's 95% interval lies above 0, below it, or across it; or ``beyond`` where no accuracy can meet
        the bound.
    margin, interval
        In the cells' unit; the interval is None where one seed was measured of a number that has no interval of its
        own.
    seeds
        How many seeds the margin is over: those that every cell has.
    seeds_to_decide
        How many it would take at the same mean and spread, where the interval crosses 0; None where it does not, where
        one seed says nothing of the spread, or where no number of seeds that could be had would do.
    compared
        The numbers, each cell once.
    decimals, unit
        As the tables print them.
    on_the_floor
        Whether every number in it is an accuracy below ``FLOOR``, so that a margin missed is no lead of another model.
    over_images
        Whether the interval is over the images of one seed: of the only one, or where all seeds come to the same.
    given
        Whether all weights behind it are given, so that there is nothing that another seed could tell.
    bound, limit
        What the bound comes to where no accuracy can meet it, and how near the subject can come.
    """

    condition: str
    outcome: Outcome
    margin: float
    interval: tuple[float, float] | None
    seeds: int
    compared: tuple[Compared, ...]
    decimals: int
    unit: str
    on_the_floor: bool
    seeds_to_decide: int | None = None
    over_images: bool = False
    given: bool = False
    bound: float | None = None
    limit: float | None = None

    @property
    def ranks_what_is_broken(self) -> bool:
        """Whether it holds between accuracies that are all next to nothing, which tells no lead of any."""
        return self.outcome == "holds" and self.on_the_floor and len(self.compared) > 1

    @property
    def difference(self) -> Difference | None:
        """How far apart its cells are, beside how far that is from the bound; None where no number is added to them."""
        condition = parse_condition(self.condition)
        added, taken = condition.margin.parted()
        asked = condition.margin.constant
        if not (added.terms and taken.terms and asked):
            return None
        sign = 1 if condition.at_least else -1
        return Difference(sign * (self.margin - asked) + 0.0, -sign * asked, condition.at_least)

    @property
    def text(self) -> str:
        """What was measured, in one line."""
        values = ", ".join(
            f"{number.cell} = {number.value:.{self.decimals}f}"
            + (f" (printed {number.printed})" if number.printed else "")
            for number in self.compared
        )
        spread = ""
        if self.interval:
            low, high = self.interval
            spread = f" [95%: {low:+.{self.decimals}f}, {high:+.{self.decimals}f}]"
        apart = self.difference
        difference = f"difference {apart.value:.{self.decimals}f}, {apart.asked}: " if apart else ""
        return f"{self.condition}: {values}; {difference}margin {self.margin:+.{self.decimals}f}{spread}"


@dataclass(frozen=True)
class Judgement:
    """A claim's verdict, the reason for it, and its conditions as measured."""

    verdict: Verdict
    why: str
    conditions: tuple[Judged, ...] = ()

    @property
    def measured(self) -> str:
        """What was measured, in one line."""
        return "; ".join(condition.text for condition in self.conditions)

    @property
    def on_the_floor(self) -> bool:
        """Whether every accuracy in the comparisons that decide against the claim is next to nothing."""
        failed = [condition for condition in self.conditions if condition.outcome == "fails"]
        decisive = failed or [condition for condition in self.conditions if condition.outcome == "crosses"]
        return bool(decisive) and all(condition.on_the_floor for condition in decisive)

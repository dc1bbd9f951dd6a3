"""Whether a number changed by more than its spread."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from scipy.special import stdtrit

from robustrepro.comparison.results import Interval, Number
from robustrepro.tables.statistics import CONFIDENCE

Over = Literal["seeds", "images"]


class Spread(NamedTuple):
    """The 95% interval of a difference, and what it is over."""

    interval: Interval
    over: Over


def spread_of_difference(before: Number, after: Number) -> Spread | None:
    """Return the 95% interval of ``after`` less ``before``, the two taken as independent.

    Several seeds on each side
        Welch's interval, which needs no equal spreads. Two seeds on each side are enough for it to leave out 0 by
        chance in about one case of 20; it is wide then, 4.3 to 12.7 standard errors either way.
    One seed on one side
        The other side's spread is taken for both: of n seeds with standard deviation s, Student's t with n − 1 degrees
        of freedom times s √(1 + 1/n).
    One seed on each side, or seeds that all come to the same and so tell nothing of a spread
        The two cells' own intervals, over their images, which tell nothing of another seed: a difference of means d
        with ends l ≤ m ≤ u on each side reaches from d − √((m₂ − l₂)² + (u₁ − m₁)²) to d + √((u₂ − m₂)² + (m₁ − l₁)²).

    Returns
    -------
    None where a side has neither several seeds nor an interval.

    References
    ----------
    Welch, "The Generalization of 'Student's' Problem when Several Different Population Variances are Involved", 1947.
    Zou & Donner, "Construction of Confidence Limits about Effect Measures: A General Approach", 2008.
    """
    difference = after.mean - before.mean
    several = [side for side in (before, after) if side.std is not None]
    if any(side.std for side in several):
        half = _welch(several) if len(several) == 2 else _of_one_more(several[0])
        return Spread((difference - half, difference + half), "seeds")
    if before.interval is None or after.interval is None:
        return None
    below = math.hypot(after.mean - after.interval[0], before.interval[1] - before.mean)
    above = math.hypot(after.interval[1] - after.mean, before.mean - before.interval[0])
    return Spread((difference - below, difference + above), "images")


def _welch(sides: list[Number]) -> float:
    """Return half of Welch's interval of the difference of two means over several seeds, not all of them alike."""
    of_means = [(side.std or 0.0) ** 2 / side.seeds for side in sides]
    variance = sum(of_means)
    freedom = variance**2 / sum(each**2 / (side.seeds - 1) for each, side in zip(of_means, sides, strict=True))
    return _student(freedom) * math.sqrt(variance)


def _of_one_more(side: Number) -> float:
    """Return half of the interval of how far one more seed is from the mean over a side's seeds."""
    return _student(side.seeds - 1) * (side.std or 0.0) * math.sqrt(1 + 1 / side.seeds)


def _student(freedom: float) -> float:
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))

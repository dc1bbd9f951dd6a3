"""Whether a number changed by more than its spread."""

from __future__ import annotations

import math

from scipy.special import stdtrit

from robustrepro.comparison.results import Interval, Number
from robustrepro.tables.statistics import CONFIDENCE


def interval_of_difference(before: Number, after: Number) -> Interval | None:
    """Return the 95% interval of ``after`` less ``before``, the two taken as independent.

    With several seeds on each side it is Welch's, which needs no equal spreads. With one seed, or where all seeds come
    to the same and so tell nothing of a spread, it is made of the two cells' own intervals (of one seed: over its
    images): a difference of means d with ends l ≤ m ≤ u on each side reaches from
    d − √((m₂ − l₂)² + (u₁ − m₁)²) to d + √((u₂ − m₂)² + (m₁ − l₁)²).

    Returns
    -------
    None where a side has neither several seeds nor an interval.

    References
    ----------
    Welch, "The Generalization of 'Student's' Problem when Several Different Population Variances are Involved", 1947.
    Zou & Donner, "Construction of Confidence Limits about Effect Measures: A General Approach", 2008.
    """
    difference = after.mean - before.mean
    if before.std is not None and after.std is not None and (before.std or after.std):
        of_means = [side.std**2 / side.seeds for side in (before, after) if side.std is not None]
        variance = sum(of_means)
        freedom = variance**2 / sum(
            each**2 / (side.seeds - 1) for each, side in zip(of_means, (before, after), strict=True)
        )
        half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * math.sqrt(variance)
        return difference - half, difference + half
    if before.interval is None or after.interval is None:
        return None
    below = math.hypot(after.mean - after.interval[0], before.interval[1] - before.mean)
    above = math.hypot(after.interval[1] - after.mean, before.mean - before.interval[0])
    return difference - below, difference + above

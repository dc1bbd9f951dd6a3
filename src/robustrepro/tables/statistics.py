"""Means over seeds and the intervals that verdicts use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv, stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean, its spread and a 95% interval.

    Attributes
    ----------
    mean, std
        Over the seeds; ``std`` (with N − 1) is None for one seed.
    interval
        None where neither seeds nor images give one.
    kind
        What the interval is over, in words.
    """

    mean: float
    std: float | None
    interval: tuple[float, float] | None
    kind: str | None


def over_seeds(values: Sequence[float]) -> Estimate:
    """Return mean, standard deviation and the Student-t interval of the mean over two or more seeds.

    Raises
    ------
    ValueError
        If there are fewer than two values.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"an interval over seeds needs two values or more, not {count}")
    mean = math.fsum(values) / count
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(count)
    return Estimate(mean, std, (mean - half, mean + half), f"95% over {count} seeds (Student t)")


def binomial_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the exact 95% interval of a proportion, in [0, 1].

    References
    ----------
    Clopper & Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", 1934.
    """
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def of_accuracy(percentages: Sequence[float], images: int) -> Estimate:
    """Return the estimate of an accuracy in percent: over seeds, or over test images when there is one seed.

    Parameters
    ----------
    percentages
        One accuracy a seed, in percent.
    images
        How many images each is over.
    """
    if len(percentages) > 1:
        return over_seeds(percentages)
    low, high = binomial_interval(round(percentages[0] / 100 * images), images)
    return Estimate(percentages[0], None, (100 * low, 100 * high), f"95% over {images} images (binomial), one seed")


def of_number(values: Sequence[float]) -> Estimate:
    """Return the estimate of any other number; with one seed there is no interval."""
    return over_seeds(values) if len(values) > 1 else Estimate(values[0], None, None, None)

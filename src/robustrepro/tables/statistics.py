"""Statistics of a measurement's rows, means over seeds, and the intervals that verdicts use."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betaincinv, expit, logit, stdtrit

from robustrepro.accuracy import classified_right
from robustrepro.errors import UserError
from robustrepro.seeds import derive_seed

CONFIDENCE = 0.95
RESAMPLES = 1000
ROUNDING = 1e-9
"""How much larger than a bound a difference may be that is equal to it, as a share of the bound."""
PERCENTAGES = (0.0, 100.0)
"""What no share in percent can lie below and above."""
MOST_SEEDS = 1000
"""So many seeds are looked at for how many would decide."""

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Interval = tuple[float, float]


def no_interval() -> Interval | None:
    """Return None, for a number whose rows say nothing of its spread."""
    return None


@dataclass(frozen=True)
class Sample:
    """What one seed's rows come to.

    Attributes
    ----------
    value
        The statistic.
    count
        How many images, rows or numbers it is over.
    interval
        Computes its 95% interval from the rows alone; only one seed needs it.
    interval_kind
        What that interval is over, in words; None where there is none.
    bounds
        What no value can lie below and above; None where there are no such numbers.
    """

    value: float
    count: int
    interval: Callable[[], Interval | None] = no_interval
    interval_kind: str | None = None
    bounds: Interval | None = None


@dataclass(frozen=True)
class Estimate:
    """A mean, its spread and a 95% interval.

    Attributes
    ----------
    mean, std
        Over the seeds; ``std`` (with N − 1) is None for one seed.
    interval
        None where neither seeds nor rows give one.
    kind
        What the interval is over, in words.
    """

    mean: float
    std: float | None
    interval: Interval | None
    kind: str | None


# -- statistics of rows ------------------------------------------------------------------------------------------


def accuracy(rows: pd.DataFrame) -> Sample:
    """Return the share of examples that are right clean and under attack, in percent; the interval is binomial."""
    require(rows, "label", "prediction")
    if "index" in rows and not rows["index"].is_unique:
        raise UserError("there is more than one row per image")
    return proportion(classified_right(rows).to_numpy(), "images")


def mean(rows: pd.DataFrame, column: str) -> Sample:
    """Return the mean of a column; of an image with several rows, their mean counts.

    So the interval is over images, and not over rows that are alike.
    """
    return resampled(_by_index(rows, column), np.mean)


def percentage(rows: pd.DataFrame, column: str) -> Sample:
    """Return the mean of a column of shares, in percent; of an image with several rows, their mean counts."""
    shares = _by_index(rows, column)
    if len(shares) and not 0 <= shares.min() <= shares.max() <= 1:
        raise UserError(f"column '{column}' is not of shares: it goes from {shares.min():g} to {shares.max():g}")
    of_mean = resampled(100 * shares, np.mean)
    return replace(of_mean, bounds=PERCENTAGES)


def _by_index(rows: pd.DataFrame, column: str) -> Numbers:
    """Return a column's values, one per image: of several their mean."""
    numbers = numbers_of(rows, column)
    if "index" not in rows or rows["index"].is_unique:
        return numbers
    return np.asarray(pd.Series(numbers).groupby(rows["index"].to_numpy()).mean())


def median(rows: pd.DataFrame, column: str) -> Sample:
    """Return the median of a column."""
    return resampled(numbers_of(rows, column), np.median)


def percentile(rows: pd.DataFrame, column: str, rank: float) -> Sample:
    """Return the percentile of a column with a rank between 0 and 100."""
    return resampled(numbers_of(rows, column), partial(np.percentile, q=rank))


def share(
    rows: pd.DataFrame,
    column: str,
    below: float | None = None,
    above: float | None = None,
    equals: str | None = None,
) -> Sample:
    """Return the share of rows, in percent, whose value is below or above a threshold, or equals a word, or is true."""
    require(rows, column)
    if equals is not None:
        return proportion((rows[column] == equals).to_numpy(), "rows")
    if below is not None:
        return proportion(numbers_of(rows, column) < below, "rows")
    if above is not None:
        return proportion(numbers_of(rows, column) > above, "rows")
    if rows[column].dtype != bool:
        raise UserError(f"column '{column}' is not of truth values; say 'below', 'above' or 'equals'")
    return proportion(rows[column].to_numpy(), "rows")


def count(rows: pd.DataFrame) -> Sample:
    """Return the number of rows."""
    return Sample(float(len(rows)), len(rows))


def settled(rows: pd.DataFrame, column: str, within: float) -> Sample:
    """Return the epoch from which on a column stays within a distance of its value after the last epoch.

    Parameters
    ----------
    rows
        One per epoch, with the column ``epoch``.
    column
        Of numbers.
    within
        The distance, in the column's unit.

    Raises
    ------
    UserError
        If there are several rows per epoch, or a value is not finite.
    """
    by_epoch = rows.assign(epoch=numbers_of(rows, "epoch"), value=numbers_of(rows, column)).sort_values("epoch")
    if not by_epoch["epoch"].is_unique:
        raise UserError("there is more than one row per epoch")
    if not np.isfinite(by_epoch["value"]).all():
        raise UserError(f"column '{column}' is not finite after every epoch")
    # Accuracies that differ by just so much do not by a rounding error more.
    far = (by_epoch["value"] - by_epoch["value"].iloc[-1]).abs() > within * (1 + ROUNDING)
    unsettled = int(far.to_numpy().nonzero()[0].max(initial=-1))
    return Sample(float(by_epoch["epoch"].iloc[unsettled + 1]), len(by_epoch))


def total(rows: pd.DataFrame, column: str) -> Sample:
    """Return the sum of a column."""
    numbers = numbers_of(rows, column)
    return Sample(float(numbers.sum()), len(numbers))


def root_of_sum(rows: pd.DataFrame, column: str, count: str | None = None) -> Sample:
    """Return the root of a column's sum; ``count`` is the column that says how many numbers each row stands for."""
    numbers = numbers_of(rows, column)
    size = len(numbers) if count is None else int(numbers_of(rows, count).sum())
    return Sample(float(np.sqrt(numbers.sum())), size)


def maximum(rows: pd.DataFrame, column: str) -> Sample:
    """Return the largest value of a column."""
    numbers = numbers_of(rows, column)
    return Sample(float(numbers.max()), len(numbers))


def worst_case(measures: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one row per image that all measures have, right only if it is right under each of them.

    Parameters
    ----------
    measures
        ``index``, ``label``, ``clean_prediction`` (if measured) and ``prediction``, one row per image each.

    Returns
    -------
    Rows with the predictions of the first measure that the image does not resist, or of the last one.

    Raises
    ------
    UserError
        If the measures do not have one row per image, or are not of the same images.
    """
    worst, *others = (_by_image(rows) for rows in measures)
    for other in others:
        worst, other = worst.align(other, join="inner", axis="index")
        if (worst["label"] != other["label"]).any():
            raise UserError("the measures are of different images: some have other labels")
        resisted = classified_right(worst)
        worst = pd.concat([worst[~resisted], other[resisted]]).sort_index()
    return worst.reset_index()


def _by_image(rows: pd.DataFrame) -> pd.DataFrame:
    require(rows, "index", "label", "prediction")
    by_image = rows.set_index("index")
    if not by_image.index.is_unique:
        raise UserError("there is more than one row per image")
    clean = by_image["clean_prediction"] if "clean_prediction" in rows else by_image["prediction"]
    return by_image[["label", "prediction"]].assign(clean_prediction=clean)


def require(rows: pd.DataFrame, *columns: str) -> None:
    """Refuse rows that lack a column."""
    for column in columns:
        if column not in rows:
            raise UserError(f"there is no column '{column}'; it has {', '.join(rows.columns)}")


def numbers_of(rows: pd.DataFrame, column: str) -> Numbers:
    """Return a column as float64."""
    require(rows, column)
    try:
        return np.asarray(rows[column], dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"column '{column}' is not of numbers") from None


def proportion(successes: np.ndarray[Any, np.dtype[np.bool]], of_what: str) -> Sample:
    """Return a share in percent with its binomial interval; ``of_what`` are what succeeded or not, in words."""
    count, right = len(successes), int(successes.sum())

    def interval() -> Interval:
        return accuracy_interval(100 * right / count, count)

    kind = f"95% over {count} {of_what} (binomial), one seed"
    return Sample(100 * float(successes.mean()), count, interval, kind, PERCENTAGES)


def resampled(numbers: Numbers, statistic: Callable[[Numbers], Any]) -> Sample:
    """Return a statistic of numbers with its bootstrap interval."""
    return Sample(
        float(statistic(numbers)),
        len(numbers),
        lambda: bootstrap_interval(numbers, statistic),
        f"95% over {len(numbers)} rows (bootstrap), one seed",
    )


# -- intervals ---------------------------------------------------------------------------------------------------


def estimate_over(samples: Sequence[Sample]) -> Estimate:
    """Return the estimate over seeds, or with the interval that one seed's rows give.

    Seeds that all lie at one and the same bound, such as 0%, say nothing of their spread; there, too, it is one seed's.
    """
    first = samples[0]
    if len(samples) > 1:
        estimate = over_seeds([sample.value for sample in samples], first.bounds)
        if estimate.std or first.bounds is None or estimate.mean not in first.bounds:
            return estimate
        return Estimate(estimate.mean, estimate.std, first.interval(), first.interval_kind)
    interval = first.interval()
    return Estimate(first.value, None, interval, first.interval_kind if interval else None)


def over_seeds(values: Sequence[float], bounds: Interval | None = None) -> Estimate:
    """Return mean, standard deviation and the 95% interval of the mean over two or more seeds.

    Parameters
    ----------
    values
        One per seed.
    bounds
        What no value can lie below and above, if there are such numbers.

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
    how = "Student t" if bounds is None else "Student t, within bounds"
    return Estimate(mean, std, interval_of_mean(mean, std, count, bounds), f"95% over {count} seeds ({how})")


def accuracy_interval(accuracy: float, images: int) -> Interval:
    """Return the binomial interval of an accuracy over so many images, all in percent."""
    low, high = binomial_interval(round(accuracy / 100 * images), images)
    return 100 * low, 100 * high


def binomial_interval(successes: int, trials: int) -> Interval:
    """Return the exact 95% interval of a proportion, in [0, 1].

    References
    ----------
    Clopper & Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", 1934.
    """
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def interval_of_mean(mean: float, std: float, count: int, bounds: Interval | None = None) -> Interval:
    """Return the 95% Student-t interval of a mean over seeds.

    Between bounds, each end is the nearer of two: Student's, and that of the log-odds of the mean's place p between the
    bounds, brought back, which never leaves them (its standard error is se / (p (1 - p)), by the delta method). Towards
    a near bound that is the latter; away from it, where few seeds would make it span everything, the former.

    Parameters
    ----------
    mean, std
        Over the seeds; the standard deviation with N - 1.
    count
        How many seeds, 2 or more.
    bounds
        What no value can lie below and above, if there are such numbers.
    """
    half = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * std / math.sqrt(count)
    if bounds is None or half == 0 or not math.isfinite(half):
        return mean - half, mean + half
    low, high = bounds
    place = (mean - low) / (high - low)
    if not 0 < place < 1:
        return mean, mean
    spread = half / (high - low) / (place * (1 - place))
    ends = (float(expit(logit(place) + sign * spread)) for sign in (-1, 1))
    first, last = (low + (high - low) * end for end in ends)
    return max(first, mean - half), min(last, mean + half)


def seeds_to_decide(mean: float, std: float, count: int, bounds: Interval | None = None) -> int | None:
    """Return with how many seeds the interval of a mean would no longer hold 0, at the same mean and spread.

    None where ``MOST_SEEDS`` would not do.

    Parameters
    ----------
    mean, std, count, bounds
        As of :func:`interval_of_mean`.
    """

    def crosses(seeds: int) -> bool:
        low, high = interval_of_mean(mean, std, seeds, bounds)
        return not (low >= 0 or high < 0)

    if not math.isfinite(mean) or crosses(MOST_SEEDS):
        return None
    return bisect_left(range(MOST_SEEDS), True, lo=count, key=lambda seeds: not crosses(seeds))


def bootstrap_interval(numbers: Numbers, statistic: Callable[[Numbers], Any]) -> Interval | None:
    """Return the 95% percentile interval of a statistic over rows drawn with replacement; the draws are fixed.

    None where it would be infinite, as that of the median of distances may be when most attacks fail.

    References
    ----------
    Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, Chapter 13.
    """
    generator = np.random.default_rng(derive_seed(0, "bootstrap"))
    draws = [statistic(generator.choice(numbers, len(numbers))) for _ in range(RESAMPLES)]
    if not np.isfinite(draws).all():
        return None
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)

"""Statistics of how much accuracy corruptions take: as a number that a network of less accuracy can win, too."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from robustrepro.corruptions.names import CLEAN
from robustrepro.errors import UserError
from robustrepro.seeds import derive_seed
from robustrepro.spec.corruptions import CorruptionName
from robustrepro.spec.statistics import CorruptionErrors
from robustrepro.tables.statistics import CONFIDENCE, RESAMPLES, Interval, Numbers, Sample, require

AT_ONCE = 50
"""So many resamples are weighted together; a matter of memory."""


class Answers(NamedTuple):
    """Which images a network gets right, as float64: as they are, shape (N,), and in each set, shape (N, sets).

    ``clean`` is None where the images were not classified as they are.
    """

    clean: Numbers | None
    corrupted: Numbers
    sets: list[tuple[CorruptionName, int]]


def relative_corruption_error(rows: pd.DataFrame, baseline: CorruptionErrors) -> Sample:
    """Return the relative mean corruption error (RmCE) with its bootstrap interval over images.

    Of each corruption, what it takes of the accuracy, summed over severities, is divided by what it takes of the
    baseline's; the mean over those corruptions that were measured is the RmCE. 1 is the baseline's.

    Parameters
    ----------
    rows
        ``index``, ``corruption``, ``severity`` and ``right``; one per image and set, ``clean`` among them.
    baseline
        The errors of AlexNet.

    References
    ----------
    Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", 2019,
    Section 4 (there in percent).
    """
    answers = _answers(rows, baseline)
    if (clean := answers.clean) is None:
        raise UserError("the images were not classified as they are; add 'clean: true' to the measure")
    names = list(dict.fromkeys(name for name, _ in answers.sets))
    member = np.array([[float(name == of) for name in names] for of, _ in answers.sets])
    severities = {name: [severity for of, severity in answers.sets if of == name] for name in names}
    taken = np.array(
        [math.fsum(baseline.errors[name][level - 1] - baseline.clean for level in severities[name]) for name in names]
    )

    def rmce(weights: Numbers) -> Numbers:
        drops = ((weights @ clean)[:, None] - weights @ answers.corrupted) @ member
        mean: Numbers = (drops / taken).mean(1)
        return mean

    return _sample(rmce, len(answers.corrupted))


def against_published_errors(
    rows: pd.DataFrame, errors: CorruptionErrors, of: Literal["rank_correlation", "mean_difference"]
) -> Sample:
    """Return how errors agree with published ones, over all sets: Spearman's ρ, or the mean difference in points.

    Parameters
    ----------
    rows
        As of :func:`relative_corruption_error`.
    errors
        The published errors.
    of
        Which number.
    """
    answers = _answers(rows, errors)
    published = np.array([errors.errors[name][severity - 1] for name, severity in answers.sets])

    def agreement(weights: Numbers) -> Numbers:
        ours = 1 - weights @ answers.corrupted
        if of == "mean_difference":
            difference: Numbers = 100 * (ours - published).mean(1)
            return difference
        return np.array([float(spearmanr(each, published).statistic) for each in ours])

    return _sample(agreement, len(answers.corrupted))


def _answers(rows: pd.DataFrame, published: CorruptionErrors) -> Answers:
    """Return what a network gets right, of the sets that are measured and published."""
    require(rows, "index", "corruption", "severity", "right")
    if rows.duplicated(["index", "corruption", "severity"]).any():
        raise UserError("there is more than one row per image and corrupted set")
    by_set: Any = rows.pivot(index="index", columns=["corruption", "severity"], values="right").astype(float)
    if by_set.isna().to_numpy().any():
        raise UserError("the sets are not of the same images")
    sets = [each for each in by_set if each != (CLEAN, 0)]
    if unpublished := {name for name, _ in sets} - published.errors.keys():
        raise UserError(f"no errors are declared of {', '.join(sorted(unpublished))}")
    clean = by_set[CLEAN, 0].to_numpy() if (CLEAN, 0) in by_set else None
    return Answers(clean, by_set[sets].to_numpy(), [(name, int(level)) for name, level in sets])


def _sample(statistic: Callable[[Numbers], Numbers], images: int) -> Sample:
    """Return a statistic of weighted images, with the interval that images drawn with replacement give."""

    def interval() -> Interval | None:
        generator = np.random.default_rng(derive_seed(0, "bootstrap of images"))
        draws = [
            statistic(generator.multinomial(images, np.full(images, 1 / images), size=AT_ONCE) / images)
            for _ in range(RESAMPLES // AT_ONCE)
        ]
        numbers = np.concatenate(draws)
        if not np.isfinite(numbers).all():  # of a few images, all sets may come to the same error, which has no order
            return None
        low, high = np.quantile(numbers, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)

    value = float(statistic(np.full((1, images), 1 / images))[0])
    return Sample(value, images, interval, f"95% over {images} images (bootstrap), one seed")

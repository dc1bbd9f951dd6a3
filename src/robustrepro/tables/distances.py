"""Statistics of how far adversarial examples are from their images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import trim_mean

from robustrepro.accuracy import classified_right, right_within
from robustrepro.errors import UserError
from robustrepro.tables.statistics import ROUNDING, Numbers, Sample, numbers_of, proportion, require, resampled

TRIMMED = 0.05
"""Of either end, in a trimmed mean."""


STATISTICS: Mapping[str, Callable[[Numbers], Any]] = {
    "mean": np.mean,
    "median": np.median,
    "trimmed_mean": partial(trim_mean, proportiontocut=TRIMMED),
}


def accuracy_within(rows: pd.DataFrame, epsilon: float) -> Sample:
    """Return the share of images, in percent, that are right within a bound (`right_within`)."""
    require(rows, "label", "prediction", "unattacked", "linf")
    return proportion(right_within(rows, epsilon).to_numpy(), "images")


def score(
    rows: pd.DataFrame,
    failures: Literal["zero", "largest"],
    of: Literal["mean", "median", "trimmed_mean", "carriers"],
    scale: float,
) -> Sample:
    """Return the squared l2 distance from image to adversarial example over all images, as one number.

    Parameters
    ----------
    rows
        ``label``, ``clean_prediction``, ``prediction`` and ``l2`` (infinite where the attack failed).
    failures
        What an image counts whose attack failed: nothing, or the largest distance of the others.
    of
        Which number: see `robustrepro.spec.statistics.Score`.
    scale
        By which distances are multiplied.

    References
    ----------
    Wu et al., "Reducing Exploitation of Data Idiosyncrasy Helps Robustify Trained Models", the score of Table 1.
    """
    require(rows, "label", "clean_prediction", "prediction", "l2")
    if "index" in rows and not rows["index"].is_unique:
        raise UserError("there is more than one row per image")
    failed = classified_right(rows).to_numpy() | np.isinf(numbers_of(rows, "l2"))
    distances = np.where(failed, 0.0, np.square(scale * numbers_of(rows, "l2")))
    if failures == "largest":
        distances[failed] = distances.max(initial=0.0)
    if of == "carriers":
        return Sample(float(carriers(distances)), len(distances))
    return resampled(distances, STATISTICS[of])


def gain(rows: pd.DataFrame, loses: float) -> Sample:
    """Return the gain on adversarial examples at a small loss on the images, in points, with its bootstrap interval.

    The best of so many methods and percentages would look good by chance alone. So it is chosen on every other image
    and judged on those between, and the other way round.

    Parameters
    ----------
    rows
        Of a measurement of perturbed weights, with 0% among its percentages.
    loses
        How many points of the accuracy on the images may be lost, on those that it is chosen on.
    """
    require(rows, "index", "label", "prediction", "unattacked", "method", "percent")
    variants = [rows["percent"], rows["method"]]
    images, attacked = (
        (rows[column] == rows["label"]).groupby([*variants, rows["index"]]).first().unstack().astype(float) * 100
        for column in ("unattacked", "prediction")
    )
    if 0 not in images.index.levels[0]:
        raise UserError("there is no percentage 0, with which the others are compared")
    lost, won = (each.loc[0].iloc[0] - each for each in (images, attacked))
    won, count = -won, images.shape[1]
    gains = []
    for chosen_on in (np.arange(count) % 2 == 0, np.arange(count) % 2 == 1):
        allowed = lost.loc[:, chosen_on].mean(axis=1) <= loses + ROUNDING
        best = won.loc[allowed, chosen_on].mean(axis=1).idxmax()
        gains.append(won.loc[best, ~chosen_on].to_numpy())
    return resampled(np.concatenate(gains), np.mean)


def carriers(numbers: Numbers) -> int:
    """Return how few of the numbers, none of them negative, carry half of their sum."""
    shares = np.cumsum(np.sort(numbers)[::-1])
    return int(np.searchsorted(shares, shares[-1] / 2) + 1) if len(numbers) and shares[-1] > 0 else 0

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
    """Return the largest gain on adversarial examples at a small loss on the images, in points.

    Parameters
    ----------
    rows
        Of a measurement of perturbed weights, with 0% among its percentages.
    loses
        How many points of the accuracy on the images may be lost.
    """
    require(rows, "index", "label", "prediction", "unattacked", "method", "percent")
    right = pd.DataFrame(
        {
            "images": rows["unattacked"] == rows["label"],
            "attacked": rows["prediction"] == rows["label"],
            "method": rows["method"],
            "percent": rows["percent"],
        }
    )
    accuracy = 100 * right.groupby(["percent", "method"]).mean()
    if 0 not in accuracy.index.levels[0]:
        raise UserError("there is no percentage 0, with which the others are compared")
    whole = accuracy.loc[0].iloc[0]
    allowed = accuracy[accuracy["images"] >= whole["images"] - loses - ROUNDING]
    return Sample(float((allowed["attacked"] - whole["attacked"]).max()), rows["index"].nunique())


def carriers(numbers: Numbers) -> int:
    """Return how few of the numbers, none of them negative, carry half of their sum."""
    shares = np.cumsum(np.sort(numbers)[::-1])
    return int(np.searchsorted(shares, shares[-1] / 2) + 1) if len(numbers) and shares[-1] > 0 else 0

"""Medians of a part of a measurement's rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from robustrepro.tables.statistics import Sample, numbers_of, resampled


def median_above(rows: pd.DataFrame, column: str, threshold: float) -> Sample:
    """Return the median of those of a column's values that are above a threshold; NaN where none is."""
    numbers = numbers_of(rows, column)
    above = numbers[numbers > threshold]
    return resampled(above, np.median) if len(above) else Sample(math.nan, 0)

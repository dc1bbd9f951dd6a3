"""Medians of a part of a measurement's rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from robustrepro.errors import UserError
from robustrepro.tables.statistics import Sample, numbers_of, resampled


def median_above(rows: pd.DataFrame, column: str, threshold: float) -> Sample:
    """Return the median of those of a column's values that are above a threshold.

    Raises
    ------
    UserError
        If none is.
    """
    numbers = numbers_of(rows, column)
    above = numbers[numbers > threshold]
    if not len(above):
        raise UserError(f"no value of column '{column}' is above {threshold:g}")
    return resampled(above, np.median)

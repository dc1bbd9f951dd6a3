"""What counts as robust in a data frame of attacks."""

from __future__ import annotations

import pandas as pd


def robust(rows: pd.DataFrame) -> pd.Series:
    """Return whether each example is classified correctly, under attack and, where there was one, clean.

    Parameters
    ----------
    rows
        With the columns ``label`` and ``prediction``, and ``clean_prediction`` where there was an attack.
    """
    correct = rows["prediction"] == rows["label"]
    if "clean_prediction" in rows:
        correct &= rows["clean_prediction"] == rows["label"]
    return correct

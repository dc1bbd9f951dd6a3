"""Which examples of a data frame are classified correctly: clean, under attack, and within a bound."""

from __future__ import annotations

import pandas as pd


def classified_right(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return which examples are classified correctly, clean and under attack.

    Parameters
    ----------
    rows
        ``label``, ``prediction`` and, of an attack, ``clean_prediction``: an image that is misclassified clean is not
        robust, whatever becomes of it under attack.
    """
    right = rows["prediction"] == rows["label"]
    return right & (rows["clean_prediction"] == rows["label"]) if "clean_prediction" in rows else right


def right_within(rows: pd.DataFrame, epsilon: float) -> pd.Series[bool]:
    """Return which images are classified correctly where each may be moved by ``epsilon`` at most, in ℓ∞.

    Parameters
    ----------
    rows
        ``label``, ``linf`` (how far the adversarial example is from the image), ``prediction`` (for it) and
        ``unattacked`` (for the image itself, which counts where the example is further away).
    epsilon
        In units of the pixel range.
    """
    return rows["prediction"].where(rows["linf"] <= epsilon, rows["unattacked"]) == rows["label"]

"""Measurement files as data frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.measurements.store import read_measurement


def read_frame(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a measurement's rows and its origin.

    Raises
    ------
    UserError
        If the file is missing, truncated, or no measurement of ours.
    """
    table, origin = read_measurement(path)
    return table.to_pandas(), origin

"""Measurements as data frames, for everything that comes after them; measuring itself never imports pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.measures.store import read_columns


def read_frame(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a measurement's rows and its origin.

    Raises
    ------
    UserError
        As :func:`robustrepro.measures.store.read_columns`.
    """
    table, origin = read_columns(path)
    return table.to_pandas(), origin

"""The rows of a scorecard or an audit as CSV: every field is text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from robustrepro.files import write_text


def read_rows(path: Path) -> pd.DataFrame:
    """Return the rows, every field as the text that it is: ``None`` and ``NA`` are words, an empty field is empty."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def write_rows(path: Path, rows: pd.DataFrame) -> None:
    """Write the rows atomically."""
    write_text(path, rows.to_csv(index=False, lineterminator="\n"))

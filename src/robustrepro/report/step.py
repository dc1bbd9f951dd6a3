"""The step ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustrepro.files import write_text
from robustrepro.report.page import build_report


def report_step(spec: dict[str, Any], folder: Path) -> None:
    """Write ``report/index.html`` of a scale from its scorecard, tables and figures.

    Parameters
    ----------
    spec
        What the papers declare: titles, departures, which tables and figures there are.
    folder
        The scale's folder.
    """
    write_text(folder / "report" / "index.html", build_report(spec, folder))

"""The step ``report``."""

from __future__ import annotations

from pathlib import Path

from robustrepro.files import write_text
from robustrepro.report.page import build_report
from robustrepro.steps import Work


def run(work: Work) -> None:
    """Write ``report/index.html`` of a scale from each paper's verdicts, audit, tables and figures.

    Parameters
    ----------
    work
        ``spec`` has ``folder``, the scale's folder, and what the papers declare: titles, departures, which tables and
        figures there are (see ``robustrepro.report.content.ReportSpec``).
    """
    write_text(work.outputs[0], build_report(work.spec, Path(work.spec["folder"])))

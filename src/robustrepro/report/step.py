"""The steps ``page`` and ``report``: a paper's page, and the page that lists every claim of all papers."""

from __future__ import annotations

from pathlib import Path

from robustrepro.files import write_text
from robustrepro.report.page import build_page, build_report
from robustrepro.steps import Work


def run(work: Work) -> None:
    """Write ``report/index.html`` of a scale from each paper's verdicts, audit and tables, and other scales' verdicts.

    Parameters
    ----------
    work
        ``spec`` has ``folder``, the scale's folder, what was asked, and what the papers' tables and figures are called
        (see ``robustrepro.report.content.ReportSpec``).
    """
    write_text(work.outputs[0], build_report(work.spec, Path(work.spec["folder"])))


def run_page(work: Work) -> None:
    """Write ``report/<paper>.html`` from a paper's verdicts, audit, tables and figures.

    Parameters
    ----------
    work
        ``spec`` has ``folder``, the scale's folder, what was asked, and what the paper declares: titles, departures,
        which tables and figures there are (see ``robustrepro.report.content.PageSpec``).
    """
    write_text(work.outputs[0], build_page(work.spec, Path(work.spec["folder"])))

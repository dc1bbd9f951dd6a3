"""The report: one self-contained HTML page."""

from robustrepro.report.page import build_report

__all__ = ["build_report"]

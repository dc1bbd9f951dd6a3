"""The report: a page per paper, and one that lists every claim."""

from robustrepro.report.page import build_page, build_report

__all__ = ["build_page", "build_report"]

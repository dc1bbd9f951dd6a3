"""Puts the report's content, style and script into one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from robustrepro.report import presentation
from robustrepro.report.comparison import cell_names, comparison, with_names
from robustrepro.report.reading import read_contents
from robustrepro.report.summary import in_short
from robustrepro.scorecard.judged import Judged
from robustrepro.words import epsilon_in_words

FOLDER = Path(__file__).parent
STYLES = ("tables.css", "style.css", "claims.css", "audit.css")
"""In this order: what style.css says of narrow screens and of paper holds for tables, too."""


def build_report(spec: Mapping[str, Any], scale_folder: Path) -> str:
    """Return the report of one scale as a self-contained HTML page.

    The page is a function of its inputs alone (no date, no path of the machine), so that the same results give
    the same bytes. Every text is escaped; a content security policy admits only the page's own style and script.

    Parameters
    ----------
    spec
        Plain data: scale, stand-ins, unverified data, and the papers with their tables, figures and departures
        (see ``robustrepro.report.content.ReportSpec``).
    scale_folder
        ``results/<scale>``. A table or figure that is missing there is shown as not measured.

    Raises
    ------
    UserError
        If a file that is there cannot be read; the message names it.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "cell_names": cell_names,
        "comparison": comparison,
        "in_short": in_short,
        "presentation": presentation,
    }
    environment.filters |= {
        "epsilon_in_words": epsilon_in_words,
        "named": _named,
        "with_names": with_names,
    }
    environment.tests["about"] = _about
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in STYLES)
    script = (FOLDER / "script.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_source_hash(style)}; script-src {_source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("page.html").render(
        contents=read_contents(spec, scale_folder), policy=policy, style=Markup(style), script=Markup(script)
    )


def _named(cell: str, names: Mapping[str, str]) -> str:
    """Return a cell's name, in templates that map over cells."""
    return names[cell]


def _about(condition: Judged, cells: Collection[str]) -> bool:
    """Tell whether a condition compares one of these cells."""
    return any(compared.cell in cells for compared in condition.compared)


def _source_hash(text: str) -> str:
    """Return the expression by which a content security policy admits exactly this inline text."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"

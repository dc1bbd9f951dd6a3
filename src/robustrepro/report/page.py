"""Puts content, style and script into HTML pages, each of which needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from robustrepro.canonical import canonical_json
from robustrepro.layout import Layout
from robustrepro.report import presentation
from robustrepro.report.comparison import cell_names, comparison, measured_elsewhere, with_names
from robustrepro.report.content import Asked, PaperName, commits_of, known_machines, machines_of
from robustrepro.report.loading import read_contents, read_page
from robustrepro.report.summary import in_short, outcome_of
from robustrepro.scorecard.combined import audit_of, reading_in_words, tried_in_words
from robustrepro.scorecard.judged import Judged
from robustrepro.verdicts import Verdict
from robustrepro.words import epsilon_in_words

FOLDER = Path(__file__).parent
STYLES = ("tables.css", "style.css", "claims.css", "audit.css", "list.css", "readings.css", "narrow.css")
"""In this order: what the last one says of narrow screens and of paper holds for all."""
SCRIPTS = ("script.js", "claims.js", "numbers.js")

INDEX = "index.html"


def build_report(spec: Mapping[str, Any], scale_folder: Path, *, published: Path | None = None) -> str:
    """Return the report's first page: every claim in a line, over all scales, with links to the papers' pages.

    Like every page it is a function of its inputs alone (no date, no path of the machine), so that the same results
    give the same bytes. Every text is escaped; a content security policy admits only the page's own style and script.

    Parameters
    ----------
    spec
        Plain data: what was asked, the scales, and what the papers' tables and figures are called
        (see ``robustrepro.report.content.ReportSpec``).
    scale_folder
        ``results/<scale>``; beside it the folders of other scales. What is missing is shown as not measured.
    published
        The folder that the pages will lie in, where that is not ``report`` below the scale's; beside it those of other
        scales. Of them, too, each paper's page is linked to where it is there.

    Raises
    ------
    UserError
        If a file of this scale that is there cannot be read; the message names it.
    """
    contents = read_contents(spec, scale_folder, (published or scale_folder).parent)
    names = [PaperName(id=paper.id, title=paper.title) for paper in contents.spec.papers]

    def other_page(scale: str, paper: str) -> str | None:
        """Return the link to a paper's page of another scale, if there is one."""
        if published:
            return f"../{scale}/{paper}.html" if (published.parent / scale / f"{paper}.html").exists() else None
        page = Path(Layout(str(scale_folder.with_name(scale))).page(paper))
        return f"../../{page.relative_to(scale_folder.parent).as_posix()}" if page.exists() else None

    return _page(
        "index.html",
        spec,
        "data:",
        other_page=other_page,
        contents=contents,
        asked=contents.spec,
        papers=names,
        shown_papers=contents.papers,
    )


def build_page(spec: Mapping[str, Any], scale_folder: Path, *, linked: bool = False) -> str:
    """Return a paper's page: its claims, tables, figures, audit, departures and words.

    Parameters
    ----------
    spec
        Plain data: what was asked, and the paper with its tables, figures and departures
        (see ``robustrepro.report.content.PageSpec``).
    scale_folder
        ``results/<scale>``. A table or figure that is missing there is shown as not measured.
    linked
        Whether the figures are read from ``papers/<paper>/figures/`` beside the page instead of being inside it, and
        where each number comes from is left to ``provenance.json`` in ``papers/<paper>/``.

    Raises
    ------
    UserError
        If a file that is there cannot be read; the message names it.
    """
    contents = read_page(spec, scale_folder, linked=linked)
    images = "'self' data:" if linked else "data:"
    return _page(
        "paper.html",
        spec,
        images,
        linked=linked,
        paper=contents.paper,
        asked=contents.spec,
        papers=contents.spec.papers,
        shown_papers=[contents.paper],
    )


def _page(template: str, spec: Mapping[str, Any], images: str, **content: Any) -> str:
    """Return a page of a template.

    Parameters
    ----------
    template
        Its file.
    spec
        What the page is made from.
    images
        The sources of images that its content security policy admits.
    content
        What the template shows.
    """
    style = "".join((FOLDER / name).read_text(encoding="utf-8") for name in STYLES)
    script = "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    policy = (
        f"default-src 'none'; img-src {images}; style-src {_source_hash(style)}; script-src {_source_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # No text of the spec can end the element that it stands in.
    embedded = canonical_json(spec).replace("<", r"\u003c")
    return (
        _environment()
        .get_template(template)
        .render(
            **content,
            index=INDEX,
            policy=policy,
            style=Markup(style),
            script=Markup(script),
            spec=Markup(embedded),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "cell_names": cell_names,
        "commits_of": commits_of,
        "comparison": comparison,
        "machines_of": machines_of,
        "known_machines": known_machines,
        "in_short": in_short,
        "measured_elsewhere": measured_elsewhere,
        "outcome_of": outcome_of,
        "presentation": presentation,
        "reading_in_words": reading_in_words,
        "tried_in_words": tried_in_words,
    }
    environment.filters |= {
        "audit_of": audit_of,
        "epsilon_in_words": epsilon_in_words,
        "named": _named,
        "verdict": Verdict.of_word,
        "with_code": _with_code,
        "with_names": with_names,
    }
    environment.tests |= {"about": _about, "is_change": _is_change}
    return environment


def _with_code(text: str) -> Markup:
    """Return a text with its names in backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


def _named(cell: str, names: Mapping[str, str]) -> str:
    """Return a cell's name, in templates that map over cells."""
    return names[cell]


def _is_change(words: str, asked: Asked) -> bool:
    """Tell whether a difference is the user's own."""
    return asked.is_change(words)


def _about(condition: Judged, cells: Collection[str]) -> bool:
    """Tell whether a condition compares one of these cells."""
    return any(compared.cell in cells for compared in condition.compared)


def _source_hash(text: str) -> str:
    """Return the expression by which a content security policy admits exactly this inline text."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"

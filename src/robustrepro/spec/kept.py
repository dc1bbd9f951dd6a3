"""Papers that an earlier run has made at the same scale: where a run leaves them out, scorecard and report keep them.

Their files are no inputs of any job, since nothing is declared that could make them again. Their contents are part of
the jobs' specs instead.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.layout import Layout
from robustrepro.spec.strict_yaml import Tree

SPEC = re.compile(r'<script type="application/json" id="spec">(.*?)</script>')
"""What a page of the report was made from, inside it."""
LISTED = ("id", "title", "authors", "summary")
PLACE = ("id", "of", "reading", "where")
"""What the report's first page says of a table or figure, where a paper's own page says more."""


@dataclass(frozen=True)
class KeptPaper:
    """A paper as an earlier run has made it.

    Attributes
    ----------
    page
        The spec of its page of the report.
    digest
        Of all its files that what stands over all papers is made of.
    """

    page: Mapping[str, Any]
    digest: str

    @property
    def tables(self) -> list[str]:
        """The keys of its tables."""
        return [table["id"] for table in self.page["paper"]["tables"]]

    @property
    def listed(self) -> Tree:
        """What the report's first page says of it."""
        paper = self.page["paper"]
        places = {
            kind: [{key: each[key] for key in PLACE if key in each} for each in paper[kind]]
            for kind in ("tables", "figures")
        }
        return {**{key: paper[key] for key in LISTED if key in paper}, **places}


def kept_papers(layout: Layout, root: Path, asked: Collection[str]) -> dict[str, KeptPaper]:
    """Return the papers under a scale's folder that were made to their end, and are not asked for, by their ids.

    Parameters
    ----------
    layout
        Of the scale.
    root
        Holds ``papers/`` and ``results/``. A paper whose declaration is gone is not kept.
    asked
        The papers that the run makes itself.
    """
    kept = {}
    for declared in sorted((root / "papers").glob("*/paper.yaml")):
        paper = declared.parent.name
        if paper not in asked and (found := _kept(layout, root, paper)):
            kept[paper] = found
    return kept


def _kept(layout: Layout, root: Path, paper: str) -> KeptPaper | None:
    """Return a paper as it was made; None where something of it is missing."""
    try:
        page = spec_in(root / layout.page(paper))
        judged = [Path(layout.scorecard(paper)), Path(layout.audit(paper))]
        tables = [Path(layout.table(paper, table["id"])) for table in page["paper"]["tables"]]
        files = [*judged, *(file.with_suffix(".csv") for file in judged), *tables]
        digest = hashlib.sha256("\n".join(sha256_of(root / file) for file in files).encode()).hexdigest()
    except (OSError, UserError):
        return None
    return KeptPaper(page, digest)


def spec_in(page: Path) -> dict[str, Any]:
    """Return the spec that a page of the report was made from.

    Raises
    ------
    UserError
        If the page is not there, or was made by an earlier version, which wrote none.
    """
    try:
        match = SPEC.search(page.read_text(encoding="utf-8"))
    except FileNotFoundError:
        match = None
    if match is None:
        scale = page.parent.parent.name
        found = "does not say what it was made from" if page.exists() else "there is no such file"
        raise UserError(f"{page}: {found}; `make reproduce SCALE={scale}` makes it")
    spec: dict[str, Any] = json.loads(match[1])
    return spec


def over_all(
    report: Mapping[str, Any], listed: Iterable[Mapping[str, Any]], pages: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the spec of the report's first page over papers of several runs: what was asked of each of them, together.

    Parameters
    ----------
    report
        The spec of the first page of one run.
    listed
        What the first page says of each paper.
    pages
        The specs of the papers' pages, by their ids.
    """
    differences: dict[str, dict[str, Any]] = {}
    for paper, page in pages.items():
        for each in page["differences"]:
            # What a paper's page says without a name is so of all that it shows.
            note = each if each.get("names") else {**each, "what": "papers", "names": [paper]}
            of_setting = json.dumps({**note, "names": None}, sort_keys=True)
            names = differences.get(of_setting, {}).get("names", [])
            differences[of_setting] = {**note, "names": [*dict.fromkeys([*names, *note["names"]])]}
    for note in differences.values():
        if note.get("what") == "papers" and set(note["names"]) == set(pages):
            note["names"] = []
    return {
        **report,
        "stand_ins": {key: value for page in pages.values() for key, value in page["stand_ins"].items()},
        "sources": {key: value for page in pages.values() for key, value in page["sources"].items()},
        "unverified": sorted({data for page in pages.values() for data in page["unverified"]}),
        "differences": list(differences.values()),
        "papers": list(listed),
    }

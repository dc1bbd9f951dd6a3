"""Bring the papers of a run to where they are read on the web, beside those that were published before.

Papers are measured in runs of their own, at commits of their own. So a published scale is a folder from which all that
stands over the papers can be made again: its first page, its scorecard, audit and metrics.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from robustrepro.files import write_text
from robustrepro.layout import Layout
from robustrepro.publishing.provenance import one_line_per_entry, provenance
from robustrepro.publishing.scorecard import scorecard_markdown
from robustrepro.report import build_page, build_report
from robustrepro.report.page import INDEX
from robustrepro.scorecard.rows import read_rows, write_rows
from robustrepro.spec.kept import over_all, spec_in

METRICS = "metrics.json"
"""A published scale's metrics; those of a run lie beside the scales' folders, in ``metrics/<scale>.json``."""
PROVENANCE = "provenance.json"
SPECS = {"training_spec", "attack_spec"}
"""What of a number's origin stands in ``provenance.json`` alone."""
LARGE_PICTURE = 500_000
"""Bytes of a PNG above which git had better keep less of it."""

Behind = Callable[[str], Collection[Path]]
"""Returns the models and measurements behind a paper, below the scale's folder."""


def publish(source: Path, destination: Path, behind: Behind) -> list[Path]:
    """Put the papers of a run into ``destination``, in the place of what was published of them before.

    Other papers stay as they are; so do other scales, but for what their first pages say of this one. The pages are
    written anew from what they were made from, which each of them carries: here they refer to the figures beside them
    instead of carrying them, too.

    Parameters
    ----------
    source
        The scale's folder under ``results/``.
    destination
        Its folder under ``docs/results/``.
    behind
        Called with a paper's id.

    Returns
    -------
    The files there.

    Raises
    ------
    UserError
        If the scale has not run to its end.
    """
    layout = Layout(str(source))
    report = _of_the_run(spec_in(Path(layout.report)))
    pages = {paper["id"]: spec_in(Path(layout.page(paper["id"]))) for paper in report["papers"]}
    metrics = json.loads((source.parent / "metrics" / f"{source.name}.json").read_text(encoding="utf-8"))
    metrics = {paper: metrics[paper] for paper in metrics if paper in pages}
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as folder:
        fresh = Path(folder) / "fresh"
        if destination.exists():
            shutil.copytree(destination, fresh)
        for paper, page in pages.items():
            # What lies there but is declared no more is of an earlier run.
            shutil.rmtree(fresh / "papers" / paper, ignore_errors=True)
            _copy(source, fresh, _shown(layout, paper, page))
            account = provenance(source, behind(paper), page["differences"])
            write_text(fresh / "papers" / paper / PROVENANCE, one_line_per_entry(account))
        _write_over_all(fresh, destination, report, pages, metrics)
        if destination.exists():
            shutil.rmtree(destination)
        fresh.replace(destination)
    for other in destination.parent.glob(f"*/{INDEX}"):
        if other.parent != destination:  # it tells what every scale has of a claim
            write_text(other, build_report(spec_in(other), other.parent, published=other.parent))
    return sorted(path for path in destination.rglob("*") if path.is_file())


def _of_the_run(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of the first page without the papers that an earlier run has made."""
    kept = report.get("kept", {})
    papers = [paper for paper in report["papers"] if paper["id"] not in kept]
    return {**{key: value for key, value in report.items() if key != "kept"}, "papers": papers}


def _shown(layout: Layout, paper: str, page: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files that a paper's pages are made of, and what became of each reading."""
    for table in page["paper"]["tables"]:
        made = Path(layout.table(paper, table["id"]))
        yield from (made.with_name(f"{table['id']}{suffix}") for suffix in (".csv", ".md", ".json"))
    for figure in page["paper"]["figures"]:
        yield Path(layout.figure(paper, figure["id"]))
    for judged in (Path(layout.scorecard(paper)), Path(layout.audit(paper))):
        yield from (judged, judged.with_suffix(".csv"))
    yield Path(layout.scorecard(paper)).with_name("readings.csv")
    for reading in page["paper"].get("readings", ()):
        outcome = Path(layout.search(paper, reading["name"]))
        yield from (outcome, outcome.with_suffix(".csv"))


def _copy(source: Path, fresh: Path, files: Iterator[Path]) -> None:
    """Copy files to the same places; of what was judged and audited a claim is a line, as git compares it.

    A picture that is large is one of photographs, and is kept in as many colours as fit a byte.
    """
    for file in files:
        if not file.exists():
            continue
        target = fresh / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = json.loads(file.read_text(encoding="utf-8")) if file.suffix == ".json" else None
        if isinstance(content, list):
            lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in content)
            write_text(target, f"[\n{lines}\n]\n")
        elif content and file.parent.name == "tables":
            write_text(target, one_line_per_entry(_without_origins(content)))
        elif file.suffix == ".png" and file.stat().st_size > LARGE_PICTURE:
            with Image.open(file) as picture:
                picture.convert("RGB").quantize(dither=Image.Dither.NONE).save(target, optimize=True)
        else:
            shutil.copyfile(file, target)


def _without_origins(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table whose numbers say of their origins what its page does: measure, model, commit and machine."""
    for cell in table["cells"]:
        told = set()
        for value in cell.get("values", ()):
            origins = value.pop("sources", ())
            value["sources"] = []
            for origin in origins:
                in_short = {key: entry for key, entry in origin.items() if key not in SPECS}
                place = Path(origin["measurement"]).parent.as_posix()
                of_kind = json.dumps({**in_short, "measurement": place, "weights_sha256": None})
                if of_kind not in told:
                    told.add(of_kind)
                    value["sources"].append(in_short)
    return table


def _write_over_all(
    fresh: Path,
    destination: Path,
    report: Mapping[str, Any],
    pages: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Any],
) -> None:
    """Write the pages, and what stands over all papers that are published.

    Parameters
    ----------
    fresh
        Has ``papers/``, and the pages of papers that were published before.
    destination
        Where ``fresh`` will lie.
    report, pages, metrics
        Of the run.
    """
    index = fresh / INDEX
    before = spec_in(index)["papers"] if index.exists() else []
    listed = {paper["id"]: paper for paper in (*before, *report["papers"])}
    of_papers = {paper: pages.get(paper) or spec_in(fresh / f"{paper}.html") for paper in listed}
    names = [{"id": paper, "title": page["paper"]["title"]} for paper, page in of_papers.items()]
    for paper, page in of_papers.items():
        write_text(fresh / f"{paper}.html", build_page({**page, "papers": names}, fresh, linked=True))
    layout = Layout(str(fresh))
    for name, part in (("scorecard.csv", layout.scorecard), ("audit.csv", layout.audit)):
        files = [Path(part(paper)).with_suffix(".csv") for paper in of_papers]
        write_rows(fresh / name, pd.concat([read_rows(file) for file in files if file.exists()]))
    write_text(fresh / "scorecard.md", scorecard_markdown(fresh / "scorecard.csv"))
    merged = json.loads(path.read_text(encoding="utf-8")) if (path := fresh / METRICS).exists() else {}
    write_text(fresh / METRICS, json.dumps({**merged, **metrics}, indent=1) + "\n")
    write_text(index, build_report(over_all(report, listed.values(), of_papers), fresh, published=destination))

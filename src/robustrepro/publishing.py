"""Bring a scale's outcome to where it is read on the web, with a provenance file."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.canonical import canonical_json
from robustrepro.files import sha256_of, write_text
from robustrepro.layout import Layout
from robustrepro.measurements.store import read_origin
from robustrepro.report import build_page, build_report, spec_in
from robustrepro.scorecard.combined import on_one_line, reading_in_words

COPIED = ("metrics.json", "audit.csv", "scorecard.csv")

DIGITS = 12
"""How many hexadecimal digits of a checksum name something within one file."""

NAMED_BY_MODELS = {"subjects", "targets"}
"""Parts of a measurement's spec about its models: their cards stand in the same file, under ``models``."""


ACCOUNT = ("code", "commit", "device", "processor", "threads", "seconds")
"""What of a measurement's origin is published as it is, where it was recorded."""


def publish(source: Path, destination: Path) -> list[Path]:
    """Replace ``destination`` by the tables, figures, scorecard, report and provenance of a scale.

    The report's pages are written anew from what they were made from, which each of them carries: here they refer to
    the figures beside them instead of carrying them, too.

    Parameters
    ----------
    source
        The scale's folder under ``results/``.
    destination
        Its folder under ``docs/results/``.

    Returns
    -------
    The files written.

    Raises
    ------
    UserError
        If the scale has not run to its end.
    """
    layout = Layout(str(source))
    report = spec_in(Path(layout.report))
    pages = {paper["id"]: spec_in(Path(layout.page(paper["id"]))) for paper in report["papers"]}
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}-") as folder:
        fresh = Path(folder) / "fresh"
        # What lies there but is declared no more is of an earlier run.
        shown = [file for paper, page in pages.items() for file in _shown(layout, paper, page)]
        for file in [*(source / name for name in COPIED), *shown]:
            if file.exists():
                target = fresh / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        write_text(fresh / "index.html", build_report(report, source, published=destination))
        for paper, page in pages.items():
            write_text(fresh / f"{paper}.html", build_page(page, source, linked=True))
        write_text(fresh / "scorecard.md", scorecard_markdown(source / "scorecard.csv"))
        write_text(fresh / "provenance.json", _one_line_per_entry(provenance(source, report["differences"])))
        if destination.exists():
            shutil.rmtree(destination)
        fresh.replace(destination)
    return sorted(path for path in destination.rglob("*") if path.is_file())


def _shown(layout: Layout, paper: str, page: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the files of a paper's tables and figures that its page shows, and what became of each reading."""
    for table in page["paper"]["tables"]:
        made = Path(layout.table(paper, table["id"]))
        yield from (made.with_name(f"{table['id']}{suffix}") for suffix in (".csv", ".md"))
    for figure in page["paper"]["figures"]:
        yield Path(layout.figure(paper, figure["id"]))
    verdicts = Path(layout.scorecard(paper)).with_suffix(".csv")
    yield verdicts.with_name("readings.csv")
    for reading in page["paper"].get("readings", ()):
        outcome = Path(layout.search(paper, reading["name"]))
        yield from (outcome, outcome.with_suffix(".csv"))


def scorecard_markdown(scorecard: Path) -> str:
    """Return the scorecard as Markdown: each claim, both verdicts, what was measured, and what is not the paper's."""
    claims = pd.read_csv(scorecard, dtype=str, keep_default_na=False)
    rows = [
        f"| {claim.paper} | “{on_one_line(claim.says)}” ({on_one_line(claim.where)}) | {_verdict(claim._asdict())} "
        f"| **{claim.audit}** {on_one_line(claim.taken_down_by)} | {_in_lines(claim.measured)} "
        f"| {_in_lines('; '.join(filter(None, (claim.differs, claim.audit_differs))))} |"
        for claim in claims.itertuples()
    ]
    columns = ("paper", "claim", "reproduced?", "survives the audit?", "measured", "not as in the paper")
    header = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*header, *rows]) + "\n"


def _in_lines(text: str) -> str:
    """Return what semicolons separate as lines of a cell."""
    return on_one_line(text).replace("; ", ";<br>")


def _verdict(row: Mapping[str, str]) -> str:
    """Return a claim's verdict with the reading that it is of, and how many were tried."""
    reading = reading_in_words(row)
    return f"**{row['verdict']}** ({reading})" if reading else f"**{row['verdict']}**"


def provenance(source: Path, differences: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return where every number of a scale comes from: each model's card and each measurement's origin.

    What several measurements measure alike stands once, under ``specs``; a measurement names the models that it is of
    as ``name/seed0@sha256``, with the first digits of the weights' checksum.

    Parameters
    ----------
    source
        The scale's folder under ``results/``.
    differences
        What differs from the papers, as the report says it; stands before all else.
    """
    models = {}
    for card in sorted((source / "models").glob("*/*/card.json")):
        models[card.parent.relative_to(source / "models").as_posix()] = json.loads(card.read_text(encoding="utf-8"))
    specs: dict[str, Any] = {}
    measurements = {}
    for file in sorted((source / "measurements").rglob("*.parquet")):
        origin = read_origin(file)
        spec = {key: value for key, value in origin["spec"].items() if key not in NAMED_BY_MODELS}
        name = hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:DIGITS]
        specs[name] = spec
        measurements[file.relative_to(source / "measurements").as_posix()] = {
            **{key: origin[key] for key in ACCOUNT if key in origin},
            "spec": name,
            "models": [
                f"{model['model']}/seed{model['seed']}@{model['weights_sha256'][:DIGITS]}" for model in origin["models"]
            ],
            "sha256": sha256_of(file),
        }
    return {
        "scale": source.name,
        "differences": list(differences),
        "models": models,
        "measurements": measurements,
        "specs": specs,
    }


def _one_line_per_entry(sections: Mapping[str, Any]) -> str:
    """Return JSON that a reader can search and git can compare line by line."""
    parts = []
    for key, value in sections.items():
        if isinstance(value, Mapping):
            lines = ",\n".join(
                f"  {json.dumps(name)}: {canonical_json(entry)}" for name, entry in sorted(value.items())
            )
            parts.append(f" {json.dumps(key)}: {{\n{lines}\n }}")
        elif isinstance(value, list) and value:
            entries = ",\n".join(f"  {canonical_json(entry)}" for entry in value)
            parts.append(f" {json.dumps(key)}: [\n{entries}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {canonical_json(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"

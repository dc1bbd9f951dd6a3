"""The step ``summary``: the verdicts on the claims of all papers of a scale, and every number for ``dvc metrics``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.files import write_text
from robustrepro.layout import Layout
from robustrepro.scorecard.cells import read_tables
from robustrepro.scorecard.rows import read_rows, write_rows
from robustrepro.steps import Work


def run(work: Work) -> None:
    """Put the papers' scorecards, and their audits, below one another, and write the metrics.

    The metrics have, by paper, how many claims have each verdict, the verdict and audit of each claim, and the means of
    each table.

    Parameters
    ----------
    work
        ``spec``: ``folder`` and ``papers``, each with its ``id`` and ``tables``, those that were made; ``outputs``:
        ``scorecard.csv``, ``audit.csv`` and the file of metrics. What they are made of is found by name.
    """
    layout = Layout(work.spec["folder"])
    scorecards, audits, metrics = [], [], {}
    for paper in work.spec["papers"]:
        scorecard = read_rows(Path(layout.scorecard(paper["id"])).with_name("scorecard.csv"))
        tables = read_tables(layout, paper["id"], paper["tables"])
        metrics[paper["id"]] = {
            "verdicts": dict(sorted(Counter(scorecard["verdict"]).items())),
            "claims": scorecard.set_index("claim")[["verdict", "audit"]].to_dict("index"),
            **{name: _means(table) for name, table in tables.items()},
        }
        scorecards.append(scorecard)
        audits.append(read_rows(Path(layout.audit(paper["id"])).with_name("audit.csv")))
    scorecard_path, audit_path, metrics_path = work.outputs
    write_rows(scorecard_path, pd.concat(scorecards))
    write_rows(audit_path, pd.concat(audits))
    write_text(metrics_path, json.dumps(metrics, indent=1) + "\n")


def _means(table: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return {row: {column: mean}} of the measured cells, rounded as the table prints it and one digit more."""
    decimals = {column["key"]: column["decimals"] for column in table["columns"]}
    means: dict[str, dict[str, float]] = {}
    for cell in table["cells"]:
        if cell["status"] == "measured":
            row = means.setdefault(cell["row"], {})
            row[cell["column"]] = round(cell["mean"], decimals[cell["column"]] + 1)
    return means

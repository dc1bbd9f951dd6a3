"""The step ``scorecard``: a verdict on every claim of a paper, with what its audit says beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.files import write_text
from robustrepro.layout import Layout
from robustrepro.scorecard.cells import TableCells, read_tables
from robustrepro.scorecard.judged import Judgement
from robustrepro.scorecard.judging import judge_claim
from robustrepro.scorecard.rows import read_rows, write_rows
from robustrepro.steps import Work
from robustrepro.verdicts import Verdict

COLUMNS = [
    "paper",
    "claim",
    "says",
    "where",
    "scale",
    "verdict",
    "audit",
    "taken_down_by",
    "differs",
    "audit_differs",
    "measured",
    "why",
    "margins",
]


def run(work: Work) -> None:
    """Judge every claim of a paper.

    Writes ``scorecard.json``, the numbers of every comparison for the report, and ``scorecard.csv``, one row per claim
    with the columns ``COLUMNS``.

    Parameters
    ----------
    work
        ``spec``: ``folder``, ``scale``, ``paper``, its ``claims``, each with what ``differs`` from the paper, and
        ``tables``, those that were made; ``outputs``: the two files, in this order. The tables, and the ``audit.csv``
        beside the paper's audit, are found by their names.
    """
    layout, paper = Layout(work.spec["folder"]), work.spec["paper"]
    tables = TableCells.of_tables(read_tables(layout, paper, work.spec["tables"]))
    audited = read_rows(Path(layout.audit(paper)).with_name("audit.csv")).set_index("claim").to_dict("index")
    rows, details = [], []
    for claim in work.spec["claims"]:
        judgement = judge_claim(claim["holds_if"], tables, claim["differs"])
        rows.append({"paper": paper, "scale": work.spec["scale"], **_row(claim, judgement, audited.get(claim["key"]))})
        details.append(
            {
                "paper": paper,
                "claim": claim["key"],
                "differs": claim["differs"],
                "on_the_floor": judgement.on_the_floor,
                "conditions": [asdict(condition) for condition in judgement.conditions],
            }
        )
    details_path, rows_path = work.outputs
    write_text(details_path, json.dumps(details, indent=1, ensure_ascii=False) + "\n")
    write_rows(rows_path, pd.DataFrame(rows, columns=COLUMNS))


def _row(claim: Mapping[str, Any], judgement: Judgement, survival: Mapping[str, str] | None) -> dict[str, str]:
    """Return a claim's row; ``survival`` is the audit's, where the claim rests on an attack."""
    of_audit = survival["differs"].split("; ") if survival else []
    unmeasured = judgement.verdict is Verdict.NOT_MEASURED
    without_audit = Verdict.NOT_MEASURED if unmeasured else Verdict.NOT_APPLICABLE
    return {
        "claim": claim["key"],
        "says": claim["says"],
        "where": claim["where"],
        "verdict": judgement.verdict,
        "audit": survival["verdict"] if survival else without_audit,
        "taken_down_by": survival["taken_down_by"] if survival else "",
        "differs": "; ".join(claim["differs"]),
        "audit_differs": "; ".join(words for words in of_audit if words and words not in claim["differs"]),
        "measured": judgement.measured,
        "why": judgement.why,
        "margins": claim["margins"],
    }

"""The step ``scorecard``: a verdict on every claim of a paper under every reading, with its audit's beside it."""

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
from robustrepro.scorecard.judging import judge_claim
from robustrepro.scorecard.readings import UnderReading, headline, in_words, tried
from robustrepro.scorecard.rows import read_rows, write_rows
from robustrepro.steps import Work
from robustrepro.verdicts import Verdict

VERDICTS = ["verdict", "audit", "taken_down_by", "differs", "audit_differs", "measured", "why"]
"""What both files say of a claim under a reading."""
COLUMNS = ["paper", "claim", "says", "where", "scale", "reading", "tried", "under", *VERDICTS, "margins"]
COLUMNS_OF_READINGS = ["paper", "claim", "reading", *VERDICTS]
PlainData = dict[str, Any]
Audits = Mapping[tuple[str, str], Mapping[str, str]]
"""The rows of an audit, by claim and reading."""


def run(work: Work) -> None:
    """Judge every claim of a paper, under every reading that concerns it.

    Writes ``scorecard.json``, per claim its headline reading and under each reading the numbers of every comparison,
    for the report; ``scorecard.csv``, one row per claim with the columns ``COLUMNS``, whose verdicts are the headline
    reading's; and ``readings.csv``, one row per claim and reading with the columns ``COLUMNS_OF_READINGS``.

    Parameters
    ----------
    work
        ``spec``: ``folder``, ``scale``, ``paper``, its ``claims``, each with its ``readings``, the default first: what
        it ``holds_if`` and what ``differs`` from the paper under each, and the ``choices`` that the reading stands for;
        and ``tables``, those that were made, of every reading; ``outputs``: the three files, in this order. The tables,
        and the ``audit.csv`` beside the paper's audit, are found by their names.
    """
    layout, paper = Layout(work.spec["folder"]), work.spec["paper"]
    tables = TableCells.of_tables(read_tables(layout, paper, work.spec["tables"]))
    audit = read_rows(Path(layout.audit(paper)).with_name("audit.csv"))
    audits: Audits = audit.set_index(["claim", "reading"]).to_dict("index")
    details, rows, rows_of_readings = [], [], []
    for claim in work.spec["claims"]:
        named = {"paper": paper, "claim": claim["key"]}
        judged = {
            reading["reading"]: _judged(reading, tables, audits.get((claim["key"], reading["reading"])))
            for reading in claim["readings"]
        }
        under = [UnderReading(name, entry["verdict"], entry["audit"]) for name, entry in judged.items()]
        best = headline(under).reading
        details.append({**named, "reading": best, "readings": list(judged.values())})
        rows_of_readings += [{**named, **_as_text(entry)} for entry in judged.values()]
        rows.append(
            {
                **named,
                **{key: claim[key] for key in ("says", "where", "margins")},
                "scale": work.spec["scale"],
                "tried": str(tried(under)),
                "under": in_words(under),
                **_as_text(judged[best]),
            }
        )
    details_path, rows_path, readings_path = work.outputs
    write_text(details_path, json.dumps(details, indent=1, ensure_ascii=False) + "\n")
    write_rows(rows_path, pd.DataFrame(rows, columns=COLUMNS))
    write_rows(readings_path, pd.DataFrame(rows_of_readings, columns=COLUMNS_OF_READINGS))


def _judged(reading: Mapping[str, Any], tables: TableCells, audit: Mapping[str, str] | None) -> PlainData:
    """Return what is said of a claim under one reading.

    Parameters
    ----------
    reading
        As the spec has it.
    tables
        The cells of the paper's tables, those of every reading included.
    audit
        The row of the audit; None where the claim rests on no attack under this reading.
    """
    differs = reading["differs"]
    judgement = judge_claim(reading["holds_if"], tables, differs)
    unmeasured = judgement.verdict is Verdict.NOT_MEASURED
    without_audit = Verdict.NOT_MEASURED if unmeasured else Verdict.NOT_APPLICABLE
    of_audit = audit["differs"].split("; ") if audit else []
    return {
        "reading": reading["reading"],
        "choices": reading["choices"],
        "verdict": judgement.verdict,
        "why": judgement.why,
        "audit": Verdict.of_word(audit["verdict"]) if audit else without_audit,
        "taken_down_by": audit["taken_down_by"] if audit else "",
        "differs": differs,
        "audit_differs": [words for words in of_audit if words and words not in differs],
        "measured": judgement.measured,
        "on_the_floor": judgement.on_the_floor,
        "conditions": [asdict(condition) for condition in judgement.conditions],
    }


def _as_text(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of a claim under one reading as a row has it, lists joined by semicolons."""
    said = {key: value for key, value in entry.items() if key in COLUMNS_OF_READINGS}
    return {key: value if isinstance(value, str) else "; ".join(value) for key, value in said.items()}

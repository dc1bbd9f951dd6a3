"""The step ``scorecard``: a verdict on every claim, and every number for ``dvc metrics``."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robustrepro.files import write_text
from robustrepro.scorecard.verdicts import judge_claim

COLUMNS = ("paper", "claim", "says", "where", "verdict", "audit", "taken_down_by", "measured", "why", "margins")


def scorecard_step(spec: dict[str, Any], folder: Path) -> None:
    """Judge every claim and set the audit's verdict beside it.

    Writes ``scorecard.csv``, ``metrics.json`` for DVC and, for the report, the numbers of every comparison to
    ``scorecard.json``.

    Parameters
    ----------
    spec
        The claims and the tables of every paper.
    folder
        The scale's folder, which holds ``papers/{paper}/tables/`` and ``audit.csv``.
    """
    with (folder / "audit.csv").open(encoding="utf-8", newline="") as stream_of_audit:
        audited = {(line["paper"], line["claim"]): line for line in csv.DictReader(stream_of_audit)}
    lines, details = [], []
    metrics: dict[str, Any] = {}
    for declared in spec["papers"]:
        paper, tables = declared["id"], {}
        for table in declared["tables"]:
            path = folder / "papers" / paper / "tables" / f"{table}.json"
            tables[table] = json.loads(path.read_text(encoding="utf-8"))
        verdicts: Counter[str] = Counter()
        for claim in declared["claims"]:
            judged = judge_claim(claim["holds_if"], tables)
            verdicts[judged.verdict] += 1
            survival = audited.get((paper, claim["key"]))
            named = {"paper": paper, "claim": claim["key"]}
            conditions = [asdict(one) for one in judged.conditions]
            details.append({**named, "on_the_floor": judged.on_the_floor, "conditions": conditions})
            lines.append(
                {
                    **named,
                    "says": claim["says"],
                    "where": claim["where"],
                    "verdict": judged.verdict,
                    "audit": survival["verdict"] if survival else _without_audit(judged.verdict),
                    "taken_down_by": survival["taken_down_by"] if survival else "",
                    "measured": judged.measured,
                    "why": judged.why,
                    "margins": claim["margins"],
                }
            )
        metrics[paper] = {"verdicts": dict(sorted(verdicts.items())), **_numbers(tables)}
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(folder / "scorecard.csv", stream.getvalue())
    write_text(folder / "scorecard.json", json.dumps(details, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")


def _without_audit(verdict: str) -> str:
    """Return what is said of a claim that the audit does not hold: it rests on no attack, or was not measured."""
    return verdict if verdict == "not measured" else "not applicable"


def _numbers(tables: dict[str, Any]) -> dict[str, Any]:
    """Return {table: {row: {column: mean}}}, rounded as the table prints it and one digit more."""
    numbers: dict[str, Any] = {}
    for name, table in tables.items():
        for cell in table["cells"]:
            row = numbers.setdefault(name, {}).setdefault(cell["row"], {})
            row[cell["column"]] = round(cell["mean"], table["decimals"] + 1)
    return numbers

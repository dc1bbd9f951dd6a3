"""The step ``audit``: every claim about robustness judged again on the worst case an image."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robustrepro.audit.claims import judge_survival
from robustrepro.audit.worst_case import WorstCase, read_worst_case
from robustrepro.files import write_text
from robustrepro.spec.layout import Layout

COLUMNS = ("paper", "claim", "verdict", "taken_down_by", "measured", "why", "smaller_epsilon", "alarms")


def audit_step(spec: dict[str, Any], folder: Path) -> None:
    """Judge every claim that rests on robustness and write ``audit.csv`` and, for the report, ``audit.json``.

    Parameters
    ----------
    spec
        The claims with the cells that are under attack, the models' seeds, and who attacked whom by transfer.
    folder
        The scale's folder, which holds ``papers/{paper}/tables/``.
    """
    layout = Layout(spec["folder"])
    lines, details = [], []
    for paper in spec["papers"]:
        tables = {
            name: json.loads((folder / "papers" / paper["id"] / "tables" / f"{name}.json").read_text(encoding="utf-8"))
            for name in paper["tables"]
        }
        for claim in paper["claims"]:
            keys = {cell["cell"]: (cell["table"], cell["row"], cell["column"]) for cell in claim["cells"]}
            cells = {
                cell["cell"]: {
                    seed: read_worst_case(cell, layout.worst_case(cell, paper["sources"][cell["model"]], seed), seed)
                    for seed in range(paper["seeds"][cell["model"]])
                }
                for cell in claim["cells"]
            }
            survival = judge_survival(claim["holds_if"], tables, cells, keys)
            named = {"paper": paper["id"], "claim": claim["key"]}
            lines.append(
                {
                    **named,
                    "verdict": survival.verdict,
                    "taken_down_by": str(survival.taken_down or ""),
                    "measured": "; ".join(one.text for one in survival.conditions),
                    "why": survival.why,
                    "smaller_epsilon": "; ".join(map(str, survival.smaller)),
                    "alarms": "; ".join(
                        f"{name}: {', '.join(alarms)}" for name, cases in cells.items() if (alarms := _going_off(cases))
                    ),
                }
            )
            details.append(
                {
                    **named,
                    **asdict(survival),
                    "cells": [_detail(cell, cells[cell["cell"]]) for cell in claim["cells"]],
                }
            )
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(folder / "audit.csv", stream.getvalue())
    write_text(folder / "audit.json", json.dumps(details, indent=1, ensure_ascii=False) + "\n")


def _going_off(cases: Mapping[int, WorstCase]) -> list[str]:
    """Return the alarms that went off for some seed, each with how many."""
    counts: dict[str, int] = {}
    for case in cases.values():
        for alarm in case.alarms:
            counts[alarm["name"]] = counts.get(alarm["name"], 0) + alarm["goes_off"]
    return [f"{name} ({count} of {len(cases)} seeds)" for name, count in counts.items() if count]


def _detail(cell: Mapping[str, Any], cases: Mapping[int, WorstCase]) -> dict[str, Any]:
    """Return a cell's mean accuracy under each attack, in percent, and its alarms, for the report.

    An attack that an alarm added was run on the seeds with that alarm alone: ``only_seeds`` says which.
    """
    attacks = list(dict.fromkeys(name for case in cases.values() for name in case.resisted))
    transfer = [name for name in attacks if name.startswith("transfer from ")]
    shown = [name for name in attacks if name not in transfer]

    def mean(*names: str) -> float:
        """Return the mean over the seeds that any of these attacks was run on; of the worst case without names."""
        tried = [[name for name in names if name in case.resisted] for case in cases.values()]
        values = [case.accuracy(*own) for case, own in zip(cases.values(), tried, strict=True) if own or not names]
        return sum(values) / len(values)

    accuracies = {name: mean(name) for name in shown}
    if transfer:
        accuracies["transfer from every other model"] = mean(*transfer)
    first = next(iter(cases.values()))
    words = {name: said for case in cases.values() for name, said in case.words.items()}
    only = {name: [seed for seed, case in cases.items() if name in case.resisted] for name in shown}
    return {
        "cell": cell["cell"],
        "model": cell["model"],
        "norm": cell["norm"],
        "epsilon": cell["epsilon"],
        "images": first.images,
        "seeds": len(cases),
        "own": first.own,
        "accuracies": accuracies,
        "words": {name: words[name] for name in shown if name in words},
        "only_seeds": {name: seeds for name, seeds in only.items() if len(seeds) < len(cases)},
        "worst_case": mean(),
        "alarms": [{"seed": seed, **alarm} for seed, case in cases.items() for alarm in case.alarms],
    }

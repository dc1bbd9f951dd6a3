"""The step ``audit``: every claim of a paper about robustness judged again on the per-image worst case, per reading."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from robustrepro.audits.claims import Survival, WorstCases, judge_survival
from robustrepro.audits.worst_case import TRANSFER, AttackFiles, Transfers, WorstCase, read_worst_case
from robustrepro.files import write_text
from robustrepro.grammar import Cell, parse_value
from robustrepro.layout import Layout
from robustrepro.scorecard.cells import TableCells, read_tables
from robustrepro.scorecard.rows import write_rows
from robustrepro.steps import Work

COLUMNS = [
    "paper",
    "claim",
    "reading",
    "verdict",
    "taken_down_by",
    "differs",
    "measured",
    "why",
    "smaller_epsilon",
    "alarms",
]


def run(work: Work) -> None:
    """Judge every claim of a paper that rests on robustness, under every reading.

    Writes ``audit.json``, every number for the report, and ``audit.csv``, one row per claim and reading with the
    columns ``COLUMNS``.

    Parameters
    ----------
    work
        ``spec``: ``folder``, ``paper``, its ``claims`` with their ``readings``: what they hold if, their ``cells`` that
        are under attack, the ``values`` that are computed from cells, and what ``differs`` of all that they are audited
        with; ``tables``, those that were made, of every reading, the number of ``seeds`` of each model, and by model
        its ``sources``: the models whose examples were tried on it; ``outputs``: the two files, in this order. Tables
        and measurements are found by their names.
    """
    paper = work.spec["paper"]
    tables = TableCells.of_tables(read_tables(Layout(work.spec["folder"]), paper, work.spec["tables"]))
    rows, details, attacked = [], [], AttackedCells(work.spec)
    for claim in work.spec["claims"]:
        for reading in claim["readings"]:
            worst_cases = {_cell(audited): attacked.worst_cases(audited) for audited in reading["cells"]}
            values = {_cell(value): parse_value(value["value"], value["row"]) for value in reading["values"]}
            survival = judge_survival(reading["holds_if"], tables, worst_cases, reading["differs"], values)
            named = {"paper": paper, "claim": claim["key"], "reading": reading["reading"]}
            rows.append({**named, **_row(survival, worst_cases), "differs": "; ".join(reading["differs"])})
            cells = [_detail(audited, worst_cases[_cell(audited)]) for audited in reading["cells"]]
            details.append({**named, **asdict(survival), "cells": cells})
    details_path, rows_path = work.outputs
    write_text(details_path, json.dumps(details, indent=1, ensure_ascii=False) + "\n")
    write_rows(rows_path, pd.DataFrame(rows, columns=COLUMNS))


def _cell(audited: Mapping[str, Any]) -> Cell:
    return Cell(audited["table"], audited["row"], audited["column"])


class AttackedCells:
    """The cells of a paper that are under attack, each read once: claims and their readings share many.

    Parameters
    ----------
    spec
        The step's.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec, self._layout = spec, Layout(spec["folder"])
        self._transfers = Transfers()
        self._read: dict[Cell, dict[int, WorstCase]] = {}

    def worst_cases(self, audited: Mapping[str, Any]) -> dict[int, WorstCase]:
        """Return the worst case of an audited cell with each of its model's seeds."""
        cell, model = _cell(audited), audited["model"]
        if cell not in self._read:
            sources = self._spec["sources"][model]
            self._read[cell] = {
                seed: read_worst_case(
                    audited, seed, AttackFiles.of(self._layout, audited, sources, seed), self._transfers
                )
                for seed in range(self._spec["seeds"][model])
            }
        return self._read[cell]


def _row(survival: Survival, worst_cases: WorstCases) -> dict[str, str]:
    """Return what the audit says of a claim, in words."""
    alarms = {cell: ", ".join(_going_off(cases)) for cell, cases in worst_cases.items()}
    return {
        "verdict": survival.verdict,
        "taken_down_by": str(survival.taken_down or ""),
        "measured": "; ".join(condition.text for condition in survival.conditions),
        "why": survival.why,
        "smaller_epsilon": "; ".join(map(str, survival.smaller)),
        "alarms": "; ".join(f"{cell}: {named}" for cell, named in alarms.items() if named),
    }


def _going_off(cases: Mapping[int, WorstCase]) -> list[str]:
    """Return the alarms that went off for some seed, each with how many."""
    counts = Counter({alarm["name"]: 0 for case in cases.values() for alarm in case.alarms})
    counts.update(alarm["name"] for case in cases.values() for alarm in case.alarms if alarm["goes_off"])
    return [f"{name} ({count} of {len(cases)} seeds)" for name, count in counts.items() if count]


def _detail(audited: Mapping[str, Any], cases: Mapping[int, WorstCase]) -> dict[str, Any]:
    """Return a cell's mean accuracy under each attack, in percent, and its alarms, for the report.

    An attack that an alarm added was run on the seeds with that alarm alone: ``only_seeds`` says which.
    """
    attacks = list(dict.fromkeys(attack for case in cases.values() for attack in case.resisted))
    transfer = [attack for attack in attacks if attack.startswith(TRANSFER)]
    shown = [attack for attack in attacks if attack not in transfer]
    accuracies = {attack: _mean_accuracy(cases, [attack]) for attack in shown}
    if transfer:
        accuracies["transfer from every other model"] = _mean_accuracy(cases, transfer)
    words = {attack: in_words for case in cases.values() for attack, in_words in case.words.items()}
    seeds = {attack: [seed for seed, case in cases.items() if attack in case.resisted] for attack in shown}
    first = next(iter(cases.values()))
    return {
        **{key: audited[key] for key in ("cell", "model", "norm", "epsilon", "clipped")},
        "images": first.images,
        "seeds": len(cases),
        "own": first.own,
        "accuracies": accuracies,
        "words": {attack: words[attack] for attack in shown if attack in words},
        "only_seeds": {attack: tried for attack, tried in seeds.items() if len(tried) < len(cases)},
        "worst_case": _mean_accuracy(cases, attacks),
        "alarms": [{"seed": seed, **alarm} for seed, case in cases.items() for alarm in case.alarms],
    }


def _mean_accuracy(cases: Mapping[int, WorstCase], attacks: list[str]) -> float:
    """Return what resists these attacks, in percent: the mean over the seeds that any of them was run on."""
    tried = [(case, [attack for attack in attacks if attack in case.resisted]) for case in cases.values()]
    accuracies = [case.accuracy(*run_on_it) for case, run_on_it in tried if run_on_it]
    return sum(accuracies) / len(accuracies)

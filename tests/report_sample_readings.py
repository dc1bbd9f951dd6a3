"""Sample input of the report: a paper with three readings, one claim that has them all and one that has one."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

from report_sample import ASKED, PUBLISHED
from report_sample_claims import NONE, attacked, condition
from report_sample_tables import TABLES

from robustrepro.figures.data import FigureData
from robustrepro.figures.specification_curve import draw
from robustrepro.report import build_page, build_report
from robustrepro.spec.figures import SpecificationCurve

PAPER = "unsaid"
GAIN, CLEAN = "table2[hrm, pgd] >= table2[erm, pgd] + 20", "table2[hrm, clean] >= table2[erm, clean] - 1"
PLAIN = {"loss": "from logits", "step size": "0.01"}
READINGS: list[dict[str, Any]] = [
    {
        "name": "plain",
        "unsaid": "How the cross-entropy is computed.",
        "where": "Section 3.1",
        "why": "Frameworks of today compute it from the logits.",
        "choices": PLAIN,
        "differs": [],
        "searched": "",
    },
    {
        "name": "clipped",
        "unsaid": "How the cross-entropy is computed.",
        "where": "Section 3.1",
        "why": "A widely used framework of the time clipped the probabilities.",
        "choices": PLAIN | {"loss": "clipped probabilities"},
        "differs": [],
        "searched": "",
    },
    {
        "name": "short-steps",
        "unsaid": "The step size of PGD.",
        "where": "Section 5",
        "why": "As many steps of this length reach the edge of the ball, and no more.",
        "choices": PLAIN | {"step size": "ε / steps"},
        "differs": ["steps: 41 instead of 40"],
        "searched": "on 1000 images held out of the training set, the accuracy nearest to the printed one",
    },
]
"""What the sample's paper leaves unsaid."""
UNDER = (
    "reproduced under `clipped`, not reproduced under `plain`, indicative: undecided under `short-steps` "
    "(3 readings tried); does not survive under any"
)
PRINTED = {"hrm, pgd": "56.22%", "erm, pgd": "3.25%", "hrm, clean": "98.54%", "erm, clean": "98.71%"}
_MEASURED = {
    "plain": ("not reproduced", "does not survive", (0.03, 0.0), (98.6, 98.8), "fails"),
    "clipped": ("reproduced", "does not survive", (40.5, 0.3), (98.4, 99.1), "holds"),
    "short-steps": ("indicative: undecided", "indicative: does not survive", (22.1, 2.0), (98.6, 98.8), "crosses"),
}


def _of_reading(text: str, name: str) -> str:
    """Return a condition or a cell with the names that its tables have under a reading."""
    return text if name == "plain" else text.replace("table2[", f"table2@{name}[")


def _gain(name: str, hrm: float, erm: float, outcome: str, **others: Any) -> dict[str, Any]:
    values = {_of_reading(f"table2[{row}, pgd]", name): value for row, value in (("hrm", hrm), ("erm", erm))}
    printed = dict(zip(values, ("56.22%", "3.25%"), strict=True))
    compared = {cell: (value, printed[cell]) for cell, value in values.items()}
    return condition(_of_reading(GAIN, name), outcome, hrm - erm - 20, compared, **others)


def _clean(name: str, hrm: float, erm: float) -> dict[str, Any]:
    cells = {"hrm": (hrm, "98.54%"), "erm": (erm, "98.71%")}
    compared = {_of_reading(f"table2[{row}, clean]", name): both for row, both in cells.items()}
    return condition(
        _of_reading(CLEAN, name), "holds", hrm - erm + 1, compared, interval=[hrm - erm + 0.6, hrm - erm + 1.4]
    )


def _judged(reading: dict[str, Any]) -> dict[str, Any]:
    verdict, audit, pgd, clean, outcome = _MEASURED[reading["name"]]
    conditions = [_gain(reading["name"], *pgd, outcome), _clean(reading["name"], *clean)]
    return {
        "reading": reading["name"],
        "choices": reading["choices"],
        "verdict": verdict,
        "why": f"the first comparison {outcome} with its interval",
        "audit": audit,
        "taken_down_by": "PGD on the margin",
        "differs": reading["differs"],
        "audit_differs": [],
        "measured": "",
        "on_the_floor": False,
        "conditions": conditions,
    }


SCORECARD: list[dict[str, Any]] = [
    {"paper": PAPER, "claim": "gain", "reading": "clipped", "readings": [_judged(reading) for reading in READINGS]},
    {
        "paper": PAPER,
        "claim": "alone",
        "reading": "plain",
        "readings": [
            {
                **_judged(READINGS[0]),
                "conditions": [_clean("plain", 98.6, 98.8)],
                "verdict": "reproduced",
                "audit": "not applicable",
                "taken_down_by": "",
            }
        ],
    },
]
"""The paper's ``scorecard.json``."""
AUDIT: list[dict[str, Any]] = [
    {
        "paper": PAPER,
        "claim": "gain",
        "reading": name,
        "why": f"no image of {name} resists every attack",
        "conditions": [_gain(name, worst, 0.0, "fails"), _clean(name, *clean)],
        "taken_down": {
            "by": "audit: pgd-margin",
            "left": {"verdict": "not reproduced", "why": "", "conditions": [_gain(name, worst, 0.0, "fails")]},
        },
        "smaller": [],
        "cells": [
            attacked(
                _of_reading(f"table2[{row}, pgd]", name),
                f"mnist-lenet5-{row}{'' if name == 'plain' else f'@{name}'}",
                "pgd40",
                {"pgd40": own, "audit: pgd-margin": worst},
                worst,
                NONE,
            )
            for row, own in zip(("hrm", "erm"), pgd, strict=True)
        ],
    }
    for name, worst, pgd, clean in [
        (name, worst, *_MEASURED[name][2:4]) for name, worst in (("plain", 0.0), ("clipped", 0.2), ("short-steps", 1.0))
    ]
]
"""The paper's ``audit.json``."""
ROWS = [
    {
        "paper": PAPER,
        "claim": "gain",
        "says": "It raises accuracy under PGD by fifty points",
        "where": "Table 2",
        "scale": "quick",
        "reading": "clipped",
        "tried": "3",
        "under": UNDER,
        "verdict": "reproduced",
        "audit": "does not survive",
        "why": "every comparison holds",
        "margins": "Half of the printed gain.",
    },
    {
        "paper": PAPER,
        "claim": "alone",
        "says": "Clean accuracy stays what it is",
        "where": "Table 2",
        "scale": "quick",
        "reading": "plain",
        "tried": "1",
        "under": "",
        "verdict": "reproduced",
        "audit": "not applicable",
        "why": "every comparison holds",
        "margins": "A point.",
    },
]
"""The paper's ``scorecard.csv``."""
NEARNESS = {"plain": 34.2, "clipped": 12.34, "short-steps": 28.0}
TABLE: dict[str, Any] = TABLES[0]


def _version(name: str) -> dict[str, Any]:
    """Return the paper's table under a reading."""
    table = copy.deepcopy(TABLE) | {"paper": PAPER, "of": "table2", "reading": name, "differs": []}
    table["id"] = "table2" if name == "plain" else f"table2@{name}"
    table["distance"] = {"mean_absolute_difference": NEARNESS[name], "cells": 9}
    for cell in table["cells"]:
        if cell["column"] == "pgd" and cell["row"] in {"erm", "hrm"}:
            cell["mean"] = _MEASURED[name][2][cell["row"] == "erm"]
            cell["difference"] = cell["mean"] - cell["printed_value"]
    return table


DECLARED: dict[str, Any] = {
    "id": PAPER,
    "title": "A paper that leaves things unsaid",
    "authors": "Anonymous authors",
    "summary": "Claims a gain under an attack, and says neither how its loss is computed nor the step of its attack.",
    "readings": READINGS,
    "departures": [],
    "tables": [
        {"id": "table2", "where": "Table 2", "caption": TABLE["caption"]},
        *(
            {"id": f"table2@{name}", "of": "table2", "reading": name, "where": "Table 2", "caption": TABLE["caption"]}
            for name in ("clipped", "short-steps")
        ),
    ],
    "figures": [{"id": "specification-gain", "where": "Specification curve", "caption": "A gain."}],
}
NAMES = [{"id": PAPER, "title": DECLARED["title"]}]
LISTED = {key: DECLARED[key] for key in ("id", "title", "authors", "tables", "figures")}
PAGE = {**ASKED, "stand_ins": {}, "unverified": [], "differences": [], "paper": DECLARED, "papers": NAMES}
"""What the paper's page is asked to show."""
INDEX = {**PAGE, "scales": ["paper", "reduced", "quick"], "papers": [LISTED]}
"""What the report's first page is asked to show."""


def write_readings(scale_folder: Path, *, curve: bool = True) -> None:
    """Write verdicts, audit, the table under each reading, and the specification curve."""
    folder = scale_folder / "papers" / PAPER
    (folder / "tables").mkdir(parents=True)
    for name in NEARNESS:
        table = _version(name)
        (folder / "tables" / f"{table['id']}.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    with (folder / "scorecard.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*ROWS[0], *PUBLISHED], restval="")
        writer.writeheader()
        writer.writerows(ROWS)
    (folder / "audit.csv").write_text("paper,claim,verdict\n", encoding="utf-8")
    (folder / "scorecard.json").write_text(json.dumps(SCORECARD), encoding="utf-8")
    (folder / "audit.json").write_text(json.dumps(AUDIT), encoding="utf-8")
    if curve:
        (folder / "figures").mkdir()
        spec = {"id": "specification-gain", "paper": PAPER, "folder": str(scale_folder), "scale": "quick"}
        drawn = draw(SpecificationCurve(name="specification_curve", claim="gain"), FigureData(spec))
        drawn.savefig(folder / "figures/specification-gain.png", dpi=160, bbox_inches="tight")


def write_pages_of_readings(scale_folder: Path) -> None:
    """Write the report of the sample."""
    folder = scale_folder / "report"
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text(build_report(INDEX, scale_folder), encoding="utf-8")
    (folder / f"{PAPER}.html").write_text(build_page(PAGE, scale_folder), encoding="utf-8")

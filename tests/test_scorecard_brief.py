"""What became of each paper on one screen, and claim by claim with every comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from robustrepro.errors import UserError
from robustrepro.scorecard.brief import COLUMNS, LINES, brief
from robustrepro.scorecard.combined import combined
from robustrepro.scorecard.sentences import _table, sentences
from robustrepro.scorecard.show import show_sentences

FIELDS = ["paper", "claim", "says", "where", "reading", "tried", "verdict", "audit", "differs", "why"]
GAIN = "table[hrm, pgd] >= table[erm, pgd] + 20"


def condition(outcome: str = "holds", seeds: int = 3, **changed: Any) -> dict[str, Any]:
    compared = [
        {"cell": "table[hrm, pgd]", "value": 55.8345, "printed": "56.22%"},
        {"cell": "table[erm, pgd]", "value": 5.5, "printed": None},
    ]
    judged = {"condition": GAIN, "outcome": outcome, "margin": 30.3, "interval": [20.1, 40.5], "seeds": seeds}
    return {**judged, "compared": compared, "decimals": 2, "unit": "%", "on_the_floor": False, **changed}


def claim(name: str = "gain", verdict: str = "reproduced", **changed: Any) -> dict[str, Any]:
    row = {"claim": name, "says": "HRM gains 20 points.", "where": "Table 2", "reading": "plain", "tried": "1"}
    row |= {
        "verdict": verdict,
        "audit": "survives",
        "differs": "",
        "why": "",
        "conditions": [condition()],
        "down": None,
    }
    return {**row, **changed}


def write(folder: Path, **papers: list[dict[str, Any]]) -> None:
    """Write the files of a scale in which these papers have these claims."""
    for paper, claims in papers.items():
        place = folder / "papers" / paper
        place.mkdir(parents=True)
        judged = [
            {
                "claim": each["claim"],
                "reading": each["reading"],
                "readings": [{"reading": each["reading"], "conditions": each["conditions"]}],
            }
            for each in claims
        ]
        audited = [
            {"claim": each["claim"], "reading": each["reading"], "taken_down": each["down"]}
            | ({"conditions": each["audited"]} if "audited" in each else {})
            for each in claims
            if each["audit"] != "not applicable"
        ]
        (place / "scorecard.json").write_text(json.dumps(judged))
        (place / "audit.json").write_text(json.dumps(audited))
    with (folder / "scorecard.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({"paper": paper, **each} for paper, claims in papers.items() for each in claims)


def test_a_paper_has_what_holds_what_decided_what_differs_and_where_its_report_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken_down = {"by": "audit: autoattack", "left": {"verdict": "not reproduced"}}
    write(
        Path("results/quick"),
        hrm=[
            claim(
                verdict="indicative: holds", differs="epochs: 3 instead of 100 (a, b); dataset: digits instead of mnist"
            ),
            claim("drop", "not reproduced", audit="does not survive", down=taken_down),
            claim("same", "inconclusive", audit="not applicable", conditions=[condition("crosses", seeds=1)]),
            claim("large", "not measured", audit="not measured", conditions=[]),
        ],
    )
    assert brief(Path("results/quick")) == [
        "Scale quick: 4 claims of 1 paper",
        "hrm: 1 of 4 claims hold, 1 do not, 1 undecided, 1 not measured",
        "  decided over 3 seeds (2), one seed (1); audit: 1 of 2 survive; …",
        "  indicative: 1 of 4; dataset: digits instead of mnist (1), …",
        "  results/quick/report/hrm.html",
        "Report: results/quick/report/index.html",
        "Claim by claim: make verdicts PAPER=hrm SCALE=quick",
    ]


def test_an_audit_that_decides_nothing_says_why_and_how_many_images_it_had(tmp_path: Path) -> None:
    worst = [{"cell": "table[hrm, pgd]", "value": 1.0, "printed": None}]
    audited = condition("crosses", condition="table[hrm, pgd] >= 20", compared=worst)
    write(tmp_path / "quick", hrm=[claim(audit="indicative: undecided", audited=[audited])])
    write_table(tmp_path / "quick")
    path = next((tmp_path / "quick").rglob("audit.json"))
    (content,) = json.loads(path.read_text())
    why = "the 95% interval crosses the bound in 1 of 1 comparison; more images would decide; no verdict"
    path.write_text(json.dumps([{**content, "why": why, "cells": [{"images": 1000}]}]))
    assert said(tmp_path)[-2:] == [
        "Audit: it is undecided here: in the worst case over 1,000 images HRM 1.00%.",
        "Undecided, since the 95% interval crosses the bound in 1 of 1 comparison; more images would decide.",
    ]


@pytest.mark.parametrize("papers", [1, 5, 6, 12, 40])
def test_every_number_of_papers_fits_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, papers: int) -> None:
    monkeypatch.chdir(tmp_path)
    differs = "; ".join(f"network.architecture.channels.{place}: 16, 32 instead of 64, 128" for place in range(20))
    claims = [claim(f"claim-{place}", "indicative: holds", differs=differs) for place in range(30)]
    write(Path("results/quick"), **{f"paper_{place}": claims for place in range(papers)})
    lines = brief(Path("results/quick"))
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    assert lines[-2] == "Report: results/quick/report/index.html"
    assert sum(line.startswith("paper_") for line in lines) == min(papers, 19)
    assert ("  results/quick/report/paper_0.html" in lines) == (papers <= 5)
    assert any(line == f"and {papers - 19} papers more, which the report shows" for line in lines) == (papers > 20)


def test_a_scale_that_has_not_run_to_its_end_is_named(tmp_path: Path) -> None:
    write(tmp_path / "quick", hrm=[claim()])
    (tmp_path / "quick/papers/hrm/scorecard.json").unlink()
    with pytest.raises(UserError, match=r"hrm/scorecard\.json: cannot be read"):
        brief(tmp_path / "quick")


def said(folder: Path) -> list[str]:
    """Return the lines about the only claim."""
    (lines,) = sentences(folder, combined(folder, ["paper", "quick"]))
    return lines


def write_table(folder: Path, reading: str = "") -> None:
    """Write what names the cells of ``table[hrm, pgd]`` and ``table[erm, pgd]``."""
    key = f"table@{reading}" if reading else "table"
    content = {
        **{"of": "table", "reading": reading, "where": "Table 2", "row_header": ""},
        "columns": [{"key": "pgd", "label": "ε = 0.3", "group": "PGD"}],
        "rows": [{"key": "hrm", "label": "HRM"}, {"key": "erm", "label": "ERM (Baseline)"}],
    }
    file = folder / f"papers/hrm/tables/{key}.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(content))


def test_a_claim_has_its_bound_what_is_printed_measured_and_decided_and_what_the_audit_says(tmp_path: Path) -> None:
    differs = "epochs: 3 instead of 100 (a, b)"
    worst = [{"cell": "table[hrm, pgd]", "value": 1.0, "printed": None}]
    audited = condition("fails", condition="table[hrm, pgd] >= 20", compared=worst)
    down = {"by": "autoattack", "left": {"verdict": "not reproduced"}}
    audit = "indicative: does not survive"
    gain = claim(
        verdict="indicative: holds", differs=differs, audit=audit, down=down, audited=[condition("holds"), audited]
    )
    write(tmp_path / "quick", hrm=[gain])
    write_table(tmp_path / "quick")
    assert said(tmp_path) == [
        "The paper says “HRM gains 20 points.” (Table 2).",
        "Table 2, PGD, ε = 0.3:",
        "  HRM ≥ ERM (Baseline) + 20: holds, difference 50.30 [40.10, 60.50]",
        "    HRM 55.83% (printed 56.22%), ERM (Baseline) 5.50%",
        "Indicative: holds at scale quick, with epochs: 3 instead of 100.",
        "Audit: it does not survive here, under autoattack: in the worst case HRM 1.00%.",
    ]


@pytest.mark.parametrize(
    ("text", "margin", "interval", "expected"),
    [
        (GAIN, 30.0, (20.0, 40.0), "difference 50.0 [40.0, 60.0], printed 52.9"),
        (
            "table[erm, pgd] <= table[hrm, pgd] - 20",
            30.0,
            (20.0, 40.0),
            "difference -50.0 [-60.0, -40.0], printed -52.9",
        ),
        ("table[hrm, pgd] - table[erm, pgd] >= 20", 30.0, None, "difference 50.0, printed 52.9"),
        ("table[hrm, pgd] >= table[erm, pgd]", 50.0, None, "difference 50.0, printed 52.9"),
        ("table[hrm, pgd] + table[erm, pgd] <= 70", 9.0, (8.0, 10.0), "sum 61.0 [60.0, 62.0], printed 59.5"),
        ("table[hrm, pgd] >= 2 * table[erm, pgd]", 40.0, (30.0, 50.0), "margin 40.0 [30.0, 50.0], printed 49.6"),
    ],
)
def test_a_comparison_says_what_its_printed_numbers_come_to(
    tmp_path: Path, text: str, margin: float, interval: tuple[float, float] | None, expected: str
) -> None:
    compared = [
        {"cell": "table[hrm, pgd]", "value": 56.0, "printed": "56.2%"},
        {"cell": "table[erm, pgd]", "value": 5.0, "printed": "3.3"},
    ]
    measured = condition(condition=text, margin=margin, interval=interval, compared=compared, decimals=1)
    write(tmp_path / "quick", hrm=[claim(audit="not applicable", conditions=[measured])])
    assert said(tmp_path)[2].partition("holds, ")[2] == expected


def test_a_number_beside_a_bound_is_said_in_its_unit(tmp_path: Path) -> None:
    compared = [{"cell": "table[erm, pgd]", "value": 97.01, "printed": None}]
    missed = condition(
        "fails", condition="table[erm, pgd] <= 90", margin=-7.01, interval=(-7.5, -6.5), compared=compared
    )
    write(tmp_path / "quick", hrm=[claim(verdict="not reproduced", audit="not applicable", conditions=[missed])])
    write_table(tmp_path / "quick")
    assert said(tmp_path)[2:] == [
        "  ERM (Baseline) ≤ 90: fails, measured 97.01% [96.50, 97.50]",
        "Not reproduced at scale quick.",
        "Audit: none. It attacks within ℓp balls alone, and no number of this claim is under such an attack.",
    ]


def test_what_no_accuracy_can_reach_is_said_to_be_so(tmp_path: Path) -> None:
    beyond = condition("beyond", bound=112.5, limit=100.0)
    write(tmp_path / "quick", hrm=[claim(verdict="cannot be asked here", conditions=[beyond])])
    write_table(tmp_path / "quick")
    expected = "  HRM ≥ ERM (Baseline) + 20: cannot be asked, it asks for 112.50%, which no accuracy can reach"
    assert said(tmp_path)[2] == expected


def test_every_comparison_of_a_claim_has_a_line_below_what_its_cells_share(tmp_path: Path) -> None:
    conditions = [condition("holds", margin=77.7), *[condition("fails", margin=-1.5, interval=None)] * 4]
    write(tmp_path / "quick", hrm=[claim(verdict="not reproduced", conditions=conditions)])
    write_table(tmp_path / "quick")
    lines = said(tmp_path)
    assert lines.count("Table 2, PGD, ε = 0.3:") == 1
    assert sum(line.startswith("  HRM ≥ ERM (Baseline) + 20: ") for line in lines) == 5
    assert sum(": fails, difference 18.50" in line for line in lines) == 4


def test_a_table_under_a_reading_is_named_with_it_and_without_a_table_its_keys_are(tmp_path: Path) -> None:
    cells = [{"cell": f"table@clipped[{row}, pgd]", "value": 50.0, "printed": None} for row in ("hrm", "erm")]
    text = "table@clipped[hrm, pgd] >= table@clipped[erm, pgd]"
    gain = claim(reading="clipped", tried="6", conditions=[condition(condition=text, compared=cells)])
    write(tmp_path / "quick", hrm=[gain])
    lines = said(tmp_path)
    assert lines[1:3] == ["Table@clipped, pgd:", "  hrm ≥ erm: holds, difference 30.30 [20.10, 40.50]"]
    assert "Reproduced at scale quick, read as clipped, 1 of 6." in lines
    write_table(tmp_path / "quick", "clipped")
    _table.cache_clear()
    assert said(tmp_path)[1] == "Table 2 (clipped), PGD, ε = 0.3:"


def test_a_claim_that_was_not_measured_says_why(tmp_path: Path) -> None:
    write(tmp_path / "quick", hrm=[claim(verdict="not measured", why="table[hrm, pgd] is not measured: left out; x")])
    assert said(tmp_path)[1:] == ["Not measured: table[hrm, pgd] is not measured: left out."]


def test_lines_are_of_the_scale_that_says_most(tmp_path: Path) -> None:
    write(tmp_path / "quick", hrm=[claim(verdict="indicative: holds")])
    write(tmp_path / "paper", hrm=[claim(conditions=[condition(seeds=5, margin=1.25)])])
    lines = said(tmp_path)
    assert "difference 21.25" in lines[2]
    assert "Reproduced at scale paper." in lines


def test_a_paper_begins_with_its_title_what_it_is_about_and_how_many_claims_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    write(tmp_path / "quick", hrm=[claim(says="HRM gains twenty points, " * 8)])
    about = {"title": "Hollow risk", "summary": "It averages over\npairs."}
    show_sentences(tmp_path, combined(tmp_path, ["quick"]), about)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Hollow risk", "It averages over pairs."]
    assert lines[2].startswith("Of 1 claim, 1 was reproduced. Of those that rest on an attack,")
    assert max(map(len, lines)) <= 80
    assert all(line.startswith("  ") for line in lines[lines.index("gain  reproduced  audit: survives") + 1 :])

"""What became of each paper on one screen, and each claim in a sentence."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from robustrepro.errors import UserError
from robustrepro.scorecard.brief import COLUMNS, LINES, brief
from robustrepro.scorecard.combined import combined
from robustrepro.scorecard.sentences import sentences

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
        "Each claim in a sentence: make verdicts PAPER=hrm SCALE=quick",
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
    return sentences(folder, combined(folder, ["paper", "quick"]))


def test_a_claim_is_a_sentence_with_what_is_printed_measured_and_decided(tmp_path: Path) -> None:
    differs = "epochs: 3 instead of 100 (a, b)"
    down = {"by": "autoattack", "left": {"verdict": "not reproduced"}}
    audit = "indicative: does not survive"
    write(tmp_path / "quick", hrm=[claim(verdict="indicative: holds", differs=differs, audit=audit, down=down)])
    assert said(tmp_path) == [
        "gain: The paper says “HRM gains 20 points.” (Table 2); table[hrm, pgd] measured 55.83% (printed 56.22%), "
        "table[erm, pgd] measured 5.50%, 30.30 above the bound [+20.10, +40.50]: indicative: holds at scale quick, "
        "with epochs: 3 instead of 100; audit: does not survive (autoattack)."
    ]


def test_of_several_comparisons_a_sentence_has_those_that_decide(tmp_path: Path) -> None:
    lost = [condition("fails", margin=-1.5, interval=None, decimals=1) for _ in range(4)]
    conditions = [condition("holds", margin=77.7), *lost]
    write(tmp_path / "quick", hrm=[claim(verdict="not reproduced", audit="not applicable", conditions=conditions)])
    (sentence,) = said(tmp_path)
    assert "77.7" not in sentence
    assert sentence.count("1.5 below the bound") == 2
    assert "(and 2 comparisons more alike): not reproduced at scale quick." in sentence


def test_a_claim_that_was_not_measured_says_why(tmp_path: Path) -> None:
    write(tmp_path / "quick", hrm=[claim(verdict="not measured", why="table[hrm, pgd] is not measured: left out; x")])
    assert said(tmp_path)[0].endswith("; not measured (table[hrm, pgd] is not measured: left out).")


def test_a_sentence_is_of_the_scale_that_says_most(tmp_path: Path) -> None:
    write(tmp_path / "quick", hrm=[claim(verdict="indicative: holds")])
    write(tmp_path / "paper", hrm=[claim(conditions=[condition(seeds=5, margin=1.25)])])
    (sentence,) = said(tmp_path)
    assert "1.25 above the bound" in sentence
    assert "reproduced at scale paper" in sentence

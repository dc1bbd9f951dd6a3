"""From tables to verdicts: the interval decides, and what is not the paper's data gives no verdict."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from robustrepro.errors import UserError
from robustrepro.grammar import parse_condition
from robustrepro.scorecard.show import show_scorecard
from robustrepro.scorecard.step import scorecard_step
from robustrepro.scorecard.verdicts import judge_claim, judge_condition
from robustrepro.tables.statistics import Estimate, of_accuracy, of_number

CLAIM = "table2[hrm, pgd] >= table2[erm, pgd] + 20"
IMAGES = 10_000
Tables = dict[str, dict[str, Any]]


def cell(row: str, column: str, values: Sequence[float], estimate: Estimate) -> dict[str, Any]:
    return {
        "row": row,
        "column": column,
        "mean": estimate.mean,
        "interval": estimate.interval,
        "values": [{"seed": seed, "value": value} for seed, value in enumerate(values)],
    }


def tables(**rows: Sequence[float]) -> Tables:
    """Return table2 with the accuracies of each row under PGD, one a seed."""
    cells = [cell(row, "pgd", values, of_accuracy(values, IMAGES)) for row, values in rows.items()]
    return {"table2": {"decimals": 2, "unit": "%", "stand_in": False, "stand_in_note": "", "cells": cells}}


def stand_in(found: Tables) -> Tables:
    return {
        name: {**table, "stand_in": True, "stand_in_note": "digits instead of mnist"} for name, table in found.items()
    }


HOLDS = tables(erm=[3.0, 3.2, 2.9], hrm=[56.0, 57.0, 55.0])
FAILS = tables(erm=[3.0, 3.2, 2.9], hrm=[5.0, 5.2, 4.9])
CROSSES = tables(erm=[3.0, 3.2, 2.9], hrm=[5.0, 56.0, 30.0])


@pytest.mark.parametrize(
    ("found", "outcome", "verdict", "indicative"),
    [
        (HOLDS, "holds", "reproduced", "indicative: holds"),
        (FAILS, "fails", "not reproduced", "indicative: does not"),
        (CROSSES, "crosses", "inconclusive", "indicative: inconclusive"),
    ],
    ids=["holds", "fails", "crosses"],
)
def test_the_place_of_the_whole_interval_is_the_verdict(
    found: Tables, outcome: str, verdict: str, indicative: str
) -> None:
    assert judge_condition(parse_condition(CLAIM), found).outcome == outcome
    assert judge_claim([CLAIM], found).verdict == verdict
    judged = judge_claim([CLAIM], stand_in(found))
    assert judged.verdict == indicative
    assert "digits instead of mnist: no verdict" in judged.why


def test_what_was_measured_stands_beside_what_the_paper_prints() -> None:
    found = tables(hrm=[30.0, 31.0], erm=[5.0, 5.0])
    cells = found["table2"]["cells"]
    next(one for one in cells if one["row"] == "hrm")["printed"] = "56.22%"
    measured = judge_claim(["table2[hrm, pgd] >= table2[erm, pgd] + 20"], found).measured
    assert "table2[hrm, pgd] = 30.50 (printed 56.22%), table2[erm, pgd] = 5.00; margin +5.50" in measured


def test_seeds_are_compared_pair_by_pair() -> None:
    # The seeds lie far apart, and each has the same gain: unpaired intervals would overlap widely.
    erm = [10.0, 40.0, 70.0]
    paired = judge_condition(parse_condition(CLAIM), tables(erm=erm, hrm=[31.0, 61.5, 91.2]))
    assert paired.outcome == "holds"
    assert paired.margin == pytest.approx(3.7 / 3)
    assert paired.interval == pytest.approx(of_number([1.0, 1.5, 1.2]).interval)
    shuffled = judge_condition(parse_condition(CLAIM), tables(erm=erm, hrm=[91.2, 31.0, 61.5]))
    assert shuffled.outcome == "crosses"


def test_only_seeds_that_every_row_has_are_compared() -> None:
    judged = judge_condition(parse_condition(CLAIM), tables(erm=[3.0, 4.0, 90.0], hrm=[56.0, 57.5]))
    assert judged.seeds == 2
    assert judged.margin == pytest.approx(33.25)


def test_one_seed_is_inconclusive_at_best() -> None:
    judged = judge_claim([CLAIM], tables(erm=[3.0], hrm=[56.0]))
    assert judged.verdict == "inconclusive"
    assert "one seed cannot carry a claim about training" in judged.why


def test_one_seed_that_fails_is_not_reproduced() -> None:
    judged = judge_claim([CLAIM], tables(erm=[3.0], hrm=[4.0]))
    assert judged.verdict == "not reproduced"
    assert "over the test images of one seed" in judged.why


@pytest.mark.parametrize("gain", [20.9, 19.1])
def test_one_seed_within_the_images_own_intervals_crosses(gain: float) -> None:
    # Each accuracy near 50% of 10,000 images is known to about one point, and two are compared at their worst.
    assert judge_condition(parse_condition(CLAIM), tables(erm=[40.0], hrm=[40.0 + gain])).outcome == "crosses"
    assert judge_condition(parse_condition(CLAIM), tables(erm=[40.0], hrm=[43.0 + gain])).outcome == "holds"
    assert judge_condition(parse_condition(CLAIM), tables(erm=[40.0], hrm=[37.0 + gain])).outcome == "fails"


def test_the_worst_of_a_subtracted_cell_is_its_upper_end() -> None:
    found = tables(erm=[40.0], hrm=[70.0])
    erm, hrm = (entry["interval"] for entry in found["table2"]["cells"])
    judged = judge_condition(parse_condition("table2[hrm, pgd] >= 2 * table2[erm, pgd] - 5"), found)
    assert judged.margin == pytest.approx(-5)
    assert judged.interval == pytest.approx((hrm[0] - 2 * erm[1] + 5, hrm[1] - 2 * erm[0] + 5))


def test_distances_of_one_seed_are_inconclusive() -> None:
    def distances(*values: float) -> Tables:
        cells = [cell("8", "near", values, of_number(values)), cell("8", "far", values, of_number(values))]
        cells[1]["values"] = [{"seed": seed, "value": 3 * value} for seed, value in enumerate(values)]
        return {"table1": {"decimals": 3, "unit": "", "stand_in": False, "stand_in_note": "", "cells": cells}}

    condition = "table1[8, far] >= 2 * table1[8, near]"
    judged = judge_claim([condition], distances(1.0))
    assert judged.verdict == "inconclusive"
    assert "crosses" in judged.why
    assert judge_claim([condition], distances(1.0, 1.1, 0.9)).verdict == "reproduced"


def test_a_margin_of_exactly_zero_holds() -> None:
    assert judge_claim([CLAIM], tables(erm=[10.0, 20.0], hrm=[30.0, 40.0])).verdict == "reproduced"


def test_all_conditions_must_hold() -> None:
    modest = "table2[hrm, pgd] >= table2[erm, pgd]"
    assert judge_claim([modest, CLAIM], HOLDS).verdict == "reproduced"
    judged = judge_claim([modest, CLAIM], FAILS)
    assert judged.verdict == "not reproduced"
    assert "1 of 2 comparisons fails" in judged.why
    assert judge_claim([modest, "table2[hrm, pgd] >= 56"], HOLDS).verdict == "inconclusive"
    assert judge_claim(["table2[hrm, pgd] >= 56", "table2[hrm, pgd] <= 1"], HOLDS).verdict == "not reproduced"


def test_what_was_measured_is_said_with_its_interval() -> None:
    judged = judge_claim([CLAIM], HOLDS)
    assert judged.measured == (
        f"{CLAIM}: table2[hrm, pgd] = 56.00, table2[erm, pgd] = 3.03; margin +32.97 [95%: +30.85, +35.08]"
    )
    assert judged.why == "every comparison holds with its whole 95% interval over 3 seeds"


def test_accuracies_next_to_nothing_are_said_to_decide_nothing_but_that() -> None:
    said = "below 5%: no model here is robust, and which of them is more so cannot be told"
    assert said in judge_claim([CLAIM], tables(erm=[0.1, 0.0, 0.2], hrm=[1.8, 1.2, 4.0])).why
    assert said in judge_claim(["table2[hrm, pgd] >= table2[erm, pgd]"], tables(erm=[0.1, 0.5], hrm=[0.2, 0.4])).why
    assert "below" not in judge_claim([CLAIM], FAILS).why  # one model is at 5.03%
    # What fails here is no accuracy next to nothing, though another condition compares some.
    nothing = tables(erm=[0.1, 0.0, 0.2], hrm=[1.8, 1.2, 4.0], clean=[90.0, 90.1, 90.2])
    assert "below" not in judge_claim([CLAIM, "table2[clean, pgd] >= 95"], nothing).why
    distances = {"table2": {**tables(erm=[0.1, 0.2], hrm=[0.1, 0.2])["table2"], "unit": ""}}
    assert "below" not in judge_claim([CLAIM], distances).why


def test_a_table_that_was_not_made_is_not_measured() -> None:
    judged = judge_claim([CLAIM, "table9[a, b] >= 0"], HOLDS)
    assert judged.verdict == "not measured"
    assert "table9" in judged.why
    assert "table2" not in judged.why


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    """A scale's folder with the scorecard of one paper: one claim reproduced, one not measured."""
    folder = tmp_path / "quick"
    path = folder / "papers/hrm/tables/table2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(HOLDS["table2"]))
    (folder / "audit.csv").write_text("paper,claim,verdict,taken_down_by\nhrm,gain,does not survive,margin: 3.00\n")
    claims = [
        {"key": "gain", "says": "HRM is better.", "where": "Table 2", "holds_if": [CLAIM], "margins": "20"},
        {"key": "other", "says": "A, B", "where": "Table 9", "holds_if": ["table9[a, b] >= 0"], "margins": "none"},
        {"key": "clean", "says": "C", "where": "Table 2", "holds_if": ["table2[hrm, pgd] >= 1"], "margins": "none"},
    ]
    spec = {"scale": "quick", "papers": [{"id": "hrm", "claims": claims, "tables": ["table2"]}]}
    scorecard_step(spec, folder)
    return folder


def test_the_scorecard_has_a_line_a_claim_and_the_metrics_every_number(scale: Path) -> None:
    with (scale / "scorecard.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    shown = ("paper", "claim", "verdict", "audit", "taken_down_by")
    assert [tuple(line[column] for column in shown) for line in lines] == [
        ("hrm", "gain", "reproduced", "does not survive", "margin: 3.00"),
        ("hrm", "other", "not measured", "not measured", ""),
        ("hrm", "clean", "reproduced", "not applicable", ""),
    ]
    assert (lines[0]["says"], lines[0]["where"], lines[0]["margins"]) == ("HRM is better.", "Table 2", "20")
    assert lines[0]["measured"].startswith(CLAIM)
    gain, other, _ = json.loads((scale / "scorecard.json").read_text())
    (condition,) = gain["conditions"]
    assert (gain["paper"], gain["claim"], other["conditions"]) == ("hrm", "gain", [])
    assert not gain["on_the_floor"]
    assert (condition["condition"], condition["outcome"], condition["unit"]) == (CLAIM, "holds", "%")
    assert [one["cell"] for one in condition["compared"]] == ["table2[hrm, pgd]", "table2[erm, pgd]"]
    metrics = json.loads((scale / "metrics.json").read_text())
    assert metrics == {
        "hrm": {
            "verdicts": {"not measured": 1, "reproduced": 2},
            "table2": {"erm": {"pgd": 3.033}, "hrm": {"pgd": 56.0}},
        }
    }


def test_the_scorecard_is_shown_with_the_path_of_the_report(
    scale: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    show_scorecard(scale)
    shown = capsys.readouterr().out
    assert "Scorecard, scale quick" in shown
    for claim, verdict in (("gain", "reproduced"), ("other", "not measured")):
        assert any(claim in line and verdict in line for line in shown.splitlines())
    assert f"Report: {scale / 'report/index.html'}\n" in shown


def test_a_scale_that_did_not_run_has_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"scorecard\.csv: there is no such file; `make reproduce SCALE=paper` makes it"
    ):
        show_scorecard(tmp_path / "paper")

"""Files that the report cannot read, or that contradict each other, are named with what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_sample import SPEC, write_pages, write_sample

from robustrepro.errors import UserError
from robustrepro.report import build_report


def _replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Return what replaces a text of a file where it stands first."""

    def spoil(folder: Path) -> None:
        path = folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    return spoil


_spoil_scorecard = _replaced("papers/hamming/scorecard.csv", ",reproduced,", ",reproducd,")
_spoil_verdict_of_the_audit = _replaced("papers/hamming/scorecard.csv", ",survives,", ",survive,")


_spoil_audit = _replaced("papers/hrm/audit.json", '"worst_case": 3.4', '"worst_case": "low"')
_spoil_comparison = _replaced("papers/hamming/scorecard.json", '"outcome": "crosses"', '"outcome": "cross"')


_drop_a_column_of_the_scorecard = _replaced("papers/hamming/scorecard.csv", "margins", "bounds")


def _drop_the_comparisons(folder: Path) -> None:
    (folder / "papers/hrm/scorecard.json").unlink()


_forget_an_audited_claim = _replaced("papers/hamming/scorecard.csv", ",verified,", ",certified,")


def _spoil_table(folder: Path) -> None:
    path = folder / "papers/hrm/tables/table2.json"
    table = json.loads(path.read_text("utf-8"))
    table["columns"][1]["decimals"] = "many"
    path.write_text(json.dumps(table), "utf-8")


_spoil_status = _replaced("papers/hrm/tables/table2.json", '"status": "measured"', '"status": "not measured"')


def _forget_a_judged_claim(folder: Path) -> None:
    path = folder / "papers/hamming/scorecard.json"
    entries = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps([entry for entry in entries if entry["claim"] != "cheap"]), "utf-8")


def _empty_the_scorecard(folder: Path) -> None:
    (folder / "papers/hrm/scorecard.csv").write_text("", "utf-8")


def _write_the_scorecard_in_latin_1(folder: Path) -> None:
    (folder / "papers/hrm/scorecard.csv").write_text("claim\né", "latin-1")


def _spoil_figure(folder: Path) -> None:
    (folder / "papers/hrm/figures/figure2.png").write_text("not an image", "utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_spoil_scorecard, "'all-adversaries' in .*scorecard.csv: 'reproducd'; did you mean 'reproduced'"),
        (
            _spoil_verdict_of_the_audit,
            "audit of the claim 'all-adversaries' in .*scorecard.csv: 'survive'; did you mean",
        ),
        (_spoil_audit, 'audit.json: 0.cells.0.worst_case: .*number.*found "low"'),
        (
            _spoil_comparison,
            "2.readings.0.conditions.0.outcome: .*'holds', 'fails', 'crosses' or 'beyond'.*found \"cross\"",
        ),
        (_drop_a_column_of_the_scorecard, "scorecard.csv: no column 'margins'"),
        (_drop_the_comparisons, "scorecard.json: missing beside scorecard.csv"),
        (_forget_an_audited_claim, "scorecard.json: the claim 'verified' is not in scorecard.csv"),
        (_forget_a_judged_claim, "scorecard.json: the claim 'cheap' of scorecard.csv is missing"),
        (_empty_the_scorecard, "hrm/scorecard.csv: no column 'audit'"),
        (_write_the_scorecard_in_latin_1, "hrm/scorecard.csv: not a CSV file .*utf-8"),
        (_spoil_status, "table2.json: cells.0: .*status is 'not measured', but mean is 98.9"),
        (_spoil_table, 'table2.json: columns.1.decimals: .*integer.*found "many"'),
        (_spoil_figure, "figure2.png: not a PNG image"),
    ],
)
def test_a_spoilt_file_is_named_with_what_was_found(spoil: Any, message: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "quick")
    spoil(tmp_path / "quick")
    with pytest.raises(UserError) as raised:
        write_pages(tmp_path / "quick")
    assert re.search(message, str(raised.value))


def test_a_spoilt_scorecard_stops_the_first_page_as_well(tmp_path: Path) -> None:
    write_sample(tmp_path / "quick")
    _spoil_scorecard(tmp_path / "quick")
    with pytest.raises(UserError, match=r"hamming/scorecard\.csv: 'reproducd'; did you mean"):
        build_report(SPEC, tmp_path / "quick")

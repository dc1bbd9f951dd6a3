"""What the report says of numbers, and of files that it cannot read."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from report_sample import SPEC, write_sample

from robustrepro.errors import UserError
from robustrepro.report import build_report
from robustrepro.report.content import Cell
from robustrepro.report.presentation import difference_step, distinct_specs, number, signed


def test_paper_data_alone_gives_no_banner_and_no_scorecard_says_so(tmp_path: Path) -> None:
    spec = deepcopy(SPEC) | {"stand_ins": {}, "unverified": [], "instead": []}
    html = build_report(spec, tmp_path)
    assert 'class="banner' not in html
    assert "Claims: not measured." in html


def test_a_claim_says_why_its_bounds_are_what_they_are(tmp_path: Path) -> None:
    write_sample(tmp_path)
    html = build_report(SPEC, tmp_path)
    assert "Bounds, fixed beforehand: Half of what hrm-raises-pgd-accuracy prints." in html


@pytest.mark.parametrize(
    ("difference", "printed", "unit", "step"),
    [
        (0.99, 50, "%", "same"),
        (-1.0, 50, "%", "below1"),
        (20.0, 50, "%", "above3"),
        (0.3, 2.0, "", "above2"),
        (-0.3, -2.0, "", "below2"),
        (0.1, 0.0, "", "above3"),
        (0.0, 0.0, "", "same"),
    ],
)
def test_difference_is_coloured_by_points_or_relative_to_the_printed(
    difference: float, printed: float, unit: str, step: str
) -> None:
    assert difference_step(Cell(row="a", column="b", printed_value=printed, difference=difference), unit) == step


def test_numbers_have_a_true_minus_and_no_signed_zero() -> None:
    assert number(-1.234, 2) == "−1.23"
    assert number(float("inf"), 2) == "∞"
    assert [signed(value, 1) for value in (-0.04, 0.04, 0.06, 10.0, -10.0)] == ["0.0", "0.0", "+0.1", "+10.0", "−10.0"]


def test_specs_that_differ_only_in_the_seed_are_listed_once() -> None:
    def value(seed: int, epochs: int) -> dict[str, Any]:
        source = {
            "model": "m",
            "weights_sha256": "0",
            "measurement": "p",
            "training_spec": {"seed": seed, "epochs": epochs},
        }
        return {"seed": seed, "sources": [source]}

    same = Cell.model_validate({"row": "a", "column": "b", "values": [value(0, 5), value(1, 5)]})
    assert distinct_specs(same, "training_spec") == [("m", [("epochs", "5")])]
    differing = Cell.model_validate({"row": "a", "column": "b", "values": [value(0, 5), value(1, 6)]})
    assert len(distinct_specs(differing, "training_spec")) == 2


def _spoil_scorecard(folder: Path) -> None:
    path = folder / "scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",reproduced,", ",reproducd,"), "utf-8")


def _spoil_verdict_of_the_audit(folder: Path) -> None:
    path = folder / "scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",survives,", ",survive,"), "utf-8")


def _spoil_audit(folder: Path) -> None:
    path = folder / "audit.json"
    path.write_text(path.read_text("utf-8").replace('"worst_case": 3.4', '"worst_case": "low"'), "utf-8")


def _drop_a_column_of_the_audit(folder: Path) -> None:
    path = folder / "audit.csv"
    path.write_text(path.read_text("utf-8").replace("smaller_epsilon", "smaller"), "utf-8")


def _drop_the_audits_lines(folder: Path) -> None:
    (folder / "audit.csv").unlink()


def _forget_an_audited_claim(folder: Path) -> None:
    path = folder / "scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",verified,", ",certified,"), "utf-8")


def _spoil_table(folder: Path) -> None:
    path = folder / "papers/hrm/tables/table2.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"decimals": "many"}), "utf-8")


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
        (_drop_a_column_of_the_audit, "audit.csv: no column 'smaller_epsilon'"),
        (_drop_the_audits_lines, "audit.csv: missing beside audit.json"),
        (_forget_an_audited_claim, "audit.json: the claim 'verified' of hamming is not in .*scorecard.csv"),
        (_spoil_table, 'table2.json: decimals: .*integer.*found "many"'),
        (_spoil_figure, "figure2.png: not a PNG image"),
    ],
)
def test_a_spoilt_file_is_named_with_what_was_found(spoil: Any, message: str, tmp_path: Path) -> None:
    write_sample(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError) as raised:
        build_report(SPEC, tmp_path)
    assert re.search(message, str(raised.value))

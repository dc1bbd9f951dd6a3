"""What changed between two results: numbers beyond their spread, verdicts by claim, and how they are shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from comparison_cases import number, write_results
from scipy.stats import ttest_ind

from robustrepro.comparison.changes import CellChange, Comparison, compare
from robustrepro.comparison.export import as_csv, as_json
from robustrepro.comparison.results import Number
from robustrepro.comparison.show import show_comparison
from robustrepro.comparison.sources import Side, side_of
from robustrepro.comparison.spread import spread_of_difference
from robustrepro.errors import UserError
from robustrepro.grammar import Cell
from robustrepro.tables.statistics import accuracy_interval

CELL = Cell("table2", "hrm", "pgd")


def changed(before: Number | None, after: Number | None) -> CellChange:
    return CellChange("quick", "small", CELL, before, after)


# -- beyond the spread -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [[40.0, 44.0], [55.0, 55.0, 55.1], [57.0, 52.0, 61.0, 58.0]])
def test_over_seeds_the_interval_of_a_difference_is_welchs(after: Sequence[float]) -> None:
    before = [56.0, 57.5, 55.0]
    expected = ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    found = spread_of_difference(number(before), number(after))
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.over == "seeds"


def test_two_seeds_a_side_are_marked_by_chance_as_seldom_as_more() -> None:
    generator = np.random.default_rng(0)
    for spreads in ((1.0, 1.0), (1.0, 4.0)):
        marked = 0
        for _ in range(1500):
            before, after = (number(generator.normal(50, spread, 2), None) for spread in spreads)
            marked += changed(before, after).outcome == "beyond"
        assert 0.005 < marked / 1500 < 0.07


def test_one_seed_beside_several_is_held_against_their_spread() -> None:
    generator = np.random.default_rng(0)
    for several in (2, 3, 5):
        sides = [
            (number(generator.normal(50, 1, several), None), number([generator.normal(50, 1)])) for _ in range(1500)
        ]
        marked = sum(changed(*pair).outcome == "beyond" for pair in sides)
        assert 0.035 < marked / 1500 < 0.065
        assert changed(*sides[0]).interval == pytest.approx([-end for end in changed(*sides[0][::-1]).interval[::-1]])


def test_with_one_seed_a_side_only_the_images_can_tell() -> None:
    change = changed(number([80.0], 100), number([95.0], 100))
    assert (change.outcome, change.over) == ("beyond", "images")


def test_with_one_seed_the_interval_comes_from_the_images() -> None:
    before, after = number([80.0], 100), number([90.0], 100)
    low, high = accuracy_interval(80.0, 100)
    lower, upper = accuracy_interval(90.0, 100)
    expected = 10 - np.hypot(90 - lower, high - 80), 10 + np.hypot(upper - 90, 80 - low)
    assert spread_of_difference(before, after).interval == pytest.approx(expected)
    assert spread_of_difference(after, before).interval == pytest.approx((-expected[1], -expected[0]))


def test_seeds_that_all_come_to_zero_are_as_far_off_as_their_images_tell() -> None:
    nothing = number([0.0, 0.0, 0.0], 100)
    assert changed(nothing, number([1.0], 100)).outcome == "within"
    assert changed(nothing, number([9.0], 100)).outcome == "beyond"


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (number([56.0, 57.0, 55.0]), number([56.0, 57.0, 55.0]), "same"),
        (number([56.0, 57.0, 55.0]), number([56.001, 57.0, 55.0]), "same"),  # both are printed as 56.00
        (number([56.0, 57.0, 55.0]), number([56.5, 57.0, 55.0]), "within"),
        (number([56.0, 57.0, 55.0]), number([36.0, 37.0, 35.0]), "beyond"),
        (number([5.0], None), number([5.5], None), "unknown"),
        (None, number([5.0]), "appeared"),
        (number([5.0]), None, "gone"),
        (None, None, "same"),
    ],
)
def test_a_cell_changes_within_or_beyond_its_spread(before: Number | None, after: Number | None, outcome: str) -> None:
    assert changed(before, after).outcome == outcome


# -- two results -----------------------------------------------------------------------------------------------


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """HRM's gain shrinks until it is no longer 20 points; ERM stays, and CEM is measured now."""
    before = write_results(tmp_path / "a/quick", erm=[3.0, 3.2, 2.9], hrm=[56.0, 57.0, 55.0], cem=None)
    after = write_results(tmp_path / "b/quick", erm=[3.0, 3.2, 2.9], hrm=[5.0, 5.2, 4.9], cem=[30.0, 31.0])
    return compare(side_of(str(before)), side_of(str(after)))


def test_cells_are_compared_one_by_one(comparison: Comparison) -> None:
    assert {cell.cell.row: cell.outcome for cell in comparison.cells} == {
        "erm": "same",
        "hrm": "beyond",
        "cem": "appeared",
    }
    (hrm,) = (cell for cell in comparison.cells if cell.cell.row == "hrm")
    assert hrm.difference == pytest.approx(-50.967, abs=1e-3)


def test_a_claim_says_what_each_side_measured(comparison: Comparison) -> None:
    (claim,) = comparison.claims
    assert claim.is_changed
    assert (claim.before.verdict, claim.after.verdict) == ("reproduced", "not reproduced")
    (measured,) = claim.before.comparisons.values()
    assert measured.startswith(
        "table2[hrm, pgd] = 56.00, table2[erm, pgd] = 3.03; difference 52.97, at least 20 needed: margin +32.97 [95%: "
    )


def test_only_what_changed_is_shown_unless_all_is_asked_for(
    comparison: Comparison, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    show_comparison(comparison)
    shown = capsys.readouterr().out
    assert "Verdicts: 1 of 1 claim changed" in shown
    assert "verdict: reproduced → not reproduced" in shown
    assert "before: table2[hrm, pgd] = 56.00" in shown
    assert "after: table2[hrm, pgd] = 5.03" in shown
    assert "Tables: 2 of 3 numbers changed, 1 beyond the seeds' spread" in shown
    lines = {line.split(",")[0]: line.split() for line in shown.splitlines()}
    assert lines["hrm"][2:9] == ["56.00", "±", "1.00", "5.03", "±", "0.15", "-50.97"]
    assert lines["hrm"][-1] == "*"
    assert lines["cem"][2:] == ["–", "30.50", "±", "0.71"]
    assert "erm" not in lines
    show_comparison(comparison, everything=True)
    assert "\nerm, pgd" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seeds", "in_short", "mark", "legend"),
    [
        (
            1,
            ", none beyond the seeds' spread, 1 beyond that of the test images, with one seed",
            "(*)",
            "(*) beyond what",
        ),
        (2, ", 1 beyond the seeds' spread", "*", "* beyond the seeds' spread: "),
    ],
)
def test_what_is_beyond_is_said_to_be_so_over_seeds_or_images(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    seeds: int,
    in_short: str,
    mark: str,
    legend: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    folders = [
        str(write_results(tmp_path / side / "quick", erm=[3.0, 3.2][:seeds], hrm=hrm[:seeds]))
        for side, hrm in (("a", [56.0, 57.0]), ("b", [76.0, 77.5]))
    ]
    show_comparison(compare(*map(side_of, folders)))
    shown = capsys.readouterr().out.splitlines()
    assert any(line.endswith(f"Tables: 1 of 2 numbers changed{in_short}") for line in shown)
    assert any(line.startswith("hrm, pgd") and line.rstrip().endswith(f" {mark}") for line in shown)
    assert any(line.startswith(legend) for line in shown)


def test_nothing_is_said_of_results_that_are_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write_results(tmp_path / "quick", erm=[3.0, 3.2], hrm=[56.0, 57.0]))
    show_comparison(compare(side_of(folder), side_of(folder)))
    assert capsys.readouterr().out.split("\n\n")[1:] == [
        "Settings that differ: not known, since one side does not record its settings",
        "Verdicts: none of 1 claim changed",
        "Tables: none of 2 numbers changed\n",
    ]


def test_json_and_csv_have_the_same_numbers(comparison: Comparison) -> None:
    content = json.loads(as_json(comparison))
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert [claim["after"]["verdict"] for claim in content["claims"]] == ["not reproduced"]
    for cell, row in zip(content["cells"], rows, strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in cell.items()}
    assert [(row["row"], row["outcome"]) for row in rows] == [("hrm", "beyond"), ("cem", "appeared")]
    assert len(json.loads(as_json(comparison, everything=True))["cells"]) == 3


def test_papers_and_scales_of_one_side_alone_are_named_and_not_compared(tmp_path: Path) -> None:
    for side, scale, paper in (("a", "quick", "small"), ("b", "quick", "small"), ("b", "quick", "other")):
        write_results(tmp_path / side / scale, paper, erm=[3.0], hrm=[56.0])
    write_results(tmp_path / "a/paper", erm=[3.0], hrm=[56.0])
    compared = compare(side_of(str(tmp_path / "a")), side_of(str(tmp_path / "b")))
    assert (compared.only_before, compared.only_after) == (["scale paper"], ["other at scale quick"])
    assert {(cell.scale, cell.paper) for cell in compared.cells} == {("quick", "small")}


def test_folders_of_two_scales_are_compared_and_sides_without_a_common_one_refused(tmp_path: Path) -> None:
    quick = side_of(str(write_results(tmp_path / "a/quick", erm=[3.0], hrm=[56.0])))
    paper = side_of(str(write_results(tmp_path / "b/paper", erm=[3.0], hrm=[56.0])))
    assert {cell.scale for cell in compare(quick, paper).cells} == {"quick → paper"}
    with pytest.raises(UserError, match=r"there is no scale on both sides: .*a has quick; .*b has paper$"):
        compare(side_of(str(tmp_path / "a")), side_of(str(tmp_path / "b")))
    with pytest.raises(UserError, match=r"^unknown scale in .*quick: 'papr' \(known: quick\)"):
        compare(quick, paper, "papr")


def test_a_file_of_another_version_is_named() -> None:
    old = Side("old", {"quick": {"papers/small/scorecard.json": '[{"claim": "gain"}]'}})
    with pytest.raises(UserError, match=r"^old: papers/small/scorecard.json is not what this version writes"):
        compare(old, old)

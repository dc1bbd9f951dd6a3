"""From tables to verdicts: the interval decides, and what is not the paper's data gives no verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from scorecard_cases import (
    CLAIM,
    CROSSES,
    FAILS,
    HOLDS,
    IMAGES,
    Tables,
    cell,
    column,
    judge_paper,
    rows_of,
    table_of,
    tables,
)

from robustrepro.errors import UserError
from robustrepro.grammar import parse_condition
from robustrepro.scorecard import summary
from robustrepro.scorecard.cells import TableCells
from robustrepro.scorecard.judged import Judged, Judgement
from robustrepro.scorecard.judging import judge_claim, judge_condition
from robustrepro.scorecard.show import show_scorecard
from robustrepro.steps import Work
from robustrepro.tables.statistics import accuracy_interval, interval_of_mean, over_seeds, seeds_to_decide
from robustrepro.verdicts import Verdict


def cell_of(made: Tables, row: str) -> dict[str, Any]:
    """Return the cell of a row of table2, to change."""
    return next(cell for cell in made["table2"]["cells"] if cell["row"] == row)


def claim_on(made: Tables, *conditions: str, differs: Sequence[str] = ()) -> Judgement:
    return judge_claim(conditions or [CLAIM], TableCells.of_tables(made), differs)


def interval_within(margins: Sequence[float], bounds: tuple[float, float]) -> tuple[float, float] | None:
    """Return the interval of the mean of margins that lie between bounds."""
    return over_seeds(margins, bounds).interval


def condition_on(made: Tables, condition: str = CLAIM) -> Judged:
    return judge_condition(parse_condition(condition), TableCells.of_tables(made))


@pytest.mark.parametrize(
    ("made", "outcome", "verdict", "indicative"),
    [
        (HOLDS, "holds", "reproduced", "indicative: holds"),
        (FAILS, "fails", "not reproduced", "indicative: does not hold"),
        (CROSSES, "crosses", "inconclusive", "indicative: undecided"),
    ],
    ids=["holds", "fails", "crosses"],
)
def test_the_place_of_the_whole_interval_is_the_verdict(
    made: Tables, outcome: str, verdict: str, indicative: str
) -> None:
    assert condition_on(made).outcome == outcome
    assert claim_on(made).verdict == verdict
    judged = claim_on(made, differs=["epochs: 12 instead of 100"])
    assert judged.verdict == indicative
    assert judged.why.endswith("; no verdict, because something differs from the paper")


def test_what_was_measured_stands_beside_what_the_paper_prints() -> None:
    made = tables(hrm=[30.0, 31.0], erm=[5.0, 5.0])
    cell_of(made, "hrm")["printed"] = "56.22%"
    measured = claim_on(made, "table2[hrm, pgd] >= table2[erm, pgd] + 20").measured
    assert "table2[hrm, pgd] = 30.50 (printed 56.22%), table2[erm, pgd] = 5.00; difference 25.50, " in measured


def test_seeds_are_compared_pair_by_pair() -> None:
    # The seeds lie far apart, and each has the same gain: unpaired intervals would overlap widely.
    erm = [10.0, 40.0, 70.0]
    paired = condition_on(tables(erm=erm, hrm=[31.0, 61.5, 91.2]))
    assert paired.outcome == "holds"
    assert paired.margin == pytest.approx(3.7 / 3)
    assert paired.interval == pytest.approx(interval_within([1.0, 1.5, 1.2], (-120.0, 80.0)))
    assert condition_on(tables(erm=erm, hrm=[91.2, 31.0, 61.5])).outcome == "crosses"


def test_seeds_are_paired_by_their_number_and_not_by_their_place() -> None:
    made = tables(erm=[10.0, 40.0, 70.0], hrm=[31.0, 61.5, 91.2])
    cell_of(made, "hrm")["values"].reverse()
    assert condition_on(made) == condition_on(tables(erm=[10.0, 40.0, 70.0], hrm=[31.0, 61.5, 91.2]))


def test_only_seeds_that_every_row_has_are_compared() -> None:
    judged = condition_on(tables(erm=[3.0, 4.0, 90.0], hrm=[56.0, 57.5]))
    assert judged.seeds == 2
    assert judged.margin == pytest.approx(33.25)


def test_margin_and_interval_are_of_the_same_seed_where_only_one_is_common() -> None:
    # The mean over ERM's three seeds is 20 points away from its first.
    judged = condition_on(tables(erm=[3.0, 33.0, 33.0], hrm=[56.0]))
    assert (judged.seeds, judged.margin) == (1, 33.0)
    hrm, erm = (accuracy_interval(value, IMAGES) for value in (56.0, 3.0))
    assert judged.interval == pytest.approx((hrm[0] - erm[1] - 20, hrm[1] - erm[0] - 20))
    assert [number.value for number in judged.compared] == [56.0, 3.0]


def test_the_numbers_shown_are_of_the_seeds_compared_and_give_the_margin() -> None:
    judged = condition_on(tables(erm=[3.0, 4.0, 90.0], hrm=[56.0, 57.5]))
    hrm, erm = (number.value for number in judged.compared)
    assert (hrm, erm) == (56.75, 3.5)
    assert hrm - erm - 20 == pytest.approx(judged.margin)


def test_the_interval_of_a_margin_of_accuracies_stays_where_accuracies_can_be() -> None:
    judged = condition_on(tables(erm=[3.0, 0.5], hrm=[60.0, 99.0]))
    assert over_seeds([37.0, 78.5]).interval[1] > 80  # type: ignore[index]
    assert -120 < (judged.interval or (0, 0))[0] < (judged.interval or (0, 0))[1] < 80


def test_a_number_that_is_no_accuracy_has_students_interval_whatever_its_unit() -> None:
    made = tables(erm=[3.0, 0.5], hrm=[60.0, 99.0])
    made["table2"]["columns"] = [column("pgd", accuracy=False)]
    assert condition_on(made).interval == pytest.approx(over_seeds([37.0, 78.5]).interval)


def test_an_interval_that_crosses_says_how_many_seeds_would_decide() -> None:
    judged = claim_on(CROSSES)
    (condition,) = judged.conditions
    needed = seeds_to_decide(condition.margin, stdev([-18.0, 32.8, 7.1]), 3, (-120.0, 80.0))
    assert condition.seeds_to_decide == needed
    assert f"at this mean and spread {needed} seeds would decide" in judged.why
    even = claim_on(tables(erm=[30.0, 30.0, 30.0], hrm=[40.0, 60.0, 50.001]))
    assert "it would take more than 1,000 seeds" in even.why
    assert "one seed does not tell how many would decide" in claim_on(tables(erm=[40.0], hrm=[60.5])).why
    assert claim_on(HOLDS).conditions[0].seeds_to_decide is None


def test_a_bound_that_no_accuracy_can_meet_cannot_be_asked() -> None:
    made = tables(erm=[92.2, 92.3, 92.19], hrm=[93.0, 93.1, 93.2])
    judged = claim_on(made)
    assert judged.verdict == "cannot be asked here"
    assert judged.conditions[0].outcome == "beyond"
    assert judged.conditions[0].bound == pytest.approx(112.23)
    assert judged.why == f"'{CLAIM}' asks for 112.23%, which no accuracy can reach: the limit is 100.00%"
    below = claim_on(tables(erm=[1.1, 1.11], hrm=[0.5, 0.6]), "table2[hrm, pgd] <= table2[erm, pgd] - 2")
    assert below.verdict == "cannot be asked here"
    assert "asks for -0.89%" in below.why


def test_the_bound_is_the_side_that_adds_a_number() -> None:
    made = tables(erm=[92.2, 92.3], hrm=[93.0, 93.1])
    turned = claim_on(made, "table2[erm, pgd] + 20 <= table2[hrm, pgd]")
    assert turned.verdict == "cannot be asked here"
    # The same number of points below a bound that can be met is an ordinary failure.
    assert claim_on(tables(erm=[60.0, 60.1], hrm=[61.0, 61.2])).verdict == "not reproduced"
    assert claim_on(tables(erm=[5.0, 5.1], hrm=[4.0, 4.1])).verdict == "not reproduced"


def test_a_difference_that_is_asked_for_is_a_bound_as_well() -> None:
    made = tables(erm=[92.2, 92.3], hrm=[93.0, 93.1])
    assert claim_on(made, "table2[hrm, pgd] - table2[erm, pgd] >= 20").verdict == "cannot be asked here"
    fits = tables(erm=[50.0, 50.1], hrm=[60.0, 60.1])
    assert claim_on(fits, "table2[hrm, pgd] - table2[erm, pgd] >= 20").verdict == "not reproduced"
    assert claim_on(fits, "0 - table2[hrm, pgd] >= 0 - 70").verdict == "reproduced"


def test_a_bound_is_out_of_reach_with_its_whole_interval_or_not_at_all() -> None:
    # ERM's mean would ask for 100.5%, but its seeds are far apart; one seed's images leave it open as well.
    assert claim_on(tables(erm=[62.0, 99.0], hrm=[99.0, 99.5])).verdict == "inconclusive"
    assert claim_on(tables(erm=[80.05], hrm=[99.9])).verdict == "inconclusive"


@pytest.mark.parametrize("gain", [0.5, 5, 10, 15, 20])
def test_a_margin_of_exactly_zero_is_not_below_it_whatever_floats_make_of_it(gain: float) -> None:
    made = tables(erm=[50.0, 40.0], hrm=[50.0 + gain, 40.0 + gain])
    assert condition_on(made, f"table2[hrm, pgd] >= table2[erm, pgd] + {gain}").outcome != "fails"
    assert interval_of_mean(gain, 0.0, 2, (-100.0, 100.0)) == (gain, gain)


def test_seeds_that_agree_by_chance_leave_the_interval_of_their_images() -> None:
    judged = condition_on(tables(erm=[30.0, 31.0], hrm=[49.5, 50.5]))
    hrm, erm = (accuracy_interval(value, IMAGES) for value in (49.5, 30.0))
    assert judged.interval == pytest.approx((hrm[0] - erm[1] - 20, hrm[1] - erm[0] - 20))
    assert judged.outcome == "crosses"
    why = claim_on(tables(erm=[30.0, 31.0], hrm=[49.5, 50.5])).why
    assert "over the test images of one seed (all seeds agree) crosses the bound in 1 of 1 comparison" in why
    assert why.endswith("; more test images would decide, more seeds would not")


def test_models_that_are_all_broken_lead_nobody() -> None:
    order = "table2[hrm, pgd] >= table2[erm, pgd]"
    leading = claim_on(tables(erm=[0.0, 0.01, 0.0], hrm=[0.2, 0.22, 0.21]), order)
    assert leading.verdict == "inconclusive"
    assert FLOOR in leading.why
    assert claim_on(tables(erm=[0.0, 0.0, 0.0], hrm=[0.0, 0.0, 0.0]), order).verdict == "inconclusive"
    # That one model is broken may well be the claim.
    assert claim_on(tables(erm=[0.1, 0.2, 0.1]), "table2[erm, pgd] <= 4").verdict == "reproduced"


def test_few_seeds_near_a_bound_leave_a_clear_lead_clear() -> None:
    assert claim_on(tables(erm=[0.0, 0.0], hrm=[99.9, 99.0])).verdict == "reproduced"
    assert claim_on(tables(hrm=[98.5, 99.9]), "table2[hrm, pgd] >= 50").verdict == "reproduced"


def test_the_seeds_that_are_said_are_those_of_the_comparison_that_decides() -> None:
    made = tables(erm=[3.0], cem=[10.0, 10.1, 10.2], hrm=[90.0, 90.1, 90.2])
    failing = claim_on(made, CLAIM, "table2[cem, pgd] >= 50")
    assert failing.why == "1 of 2 comparisons fails: the whole 95% interval over 3 seeds misses the bound"


def test_of_several_that_cross_the_one_that_needs_most_seeds_is_said() -> None:
    made = tables(erm=[30.0, 31.0, 29.0], cem=[51.0, 58.0, 44.0], hrm=[52.0, 66.0, 45.0])
    both = claim_on(made, "table2[cem, pgd] >= table2[erm, pgd] + 20", CLAIM)
    needed = [condition.seeds_to_decide or 0 for condition in both.conditions]
    assert needed[0] != needed[1]
    assert f"{max(needed):,} seeds would decide" in both.why
    assert (
        "one seed does not tell how many would decide"
        in claim_on({**made, **tables(erm=[30.0], hrm=[50.0], cem=[50.0])}, CLAIM).why
    )


def test_cells_without_a_seed_in_common_are_not_compared() -> None:
    made = tables(erm=[3.0], hrm=[56.0])
    cell_of(made, "hrm")["values"][0]["seed"] = 1
    judged = claim_on(made)
    assert judged == Judgement(Verdict.NOT_MEASURED, f"'{CLAIM}' compares cells that have no seed in common")


def test_a_bound_of_another_kind_of_number_may_be_anything() -> None:
    made = tables(erm=[92.2, 92.3], hrm=[93.0, 93.1])
    made["table2"]["columns"] = [column("pgd", accuracy=False)]
    assert claim_on(made).verdict == "not reproduced"


def test_a_comparison_that_fails_decides_whatever_cannot_be_asked() -> None:
    made = tables(erm=[92.2, 92.3], hrm=[93.0, 93.1])
    assert claim_on(made, CLAIM, "table2[hrm, pgd] <= 50").verdict == "not reproduced"
    assert claim_on(made, CLAIM, "table2[hrm, pgd] >= 50").verdict == "cannot be asked here"


def test_a_cell_that_stands_on_both_sides_counts_on_both() -> None:
    judged = condition_on(tables(erm=[30.0, 40.0]), "3 * table2[erm, pgd] >= table2[erm, pgd] + 20")
    assert judged.margin == pytest.approx(50.0)
    assert [number.cell for number in judged.compared] == ["table2[erm, pgd]"]


def test_a_value_that_is_no_number_decides_nothing_and_drops_no_seed() -> None:
    made = tables(erm=[3.0, 3.2, 3.1], hrm=[56.0, 57.0, 55.0])
    cell_of(made, "erm")["values"][1]["value"] = float("nan")
    judged = condition_on(made)
    assert (judged.seeds, judged.outcome) == (3, "crosses")


def test_one_seed_is_inconclusive_at_best() -> None:
    judged = claim_on(tables(erm=[3.0], hrm=[56.0]))
    assert judged.verdict == "inconclusive"
    assert "one seed is not enough for a claim about training" in judged.why


def test_given_weights_have_one_seed_and_images_decide() -> None:
    made = tables(erm=[3.0], hrm=[56.0])
    for row in ("erm", "hrm"):
        cell_of(made, row)["given"] = True
    assert claim_on(made).verdict == "reproduced"
    cell_of(made, "hrm")["given"] = False
    assert claim_on(made).verdict == "inconclusive"


def test_given_weights_whose_interval_crosses_would_be_decided_by_more_images() -> None:
    made = tables(erm=[30.0], hrm=[50.5])
    for row in ("erm", "hrm"):
        cell_of(made, row)["given"] = True
    judged = claim_on(made)
    assert judged.verdict == "inconclusive"
    assert "more test images would decide" in judged.why


def test_one_seed_that_fails_is_not_reproduced() -> None:
    judged = claim_on(tables(erm=[3.0], hrm=[4.0]))
    assert judged.verdict == "not reproduced"
    assert "over the test images of one seed" in judged.why


@pytest.mark.parametrize("gain", [20.9, 19.1])
def test_one_seed_within_the_images_own_intervals_crosses(gain: float) -> None:
    # Each accuracy near 50% of 10,000 images is known to about one point, and two are compared at their worst.
    assert condition_on(tables(erm=[40.0], hrm=[40.0 + gain])).outcome == "crosses"
    assert condition_on(tables(erm=[40.0], hrm=[43.0 + gain])).outcome == "holds"
    assert condition_on(tables(erm=[40.0], hrm=[37.0 + gain])).outcome == "fails"


def test_the_worst_of_a_subtracted_cell_is_its_upper_end() -> None:
    made = tables(erm=[40.0], hrm=[70.0])
    erm, hrm = (cell_of(made, row)["values"][0]["interval"] for row in ("erm", "hrm"))
    judged = condition_on(made, "table2[hrm, pgd] >= 2 * table2[erm, pgd] - 5")
    assert judged.margin == pytest.approx(-5)
    assert judged.interval == pytest.approx((hrm[0] - 2 * erm[1] + 5, hrm[1] - 2 * erm[0] + 5))


def test_distances_of_one_seed_are_inconclusive() -> None:
    def distances(*values: float) -> Tables:
        cells = [cell("8", "near", values), cell("8", "far", [3 * value for value in values])]
        return {"table1": table_of(cells, *(column(key, unit="", accuracy=False) for key in ("near", "far")))}

    condition = "table1[8, far] >= 2 * table1[8, near]"
    judged = claim_on(distances(1.0), condition)
    assert judged.verdict == "inconclusive"
    assert "crosses" in judged.why
    assert claim_on(distances(1.0, 1.1, 0.9), condition).verdict == "reproduced"


def test_a_margin_of_exactly_zero_holds() -> None:
    made = tables(erm=[10.0, 20.0], hrm=[30.0, 40.0])
    made["table2"]["columns"] = [column("pgd", accuracy=False)]
    assert claim_on(made).verdict == "reproduced"


def test_all_conditions_must_hold() -> None:
    modest = "table2[hrm, pgd] >= table2[erm, pgd]"
    assert claim_on(HOLDS, modest, CLAIM).verdict == "reproduced"
    judged = claim_on(FAILS, modest, CLAIM)
    assert judged.verdict == "not reproduced"
    assert "1 of 2 comparisons fails" in judged.why
    assert claim_on(HOLDS, modest, "table2[hrm, pgd] >= 56").verdict == "inconclusive"
    assert claim_on(HOLDS, "table2[hrm, pgd] >= 56", "table2[hrm, pgd] <= 1").verdict == "not reproduced"


def test_what_was_measured_is_said_with_its_interval() -> None:
    judged = claim_on(HOLDS)
    assert judged.measured == (
        f"{CLAIM}: table2[hrm, pgd] = 56.00, table2[erm, pgd] = 3.03; "
        "difference 52.97, at least 20 needed: margin +32.97 [95%: +30.85, +35.05]"
    )
    assert judged.why == "every comparison holds: the whole 95% interval over 3 seeds meets the bound"


def test_a_comparison_has_the_unit_of_its_columns_and_the_decimals_of_the_finest() -> None:
    values = [0.5, 0.6]
    cells = [cell("erm", key, values) for key in ("coarse", "fine")]
    columns = [column(key, unit=" s", decimals=digits) for key, digits in (("coarse", 1), ("fine", 4))]
    judged = condition_on({"table2": table_of(cells, *columns)}, "table2[erm, coarse] >= table2[erm, fine]")
    assert (judged.unit, judged.decimals) == (" s", 4)
    assert "table2[erm, coarse] = 0.5500" in judged.text


FLOOR = "below 5%: no model here is robust, so none can be called more robust than another"


def test_accuracies_next_to_nothing_are_said_to_decide_nothing_but_that() -> None:
    assert FLOOR in claim_on(tables(erm=[0.1, 0.0, 0.2], hrm=[1.8, 1.2, 4.0])).why
    assert FLOOR in claim_on(tables(erm=[0.1, 0.5], hrm=[0.2, 0.4]), "table2[hrm, pgd] >= table2[erm, pgd]").why
    assert "below" not in claim_on(FAILS).why  # one model is at 5.03%
    # What fails here is no accuracy next to nothing, though another condition compares some.
    nothing = tables(erm=[0.1, 0.0, 0.2], hrm=[1.8, 1.2, 4.0], clean=[90.0, 90.1, 90.2])
    assert "below" not in claim_on(nothing, CLAIM, "table2[clean, pgd] >= 95").why


def test_a_small_percentage_that_is_no_accuracy_has_no_floor() -> None:
    made = tables(erm=[0.1, 0.2], hrm=[0.1, 0.2])
    assert FLOOR in claim_on(made).why
    made["table2"]["columns"] = [column("pgd", accuracy=False)]
    assert "below" not in claim_on(made).why


def test_a_table_that_was_not_made_is_not_measured() -> None:
    judged = claim_on(HOLDS, CLAIM, "table9[a, b] >= 0")
    assert judged == Judgement(Verdict.NOT_MEASURED, "table9 was not made at this scale")


def test_a_cell_that_was_not_measured_is_named_with_the_reason() -> None:
    made = tables(erm=[3.0, 3.2], hrm=[56.0, 57.0], cem=[40.0, 41.0])
    empty: dict[str, Any] = {"values": []}
    cell_of(made, "hrm").update(empty, status="not measured", why="the model hrm was left out")
    judged = claim_on(made, CLAIM)
    assert judged == Judgement(Verdict.NOT_MEASURED, "table2[hrm, pgd] is not measured: the model hrm was left out")
    assert claim_on(made, "table2[cem, pgd] >= table2[erm, pgd] + 20").verdict == "reproduced"


def test_a_cell_that_only_the_paper_has_is_not_measured() -> None:
    made = tables(erm=[3.0, 3.2])
    made["table2"]["cells"].append(
        {"row": "hrm", "column": "pgd", "status": "published only", "printed": "56.22%", "printed_value": 56.22}
    )
    assert claim_on(made) == Judgement(Verdict.NOT_MEASURED, "table2[hrm, pgd] is published only")


# -- the steps -----------------------------------------------------------------------------------------------

DIFFERS = ["epochs: 12 instead of 100", "data: digits instead of mnist"]
CLAIMS = [
    {
        "key": key,
        "says": says,
        "where": where,
        "margins": margins,
        "readings": [{"reading": "", "holds_if": [condition], "differs": differs, "choices": {}}],
    }
    for key, says, where, condition, margins, differs in (
        ("gain", "HRM is better.", "Table 2", CLAIM, "20", []),
        ("other", "A, B", "Table 9", "table9[a, b] >= 0", "None", []),
        ("clean", "C", "Table 2", "table2[hrm, pgd] >= 1", "NA", DIFFERS),
    )
]


def test_a_papers_scorecard_has_a_row_per_claim_and_the_numbers_of_each(tmp_path: Path) -> None:
    judge_paper(
        tmp_path, "hrm", HOLDS, "hrm,gain,,does not survive,margin: 3.00,audit.examples: 5 instead of 9,\n", CLAIMS
    )
    rows = rows_of(tmp_path / "papers/hrm/scorecard.csv")
    shown = ("paper", "claim", "verdict", "audit", "taken_down_by", "margins")
    assert [tuple(row[field] for field in shown) for row in rows] == [
        ("hrm", "gain", "reproduced", "does not survive", "margin: 3.00", "20"),
        ("hrm", "other", "not measured", "not measured", "", "None"),
        ("hrm", "clean", "indicative: holds", "not applicable", "", "NA"),
    ]
    assert [row["differs"] for row in rows] == ["", "", "; ".join(DIFFERS)]
    assert [row["audit_differs"] for row in rows] == ["audit.examples: 5 instead of 9", "", ""]
    assert {row["scale"] for row in rows} == {"quick"}
    assert (rows[0]["says"], rows[0]["where"]) == ("HRM is better.", "Table 2")
    assert rows[0]["measured"].startswith(CLAIM)
    details = json.loads((tmp_path / "papers/hrm/scorecard.json").read_text())
    assert [(claim["paper"], claim["claim"], claim["reading"]) for claim in details] == [
        ("hrm", key, "") for key in ("gain", "other", "clean")
    ]
    (gain,), (other,), (clean,) = (claim["readings"] for claim in details)
    (condition,) = gain["conditions"]
    assert other["conditions"] == []
    assert not gain["on_the_floor"]
    assert (gain["differs"], clean["differs"]) == ([], DIFFERS)
    assert (condition["condition"], condition["outcome"], condition["unit"]) == (CLAIM, "holds", "%")
    assert [number["cell"] for number in condition["compared"]] == ["table2[hrm, pgd]", "table2[erm, pgd]"]


def test_a_papers_scorecard_is_the_same_whatever_lies_beside_it(tmp_path: Path) -> None:
    judge_paper(tmp_path / "alone", "hrm", HOLDS, "hrm,gain,,survives,,,\n", CLAIMS)
    judge_paper(tmp_path / "beside", "other", FAILS, "other,gain,,does not survive,margin: 3.00,,\n", CLAIMS)
    for broken in (tmp_path / "beside/papers/other").rglob("*.*"):
        broken.write_text("not what it should be")
    judge_paper(tmp_path / "beside", "hrm", HOLDS, "hrm,gain,,survives,,,\n", CLAIMS)
    for name in ("scorecard.csv", "scorecard.json", "readings.csv"):
        alone, beside = (tmp_path / folder / "papers/hrm" / name for folder in ("alone", "beside"))
        assert alone.read_bytes() == beside.read_bytes()


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    """A scale's folder with the summary of two papers, of which the second has a number that was not measured."""
    folder = tmp_path / "quick"
    judge_paper(folder, "hrm", HOLDS, "hrm,gain,,does not survive,margin: 3.00,,NA\n", CLAIMS)
    unmeasured = {"row": "cem", "column": "pgd", "status": "not measured", "why": "cem was left out", "mean": None}
    made = tables(erm=[3.0, 3.2], hrm=[4.0, 4.2])
    made["table2"]["cells"].append(unmeasured)
    judge_paper(folder, "another", made, "", CLAIMS)
    papers = [{"id": "hrm", "tables": ["table2"]}, {"id": "another", "tables": ["table2"]}]
    outputs = [folder / "scorecard.csv", folder / "audit.csv", tmp_path / "metrics/quick.json"]
    summary.run(Work({"folder": str(folder), "scale": "quick", "papers": papers}, "", {}, outputs))
    return folder


def test_the_summary_has_the_rows_of_all_papers_in_their_order_and_every_verdict_and_number(scale: Path) -> None:
    for name in ("scorecard.csv", "audit.csv"):
        own = [(scale / "papers" / paper / name).read_text() for paper in ("hrm", "another")]
        assert (scale / name).read_text() == own[0] + own[1].partition("\n")[2]
    assert [row["paper"] for row in rows_of(scale / "scorecard.csv")] == ["hrm"] * 3 + ["another"] * 3
    assert [row["why"] for row in rows_of(scale / "audit.csv")] == ["NA"]
    assert json.loads((scale.parent / "metrics/quick.json").read_text()) == {
        "hrm": {
            "verdicts": {"indicative: holds": 1, "not measured": 1, "reproduced": 1},
            "claims": {
                "gain": {"verdict": "reproduced", "audit": "does not survive"},
                "other": {"verdict": "not measured", "audit": "not measured"},
                "clean": {"verdict": "indicative: holds", "audit": "not applicable"},
            },
            "table2": {"erm": {"pgd": 3.033}, "hrm": {"pgd": 56.0}},
        },
        "another": {
            "verdicts": {"indicative: holds": 1, "not measured": 1, "not reproduced": 1},
            "claims": {
                "gain": {"verdict": "not reproduced", "audit": "not applicable"},
                "other": {"verdict": "not measured", "audit": "not measured"},
                "clean": {"verdict": "indicative: holds", "audit": "not applicable"},
            },
            "table2": {"erm": {"pgd": 3.1}, "hrm": {"pgd": 4.1}},
        },
    }


def test_the_scorecard_is_shown_with_the_path_of_the_report(
    scale: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    show_scorecard(scale)
    shown = capsys.readouterr().out
    assert "Scorecard, scale quick" in shown
    lines = [line.split() for line in shown.splitlines()]
    for paper, claim, verdict in (("hrm", "gain", ["reproduced"]), ("another", "other", ["not", "measured"])):
        below = lines[lines.index([paper]) :]
        assert any(line[: 1 + len(verdict)] == [claim, *verdict] for line in below)
    assert f"Report: {scale / 'report/index.html'}\n" in shown


def test_a_scale_that_did_not_run_has_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"scorecard\.csv: there is no such file; `make reproduce SCALE=paper` makes it"
    ):
        show_scorecard(tmp_path / "paper")

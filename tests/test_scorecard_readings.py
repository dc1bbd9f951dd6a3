"""A claim under several readings: which one is the headline, what is said of the others, and what the step writes."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scorecard_cases import AUDIT, CLAIM, FAILS, HOLDS, cell, column, judge_paper, rows_of, table_of

from robustrepro.scorecard import summary
from robustrepro.scorecard.readings import UnderReading, headline, in_words, tried
from robustrepro.steps import Work
from robustrepro.verdicts import OF_AUDITS, OF_CLAIMS, Verdict

NO_ATTACK = "not applicable"


def under(reading: str, verdict: str, audit: str = NO_ATTACK) -> UnderReading:
    return UnderReading(reading, Verdict.of_word(verdict), Verdict.of_word(audit))


def readings_with(*verdicts: tuple[str, str] | str) -> list[UnderReading]:
    """Return readings called a, b, c, ... with these verdicts, or verdicts and audits."""
    pairs = [(each, NO_ATTACK) if isinstance(each, str) else each for each in verdicts]
    return [under("abcdefgh"[place], *pair) for place, pair in enumerate(pairs)]


# -- the headline --------------------------------------------------------------------------------------------

FAVOUR_OF_VERDICTS = [
    "reproduced",
    "indicative: holds",
    "inconclusive",
    "indicative: undecided",
    "not reproduced",
    "indicative: does not hold",
    "cannot be asked here",
    "not measured",
]
FAVOUR_OF_AUDITS = [
    "survives",
    "indicative: survives",
    "inconclusive",
    "indicative: undecided",
    "vacuous",
    "indicative: vacuous",
    "does not survive",
    "indicative: does not survive",
    "cannot be asked here",
    "not measured",
    "not applicable",
]


def test_every_verdict_has_its_place_in_the_order_of_favour() -> None:
    assert sorted(OF_CLAIMS, key=lambda verdict: verdict.favour) == FAVOUR_OF_VERDICTS
    assert sorted(OF_AUDITS, key=lambda verdict: verdict.favour) == FAVOUR_OF_AUDITS
    assert len({verdict.favour for verdict in Verdict}) == len(Verdict)


@pytest.mark.parametrize(("better", "worse"), list(pairwise(FAVOUR_OF_VERDICTS)))
def test_the_headline_has_the_verdict_most_favourable_to_the_paper_whatever_the_audit_says(
    better: str, worse: str
) -> None:
    readings = readings_with((worse, "survives"), (better, "does not survive"), (worse, "survives"))
    assert headline(readings).reading == "b"


@pytest.mark.parametrize(("better", "worse"), list(pairwise(FAVOUR_OF_AUDITS)))
def test_of_equal_verdicts_the_headlines_audit_is_the_most_favourable(better: str, worse: str) -> None:
    readings = readings_with(("reproduced", worse), ("reproduced", worse), ("reproduced", better))
    assert headline(readings).reading == "c"


def test_of_equal_readings_the_default_is_the_headline_and_then_the_one_declared_first() -> None:
    same = ("not reproduced", "does not survive")
    assert headline(readings_with(same, same, same)).reading == "a"
    assert headline(readings_with("not measured", same, same)).reading == "b"


# -- the sentence --------------------------------------------------------------------------------------------


def test_a_claim_of_one_reading_has_nothing_to_say_of_others() -> None:
    assert in_words([under("", "reproduced", "survives")]) == ""
    assert tried([under("", "not measured")]) == 1


def test_two_readings_are_told_with_the_one_that_favours_the_paper_first() -> None:
    readings = [
        under("plain", "not reproduced", "does not survive"),
        under("clipped", "reproduced", "does not survive"),
    ]
    assert in_words(readings) == (
        "reproduced under `clipped`, not reproduced under `plain` (2 readings tried); "
        "does not survive under `clipped`, already fails under `plain`"
    )
    assert tried(readings) == 2


@pytest.mark.parametrize(
    ("verdicts", "sentence"),
    [
        (["reproduced", "reproduced"], "reproduced under each of 2 readings"),
        (["not reproduced", "not reproduced"], "not reproduced under either of 2 readings"),
        (["not reproduced"] * 3, "not reproduced under any of 3 readings"),
        (["inconclusive"] * 3, "inconclusive under each of 3 readings"),
        (["cannot be asked here"] * 8, "cannot be asked here under any of 8 readings"),
        (["indicative: does not hold"] * 3, "indicative: does not hold under any of 3 readings"),
        (["indicative: holds"] * 8, "indicative: holds under each of 8 readings"),
        (["not measured"] * 2, "not measured under either of 2 readings"),
        (["not measured"] * 3, "not measured under any of 3 readings"),
    ],
)
def test_what_is_said_under_all_readings_is_said_once(verdicts: list[str], sentence: str) -> None:
    assert in_words(readings_with(*verdicts)) == sentence


def test_the_audit_has_nothing_to_say_of_a_claim_that_fails_under_every_reading() -> None:
    fails = ("not reproduced", "does not survive")
    assert in_words(readings_with(fails, fails)) == "not reproduced under either of 2 readings"


def test_readings_of_one_verdict_are_named_together() -> None:
    assert in_words(readings_with("not reproduced", "reproduced", "not reproduced")) == (
        "reproduced under `b`, not reproduced under `a` and `c` (3 readings tried)"
    )
    assert in_words(readings_with("not reproduced", "reproduced", "inconclusive")) == (
        "reproduced under `b`, inconclusive under `c`, not reproduced under `a` (3 readings tried)"
    )


def test_of_many_readings_it_is_said_under_how_many_of_them_a_claim_holds() -> None:
    fails, holds = ("not reproduced", "does not survive"), ("reproduced", "does not survive")
    assert in_words(readings_with(fails, holds, fails, holds, fails, fails, fails, fails)) == (
        "reproduced under 2 of 8 readings tried (`b` and `d`), not reproduced under 6 others; "
        "does not survive under 2 of 8 (`b` and `d`), already fails under 6 others"
    )
    assert in_words(readings_with(holds, holds, holds, fails)) == (
        "reproduced under 3 of 4 readings tried (`a`, `b` and `c`), not reproduced under `d`; "
        "does not survive under 3 of 4 (`a`, `b` and `c`), already fails under `d`"
    )


def test_the_audit_is_told_by_reading_where_it_differs_and_once_where_it_does_not() -> None:
    fails, lost = ("not reproduced", "does not survive"), ("reproduced", "does not survive")
    survives = ("reproduced", "survives")
    assert in_words(readings_with(fails, survives)) == (
        "reproduced under `b`, not reproduced under `a` (2 readings tried); survives under `b`, already fails under `a`"
    )
    assert in_words(readings_with(survives, survives)) == "reproduced under each of 2 readings; survives under each"
    assert in_words(readings_with(fails, survives, lost, *[fails] * 5)) == (
        "reproduced under 2 of 8 readings tried (`b` and `c`), not reproduced under 6 others; "
        "survives under 1 of 8 (`b`), does not survive under `c`, already fails under 6 others"
    )
    vacuous = ("reproduced", "vacuous")
    assert in_words(readings_with(vacuous, fails)).endswith("; vacuous under `a`, already fails under `b`")


def test_that_all_is_indicative_is_said_once_in_each_part() -> None:
    holds, fails = (
        ("indicative: holds", "indicative: does not survive"),
        ("indicative: does not hold", "indicative: does not survive"),
    )
    assert in_words(readings_with(fails, holds)) == (
        "indicative: holds under `b`, does not hold under `a` (2 readings tried); "
        "indicative: does not survive under `b`, already fails under `a`"
    )
    assert in_words(readings_with(fails, ("indicative: holds", "indicative: survives"))).endswith(
        "; indicative: survives under `b`, already fails under `a`"
    )
    # Of what is a verdict on the paper nothing may seem to be indicative, nor the other way round.
    assert in_words(readings_with("not reproduced", "indicative: holds", "indicative: does not hold")) == (
        "indicative: holds under `b`, not reproduced under `a`, indicative: does not hold under `c` (3 readings tried)"
    )


def test_a_reading_that_was_not_measured_was_not_tried() -> None:
    holds, unmeasured = ("reproduced", "does not survive"), ("not measured", "not measured")
    one = readings_with(unmeasured, holds)
    assert in_words(one) == "reproduced under `b` (1 reading tried), not measured under `a`; does not survive under `b`"
    assert tried(one) == 1
    two = readings_with(holds, holds, unmeasured)
    assert in_words(two) == "reproduced under each of 2 readings, not measured under `c`; does not survive under either"
    assert tried(two) == 2
    assert in_words(readings_with(holds, *[unmeasured] * 5)).startswith(
        "reproduced under `a` (1 reading tried), not measured under 5 others; "
    )
    assert tried(readings_with(unmeasured, unmeasured)) == 0


def test_a_claim_that_rests_on_no_attack_is_not_said_to_survive_anything() -> None:
    for count in (2, 3, 8):
        words = in_words(readings_with("reproduced", *["not reproduced"] * (count - 1)))
        assert ";" not in words
        assert "surviv" not in words
    assert ";" not in in_words(readings_with("reproduced", "reproduced", ("not measured", "not measured")))
    # Under one of its readings alone it does.
    assert in_words(readings_with("reproduced", ("reproduced", "survives"))).endswith(
        "; survives under `b`, not applicable under `a`"
    )


@given(st.lists(st.tuples(st.sampled_from(OF_CLAIMS), st.sampled_from(OF_AUDITS)), min_size=2, max_size=8))
def test_the_headline_stands_first_and_how_many_were_tried_beside_it(verdicts: list[tuple[Verdict, Verdict]]) -> None:
    readings = [UnderReading(f"reading{place}", *pair) for place, pair in enumerate(verdicts)]
    words, best = in_words(readings), headline(readings)
    assert words.startswith(f"{best.verdict} under ")
    if best.was_tried:
        assert str(tried(readings)) in words.partition(";")[0]
    else:
        assert f"{len(readings)} readings" in words


# -- the steps -----------------------------------------------------------------------------------------------

CHOICES = {"plain": {"loss": "from logits"}, "clipped": {"loss": "clipped probabilities"}, "short": {"epochs": "12"}}
EPOCHS = "epochs: 12 instead of 100"
BESIDE = "audit.examples: 5 instead of 9"


def reading(name: str, *conditions: str, differs: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"reading": name, "holds_if": list(conditions), "differs": list(differs), "choices": CHOICES[name]}


def claim(key: str, *readings: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "says": f"Says {key}.", "where": "Table 2", "margins": "20", "readings": list(readings)}


def of(name: str, condition: str) -> str:
    """Return a condition on the tables that a reading makes."""
    return condition.replace("table2", f"table2@{name}")


CLAIMS = [
    claim(
        "gain",
        reading("plain", CLAIM),
        reading("clipped", of("clipped", CLAIM)),
        reading("short", of("short", CLAIM), differs=(EPOCHS,)),
    ),
    claim("modest", reading("plain", "table2[erm, pgd] <= 4"), reading("clipped", "table2@clipped[erm, pgd] <= 1")),
    claim("alone", reading("plain", "table2[hrm, pgd] >= 1")),
]
AUDITS = "".join(
    [
        "hrm,gain,plain,does not survive,already fails,,\n",
        f"hrm,gain,clipped,does not survive,margin: 3.00,{BESIDE},\n",
        f"hrm,gain,short,not measured,,{EPOCHS}; {BESIDE},left out\n",
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The results of a paper with three readings: with the clipped loss HRM gains, and ``short`` was left out."""
    unmeasured = {"row": "hrm", "column": "pgd", "status": "not measured", "why": "left out", "mean": None}
    short = table_of([unmeasured, cell("erm", "pgd", [3.0])], column("pgd"))
    made = {"table2": FAILS["table2"], "table2@clipped": HOLDS["table2"], "table2@short": short}
    judge_paper(tmp_path, "hrm", made, AUDITS, CLAIMS)
    return tmp_path


def test_a_row_of_the_scorecard_is_of_the_headline_and_says_what_became_of_the_others(folder: Path) -> None:
    gain, modest, alone = rows_of(folder / "papers/hrm/scorecard.csv")
    assert list(gain) == [
        *("paper", "claim", "says", "where", "scale", "reading", "tried", "under", "verdict", "audit"),
        *("taken_down_by", "differs", "audit_differs", "measured", "why", "margins"),
    ]
    assert (gain["reading"], gain["tried"], gain["verdict"], gain["audit"], gain["taken_down_by"]) == (
        *("clipped", "2", "reproduced", "does not survive", "margin: 3.00"),
    )
    assert gain["under"] == (
        "reproduced under `clipped`, not reproduced under `plain` (2 readings tried), not measured under `short`; "
        "does not survive under `clipped`, already fails under `plain`"
    )
    assert (gain["differs"], gain["audit_differs"]) == ("", BESIDE)
    assert gain["measured"].startswith(f"{of('clipped', CLAIM)}: table2@clipped[hrm, pgd] = 56.00")
    assert (gain["says"], gain["where"], gain["scale"], gain["margins"]) == ("Says gain.", "Table 2", "quick", "20")
    assert (modest["reading"], modest["under"]) == (
        *("plain", "reproduced under `plain`, not reproduced under `clipped` (2 readings tried)"),
    )
    assert (alone["reading"], alone["tried"], alone["under"]) == ("plain", "1", "")


def test_every_reading_of_every_claim_has_a_row(folder: Path) -> None:
    rows = rows_of(folder / "papers/hrm/readings.csv")
    assert list(rows[0]) == [
        *("paper", "claim", "reading", "verdict", "audit", "taken_down_by", "differs", "audit_differs", "measured"),
        "why",
    ]
    assert [(row["claim"], row["reading"], row["verdict"], row["audit"]) for row in rows] == [
        ("gain", "plain", "not reproduced", "does not survive"),
        ("gain", "clipped", "reproduced", "does not survive"),
        ("gain", "short", "not measured", "not measured"),
        ("modest", "plain", "reproduced", "not applicable"),
        ("modest", "clipped", "not reproduced", "not applicable"),
        ("alone", "plain", "reproduced", "not applicable"),
    ]
    assert [row["taken_down_by"] for row in rows[:3]] == ["already fails", "margin: 3.00", ""]
    assert (rows[2]["differs"], rows[2]["audit_differs"]) == (EPOCHS, BESIDE)
    assert rows[2]["why"] == "table2@short[hrm, pgd] is not measured: left out"
    assert {row["paper"] for row in rows} == {"hrm"}


def test_the_numbers_of_every_reading_are_there_with_its_choices(folder: Path) -> None:
    gain, modest, _ = json.loads((folder / "papers/hrm/scorecard.json").read_text())
    assert (gain["reading"], modest["reading"]) == ("clipped", "plain")
    assert [entry["reading"] for entry in gain["readings"]] == ["plain", "clipped", "short"]
    assert [entry["choices"] for entry in gain["readings"]] == list(CHOICES.values())
    plain, clipped, short = gain["readings"]
    assert [number["cell"] for number in clipped["conditions"][0]["compared"]] == [
        "table2@clipped[hrm, pgd]",
        "table2@clipped[erm, pgd]",
    ]
    assert (plain["conditions"][0]["outcome"], clipped["conditions"][0]["outcome"]) == ("fails", "holds")
    assert (clipped["differs"], clipped["audit_differs"]) == ([], [BESIDE])
    assert (short["differs"], short["audit_differs"], short["conditions"]) == ([EPOCHS], [BESIDE], [])
    assert set(plain) == {
        *("reading", "choices", "verdict", "why", "audit", "taken_down_by", "differs", "audit_differs", "measured"),
        *("on_the_floor", "conditions"),
    }


def test_the_metrics_have_the_headlines_verdicts_and_the_tables_of_every_reading(folder: Path) -> None:
    papers = [{"id": "hrm", "tables": ["table2", "table2@clipped"]}]
    outputs = [folder / name for name in ("scorecard.csv", "audit.csv", "metrics/quick.json")]
    summary.run(Work({"folder": str(folder), "scale": "quick", "papers": papers}, "", {}, outputs))
    assert json.loads((folder / "metrics/quick.json").read_text()) == {
        "hrm": {
            "verdicts": {"reproduced": 3},
            "claims": {
                "gain": {"verdict": "reproduced", "audit": "does not survive"},
                "modest": {"verdict": "reproduced", "audit": "not applicable"},
                "alone": {"verdict": "reproduced", "audit": "not applicable"},
            },
            "table2": {"erm": {"pgd": 3.033}, "hrm": {"pgd": 5.033}},
            "table2@clipped": {"erm": {"pgd": 3.033}, "hrm": {"pgd": 56.0}},
        }
    }
    assert (folder / "audit.csv").read_text() == AUDIT + AUDITS

"""The words of verdicts: what differing from the paper leaves of each, and what the audit makes of it."""

from __future__ import annotations

import pytest

from robustrepro.errors import UserError
from robustrepro.verdicts import OF_AUDITS, OF_CLAIMS, Tone, Verdict


@pytest.mark.parametrize("verdict", [Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE, Verdict.VACUOUS])
def test_what_differs_from_the_paper_leaves_an_indication_of_the_same_tone(verdict: Verdict) -> None:
    indicative = verdict.indicative
    assert indicative.is_indicative
    assert not verdict.is_indicative
    assert (indicative.tone, indicative.icon) == (verdict.tone, verdict.icon)
    assert indicative.indicative is indicative


def test_the_words_are_those_that_the_files_have() -> None:
    assert [str(verdict) for verdict in OF_CLAIMS] == [
        "reproduced",
        "not reproduced",
        "inconclusive",
        "indicative: holds",
        "indicative: does not hold",
        "indicative: undecided",
        "cannot be asked here",
        "not measured",
    ]
    assert [str(verdict) for verdict in OF_AUDITS] == [
        "survives",
        "does not survive",
        "inconclusive",
        "vacuous",
        "indicative: survives",
        "indicative: does not survive",
        "indicative: undecided",
        "indicative: vacuous",
        "cannot be asked here",
        "not measured",
        "not applicable",
    ]


def test_the_audit_says_of_every_verdict_on_a_claim_what_is_left_of_it() -> None:
    for verdict in OF_CLAIMS:
        assert verdict.of_audit in OF_AUDITS
        assert (verdict.of_audit.tone, verdict.of_audit.is_indicative) == (verdict.tone, verdict.is_indicative)
    assert Verdict.REPRODUCED.of_audit is Verdict.SURVIVES
    assert Verdict.DOES_NOT_HOLD.of_audit is Verdict.NO_LONGER_HOLDS


def test_the_audit_takes_nothing_from_a_claim_that_already_fails() -> None:
    assert Verdict.DOES_NOT_SURVIVE.beside(Verdict.NOT_REPRODUCED) is Verdict.ALREADY_FAILS
    assert Verdict.NO_LONGER_HOLDS.beside(Verdict.DOES_NOT_HOLD) is Verdict.ALREADY_FAILS_HERE
    for verdict in OF_CLAIMS:
        assert Verdict.SURVIVES.beside(verdict) is Verdict.SURVIVES
        if not verdict.fails:
            assert Verdict.DOES_NOT_SURVIVE.beside(verdict) is Verdict.DOES_NOT_SURVIVE


def test_only_comparisons_that_all_hold_hold() -> None:
    assert {verdict for verdict in OF_CLAIMS if verdict.holds} == {Verdict.REPRODUCED, Verdict.HOLDS}
    assert all(verdict.tone is Tone.GOOD for verdict in OF_CLAIMS if verdict.holds)


def test_a_word_of_an_earlier_version_is_refused_by_name() -> None:
    assert Verdict.of_word("not reproduced") is Verdict.NOT_REPRODUCED
    with pytest.raises(UserError, match=r"verdict: 'indicative: does not'; did you mean 'indicative: does not hold'"):
        Verdict.of_word("indicative: does not")

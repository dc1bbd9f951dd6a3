"""How a column declares its statistic."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from robustrepro.implementations import resolve
from robustrepro.spec.statistics import (
    Accuracy,
    Maximum,
    Mean,
    Median,
    RootOfSum,
    Share,
    Statistic,
    Total,
    statistic_of,
)

ALL: list[Statistic] = [
    Accuracy(name="accuracy"),
    Mean(name="mean", column="l1"),
    Median(name="median", column="l1"),
    Share(name="share", column="l1", below=0.01),
    Total(name="total", column="l1"),
    RootOfSum(name="root_of_sum", column="l1"),
    Maximum(name="maximum", column="l1"),
]


@pytest.mark.parametrize(
    ("declared", "statistic"),
    [
        ("accuracy", Accuracy()),
        ({"mean": "l1"}, Mean(name="mean", column="l1")),
        ({"median": {"column": "l1"}}, Median(name="median", column="l1")),
        ({"share": {"column": "jacobian", "below": "1/100"}}, Share(name="share", column="jacobian", below=0.01)),
        ({"share": {"column": "l", "above": 2}}, Share(name="share", column="l", above=2.0)),
        ({"share": "verified"}, Share(name="share", column="verified")),
        ({"name": "maximum", "column": "l1"}, Maximum(name="maximum", column="l1")),
    ],
)
def test_a_statistic_is_declared_by_its_name_and_column(declared: Any, statistic: Statistic) -> None:
    assert statistic_of(declared) == statistic


@pytest.mark.parametrize("statistic", ALL, ids=lambda statistic: statistic.name)
def test_the_full_form_is_what_a_spec_holds(statistic: Statistic) -> None:
    assert statistic_of(statistic.model_dump(mode="json")) == statistic


@pytest.mark.parametrize("statistic", ALL, ids=lambda statistic: statistic.name)
def test_every_statistic_is_implemented_by_the_function_of_its_name(statistic: Statistic) -> None:
    assert resolve(type(statistic).implementation).__name__ == statistic.name


def test_only_an_accuracy_is_judged_as_one_and_shares_are_in_percent() -> None:
    assert [statistic.name for statistic in ALL if type(statistic).accuracy] == ["accuracy"]
    assert [statistic.name for statistic in ALL if type(statistic).unit == "%"] == ["accuracy", "share"]


@pytest.mark.parametrize(
    "declared",
    [
        "mean",  # of what?
        "average",
        {"average": "l1"},
        {"mean": "l1", "median": "l1"},
        {"mean": 3},
        {"mean": {"column": "l1", "of": "l2"}},
        {"share": {"column": "l1", "below": 1, "above": 2}},
        ["accuracy"],
        None,
    ],
    ids=str,
)
def test_what_is_no_statistic_is_refused(declared: Any) -> None:
    with pytest.raises(ValidationError):
        statistic_of(declared)

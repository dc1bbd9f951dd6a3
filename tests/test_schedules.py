"""Schedules: functions of the epoch alone, and which of them are learning rates."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from robustrepro.schedules import value_at
from robustrepro.spec.schedules import Cosine, Ramp, Rate, Schedule, Steps

numbers = st.floats(-10, 10, allow_subnormal=False)
epochs = st.floats(0, 200, allow_subnormal=False)
lengths = st.floats(0.1, 100)


def declared(tree: Any) -> Any:
    return TypeAdapter(Schedule).validate_python(tree)


@given(value=numbers, epoch=epochs)
def test_a_number_is_constant(value: float, epoch: float) -> None:
    assert value_at(declared(value), epoch) == value


@pytest.mark.parametrize("kind", ["ramp", "cosine"])
@given(initial=numbers, final=numbers, begin=epochs, length=lengths, epoch=epochs, later=epochs)
def test_a_transition_meets_its_ends_and_goes_one_way_between_them(
    kind: str,
    initial: float,
    final: float,
    begin: float,
    length: float,
    epoch: float,
    later: float,
) -> None:
    schedule = declared({"name": kind, "initial": initial, "final": final, "epochs": length, "begin": begin})
    assert value_at(schedule, begin) == initial
    assert value_at(schedule, begin / 2) == initial
    assert value_at(schedule, begin + length + 1) == final
    first, second = (value_at(schedule, when) for when in sorted([epoch, later]))
    assert (second - first) * (final - initial) >= -1e-9
    assert min(initial, final) - 1e-9 <= first <= max(initial, final) + 1e-9


@given(initial=numbers, final=numbers, length=lengths, share=st.floats(0, 1))
def test_a_ramp_is_a_line_and_a_cosine_half_a_period(initial: float, final: float, length: float, share: float) -> None:
    options = {"initial": initial, "final": final, "epochs": length}
    line = initial + share * (final - initial)
    wave = final + (initial - final) * (1 + math.cos(math.pi * share)) / 2
    assert value_at(Ramp(name="ramp", **options), share * length) == pytest.approx(line, abs=1e-9)
    assert value_at(Cosine(name="cosine", **options), share * length) == pytest.approx(wave, abs=1e-9)


@given(at=st.lists(st.integers(1, 50), min_size=1, max_size=5, unique=True).map(sorted), epoch=st.floats(0, 60))
def test_steps_are_constant_between_their_epochs(at: list[int], epoch: float) -> None:
    schedule = declared({"name": "steps", "initial": 1.0, "factor": 0.5, "at": at})
    assert isinstance(schedule, Steps)
    assert value_at(schedule, epoch) == 0.5 ** sum(epoch >= each for each in at)


RISES_AND_FALLS = [[0, 0], [40, 0.1], [80, 0.005], [100, 0]]


@pytest.mark.parametrize(
    ("epoch", "value"),
    [(0, 0), (20, 0.05), (40, 0.1), (60, 0.0525), (80, 0.005), (90, 0.0025), (100, 0), (120, 0)],
)
def test_straight_lines_lead_from_point_to_point(epoch: float, value: float) -> None:
    schedule = declared({"name": "piecewise_linear", "points": RISES_AND_FALLS})
    assert value_at(schedule, epoch) == pytest.approx(value, abs=1e-15)


def test_before_the_first_point_its_value_holds() -> None:
    assert value_at(declared({"name": "piecewise_linear", "points": [[2, 0.3], [3, 0.1]]}), 1) == 0.3


def test_a_learning_rate_may_begin_and_end_at_0_on_straight_lines() -> None:
    tree = {"name": "piecewise_linear", "points": RISES_AND_FALLS}
    assert TypeAdapter(Rate).validate_python(tree) == declared(tree)


def test_a_ratio_is_a_number_in_every_place() -> None:
    assert value_at(declared("8/255"), 3) == 8 / 255
    assert value_at(declared({"name": "ramp", "initial": "0/1", "final": "8/255", "epochs": 2}), 5) == 8 / 255


@pytest.mark.parametrize(
    "tree",
    [
        0,
        -0.1,
        {"name": "ramp", "initial": -0.1, "final": 1, "epochs": 2},
        {"name": "cosine", "initial": 0, "final": 0, "epochs": 2},
        {"name": "steps", "initial": 0, "factor": 0.5, "at": [1]},
        {"name": "steps", "initial": 1, "factor": -1, "at": [1]},
        {"name": "piecewise_linear", "points": [[0, 0], [1, 1], [2, -0.1]]},
        {"name": "piecewise_linear", "points": [[0, 0], [1, 0]]},
    ],
)
def test_a_learning_rate_that_does_not_descend_is_refused(tree: Any) -> None:
    declared(tree)  # a weight may be anything
    with pytest.raises(ValidationError, match="expected a positive rate"):
        TypeAdapter(Rate).validate_python(tree)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"name": "steps", "initial": 1, "factor": 0.5, "at": [3, 2]}, "each epoch later than the one before"),
        ({"name": "steps", "initial": 1, "factor": 0.5, "at": []}, "at least 1 item"),
        ({"name": "ramp", "initial": 1, "final": 0, "epochs": 0}, "greater than 0"),
        ({"name": "piecewise_linear", "points": [[0, 1], [2, 1], [2, 0]]}, "each later than the one before"),
        ({"name": "piecewise_linear", "points": [[-1, 1], [2, 1]]}, "expected 0 or above"),
        ({"name": "piecewise_linear", "points": [[0, 1, 2], [2, 1, 3]]}, "at most 2 items"),
        ({"name": "exponential", "initial": 1}, "'ramp', 'steps', 'cosine', 'piecewise_linear'"),
        ({"initial": 1}, "Unable to extract tag"),
        ("fast", "valid number"),
    ],
)
def test_what_is_no_schedule_is_refused(tree: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(tree)

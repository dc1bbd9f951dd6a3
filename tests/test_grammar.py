"""Conditions of claims: what they mean, and where reading them stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustrepro.errors import UserError
from robustrepro.grammar import Cell, parse_condition

PGD = {row: Cell("table2", row, "pgd") for row in ("erm", "hrm")}


@pytest.mark.parametrize(
    ("text", "terms", "constant"),
    [
        ("table2[hrm, pgd] >= table2[erm, pgd] + 20", ((1, PGD["hrm"]), (-1, PGD["erm"])), -20),
        ("table2[hrm, pgd] >= table2[erm, pgd] - 1", ((1, PGD["hrm"]), (-1, PGD["erm"])), 1),
        ("table2[erm, pgd] <= 10", ((-1, PGD["erm"]),), 10),
        ("5 + 2.5 * table2[hrm,pgd] - 3 >= 0.5", ((2.5, PGD["hrm"]),), 1.5),
        ("1 - 2 * table2[hrm, pgd] <= 3 * table2[erm, pgd]", ((2, PGD["hrm"]), (3, PGD["erm"])), -1),
        ("table1-updates[8, cem-hrm]>=0", ((1, Cell("table1-updates", "8", "cem-hrm")),), 0),
    ],
)
def test_a_condition_is_a_sum_that_must_not_be_negative(
    text: str, terms: tuple[tuple[float, Cell], ...], constant: float
) -> None:
    condition = parse_condition(text)
    assert condition.terms == terms
    assert condition.constant == constant
    assert condition.text == text


@given(
    values=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    factors=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    numbers=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    operator=st.sampled_from([">=", "<="]),
    signs=st.tuples(st.sampled_from("+-"), st.sampled_from("+-")),
)
def test_the_sum_is_left_minus_right_or_right_minus_left(
    values: tuple[float, float],
    factors: tuple[int, int],
    numbers: tuple[int, int],
    operator: str,
    signs: tuple[str, str],
) -> None:
    text = f"{numbers[0]} {signs[0]} {factors[0]} * t[a, x] {operator} {factors[1]}*t[b, x] {signs[1]} {numbers[1]}"
    condition = parse_condition(text)
    found = dict(zip("ab", values, strict=True))
    margin = sum(factor * found[cell.row] for factor, cell in condition.terms) + condition.constant
    left = numbers[0] + (1 if signs[0] == "+" else -1) * factors[0] * values[0]
    right = factors[1] * values[1] + (1 if signs[1] == "+" else -1) * numbers[1]
    assert margin == pytest.approx(left - right if operator == ">=" else right - left, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table2[hrm, pgd]", "expected one '>=' or '<='"),
        ("t[a, x] >= t[b, x] >= 1", "expected one '>=' or '<='"),
        ("t[a, x] > 1", "cannot read '> 1'"),
        ("t[a, x] == 1", "cannot read '== 1'"),
        ("t[a] >= 1", "cannot read 't[a] >= 1'"),
        ("t[a, x] >= 1 / 2", "cannot read '/ 2'"),
        ("t[a, x] >= __import__", "cannot read '__import__'"),
        ("1 >= 2", "it compares no cell"),
        ("t[a, x] t[b, x] >= 1", "unexpected 't[b, x]'"),
        ("t[a, x] >= + 1", "unexpected '+'"),
        ("t[a, x] * 2 >= 1", "unexpected '*'"),
        ("t[a, x] >= 1 +", "one side ends where a cell or a number is expected"),
        (">= t[a, x]", "one side ends where a cell or a number is expected"),
    ],
)
def test_what_is_no_comparison_is_quoted_with_the_place_where_reading_stopped(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_condition(text)
    assert str(caught.value).startswith(f"condition '{text}': {said}")

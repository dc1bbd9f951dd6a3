"""Conditions of claims and values of cells: what they mean, and where reading them stops."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from robustrepro.errors import UserError
from robustrepro.grammar import Cell, Linear, Place, cell_of, order_of_values, parse_condition, parse_value
from robustrepro.keys import KEY, NAME
from robustrepro.spec.names import is_key

PGD = {row: Cell("table2", row, "pgd") for row in ("erm", "hrm")}


# -- conditions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "terms", "constant"),
    [
        ("table2[hrm, pgd] >= table2[erm, pgd] + 20", ((1, PGD["hrm"]), (-1, PGD["erm"])), -20),
        ("table2[hrm, pgd] >= table2[erm, pgd] - 1", ((1, PGD["hrm"]), (-1, PGD["erm"])), 1),
        ("table2[erm, pgd] <= 10", ((-1, PGD["erm"]),), 10),
        ("5 + 2.5 * table2[hrm,pgd] - 3 >= 0.5", ((2.5, PGD["hrm"]),), 1.5),
        ("1 - 2 * table2[hrm, pgd] <= 3 * table2[erm, pgd]", ((2, PGD["hrm"]), (3, PGD["erm"])), -1),
        ("table1-updates[8, cem-hrm]>=0", ((1, Cell("table1-updates", "8", "cem-hrm")),), 0),
        ("0 <= (table2[hrm, pgd] - table2[erm, pgd]) / 2 - 1", ((0.5, PGD["hrm"]), (-0.5, PGD["erm"])), -1),
        ("table2[hrm, pgd] * 2 >= -(4 - table2[erm, pgd])", ((2, PGD["hrm"]), (-1, PGD["erm"])), 4),
        ("(table2[hrm, pgd] + 4) / 2 >= 0", ((0.5, PGD["hrm"]),), 2),
        ("5 -table2[hrm, pgd] >= 0", ((-1, PGD["hrm"]),), 5),
        ("fig.2[0.3, a.b] >= 1", ((1, Cell("fig.2", "0.3", "a.b")),), -1),
        ("table2@clipped-12[hrm, pgd] >= 1", ((1, Cell("table2@clipped-12", "hrm", "pgd")),), -1),
    ],
)
def test_a_condition_is_a_sum_that_must_not_be_negative(
    text: str, terms: tuple[tuple[float, Cell], ...], constant: float
) -> None:
    condition = parse_condition(text)
    # Terms may stand on either side; their order does not matter.
    assert sorted(condition.margin.terms, key=str) == sorted(terms, key=str)
    assert condition.margin.constant == constant
    assert condition.text == text


def test_terms_keep_the_order_in_which_they_are_written() -> None:
    condition = parse_condition("t[b, x] >= t[a, x] + t[c, x]")
    assert [cell.row for _, cell in condition.margin.terms] == ["b", "a", "c"]


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
    assume(any(factors))
    text = f"{numbers[0]} {signs[0]} {factors[0]} * t[a, x] {operator} {factors[1]}*t[b, x] {signs[1]} {numbers[1]}"
    condition = parse_condition(text)
    of_row = dict(zip("ab", values, strict=True))
    margin = sum(factor * of_row[cell.row] for factor, cell in condition.margin.terms) + condition.margin.constant
    left = numbers[0] + (1 if signs[0] == "+" else -1) * factors[0] * values[0]
    right = factors[1] * values[1] + (1 if signs[1] == "+" else -1) * numbers[1]
    assert margin == pytest.approx(left - right if operator == ">=" else right - left, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table2[hrm, pgd]", "expected one '>=' or '<='"),
        ("t[a, x] >= t[b, x] >= 1", "expected one '>=' or '<='"),
        ("(t[a, x] >= 1)", "unexpected '>=' at character 10"),
        ("t[a, x] > 1", "cannot read '> 1'"),
        ("t[a, x] == 1", "cannot read '== 1'"),
        ("t[a] >= 1", "cannot read 't[a] >= 1'"),
        ("t[a, x] >= __import__", "cannot read '__import__'"),
        ("1 >= 2", "it compares no cell"),
        ("t[a, x] t[b, x] >= 1", "unexpected 't[b, x]' at character 9"),
        ("t[a, x] >= + 1", "unexpected '+' at character 12"),
        ("t[a, x] >= 1)", "unexpected ')' at character 13"),
        ("t[a, x] >= (1", "a '(' is not closed"),
        ("t[a, x] >= 1 +", "an expression ends where a cell or a number is expected"),
        (">= t[a, x]", "an expression ends where a cell or a number is expected"),
        ("t[a, x] * t[b, x] >= 1", "it is not linear in its cells: a cell is multiplied by a cell"),
        ("1 / t[a, x] >= 1", "it is not linear in its cells: something is divided by a cell"),
        ("t[a, x] / (1 - 1) >= 1", "it divides by 0"),
    ],
)
def test_what_is_no_linear_comparison_is_quoted_with_the_place_where_reading_stopped(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_condition(text)
    assert str(caught.value).startswith(f"condition '{text}': {message}")


@given(st.text(alphabet="t[a, x]+-*/()<>=.019 ", max_size=40))
def test_whatever_is_written_is_either_read_or_refused(text: str) -> None:
    for parse in (parse_condition, parse_value):
        try:
            parse(text)
        except UserError as error:
            assert f"'{text}'" in str(error)  # noqa: PT017


# -- values --------------------------------------------------------------------------------------------------

NUMBERS = {Place("natural", "time"): 4.0, Place("robust", "time"): 12.0, Place("robust", "epochs"): 2.0}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("this[time] / natural[time]", 3.0),
        ("natural[time] - robust[time] - robust[epochs]", -10.0),
        ("natural[time] - (robust[time] - robust[epochs])", -6.0),
        ("robust[time] / natural[time] / robust[epochs]", 1.5),
        ("1 + 2 * this[ epochs ]", 5.0),
        ("-this[time] * -1", 12.0),
        ("-this[time] + robust[epochs]", -10.0),
        ("100*(this[time]-natural[time])/natural[time]", 200.0),
        ("(this[time] >= 12) + (this[time] >= 12.5) + (natural[time] <= 2 * robust[epochs])", 2.0),
        ("3 * (this[time] - natural[time] >= 8)", 3.0),
    ],
)
def test_a_value_is_computed_as_it_is_written(text: str, value: float) -> None:
    assert parse_value(text, "robust").evaluated(NUMBERS) == value


def test_this_is_the_own_row_once_it_is_known() -> None:
    assert parse_value("this[time] / natural[time] + this[time]").cells == (("this", "time"), ("natural", "time"))
    assert parse_value("this[time] / robust[time]", "robust").cells == (("robust", "time"),)


Tree = tuple[str, "Tree", "Tree"] | int | str


def written(tree: Tree) -> str:
    """Return a tree with every pair in parentheses."""
    if isinstance(tree, tuple):
        return f"({written(tree[1])} {tree[0]} {written(tree[2])})"
    return f"{tree}[x]" if isinstance(tree, str) else str(tree)


@given(
    tree=st.recursive(
        st.integers(0, 9) | st.sampled_from(["a", "b"]),
        lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner),
        max_leaves=12,
    )
)
def test_an_expression_comes_to_what_python_makes_of_it(tree: Tree) -> None:
    text = f"a[x] + {written(tree)}"
    expected = eval(text.replace("a[x]", "3").replace("b[x]", "7"))
    assert parse_value(text).evaluated({Place("a", "x"): 3.0, Place("b", "x"): 7.0}) == expected


@given(symbols=st.lists(st.sampled_from("+-*/"), min_size=1, max_size=6), data=st.data())
def test_without_parentheses_products_bind_tighter_and_the_left_goes_first(
    symbols: list[str], data: st.DataObject
) -> None:
    numbers = data.draw(st.lists(st.integers(1, 9), min_size=len(symbols), max_size=len(symbols)))
    text = "8" + "".join(f" {symbol} {number}" for symbol, number in zip(symbols, numbers, strict=True))
    assert parse_value(f"{text} + 0 * a[x]").evaluated({Place("a", "x"): 1.0}) == eval(text)


def test_a_division_by_0_is_left_to_whoever_has_the_numbers() -> None:
    with pytest.raises(ZeroDivisionError):
        parse_value("1 / a[x]").evaluated({Place("a", "x"): 0.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an expression ends where a cell or a number is expected"),
        ("1 + 2", "it has no cell, such as this[pgd]"),
        ("table2[hrm, pgd]", "cannot read 'table2[hrm, pgd]'"),
        ("this[time] >= 2", "unexpected '>=' at character 12"),
        ("this[time] ** 2", "unexpected '*' at character 13"),
        ("max(this[time])", "cannot read 'max(this[time])'"),
    ],
)
def test_what_is_no_value_is_quoted_with_the_place_where_reading_stopped(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_value(text)
    assert str(caught.value).startswith(f"value '{text}': {message}")


def test_values_are_computed_after_those_that_they_need() -> None:
    values = {
        Place("a", "double"): parse_value("2 * this[ratio]", "a"),
        Place("a", "ratio"): parse_value("this[x] / b[x]", "a"),
    }
    others = [Place("a", "x"), Place("b", "x")]
    assert order_of_values(values, others) == [Place("a", "ratio"), Place("a", "double")]


def test_a_value_that_needs_itself_or_a_cell_that_is_not_there_is_refused() -> None:
    circle = {
        Place("a", "x"): parse_value("1 + this[y]", "a"),
        Place("a", "y"): parse_value("1 + this[x]", "a"),
    }
    with pytest.raises(UserError, match=r"needs the cell itself: a\[.\] needs a\[.\] needs a\[.\]"):
        order_of_values(circle, [])
    with pytest.raises(UserError, match=r"unknown cell in value '2 \* b\[xx\]': 'b\[xx\]'; did you mean 'b\[x\]'\?"):
        order_of_values({Place("a", "y"): parse_value("2 * b[xx]")}, [Place("b", "x")])


# -- keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["table1-updates", "8", "0.3", "a.b", "A_b", "no", "hrm-guard-1e-12", "k" * 100])
def test_a_key_is_read_wherever_it_stands(key: str) -> None:
    assert is_key(key)
    ((_, cell),) = parse_condition(f"{key}[{key}, {key}] >= 1").margin.terms
    assert cell == Cell(key, key, key)
    assert parse_value(f"1 / {key}[{key}]").cells == (Place(key, key),)


@given(st.from_regex(KEY, fullmatch=True).filter(is_key), st.from_regex(KEY, fullmatch=True).filter(is_key))
def test_every_key_that_is_allowed_can_be_named(first: str, second: str) -> None:
    condition = parse_condition(f"{first}[{second}, {first}] >= 0 - 2 * {second}[{first}, {second}] - 1")
    assert {cell for _, cell in condition.margin.terms} == {Cell(first, second, first), Cell(second, first, second)}
    value = parse_value(f"{first}[{second}] / {second}[{first}]")
    assert {*value.cells} == {Place(first, second), Place(second, first)}


@pytest.mark.parametrize("key", ["", "-a", "_a", "a b", "a,b", "a[b]", "a\n", "ε", "this", "k" * 101])
def test_a_key_that_no_condition_can_name_is_found_out(key: str) -> None:
    assert not is_key(key)


@given(st.from_regex(NAME, fullmatch=True).filter(lambda name: "@" in name))
def test_a_table_that_a_reading_makes_is_named_as_any_other_and_printed_so(table: str) -> None:
    ((_, cell),) = parse_condition(f"{table}[hrm, pgd] >= 1").margin.terms
    assert cell == Cell(table, "hrm", "pgd")
    assert str(cell) == f"{table}[hrm, pgd]"
    assert cell_of(str(cell)) == cell


@pytest.mark.parametrize("name", ["a@b", "table2@clipped-12", f"{'k' * 100}@{'r' * 100}"])
def test_what_a_reading_makes_has_a_name_that_nobody_declares(name: str) -> None:
    assert re.fullmatch(NAME, name)
    assert not re.fullmatch(KEY, name)


@pytest.mark.parametrize("table", ["t@", "@clipped", "t@a@b", "t@@a", "t@-a", "t @a", f"t@{'r' * 101}"])
def test_a_table_has_one_reading_with_a_name_of_its_own(table: str) -> None:
    assert not re.fullmatch(NAME, table)
    with pytest.raises(UserError, match=r"cannot read '"):
        parse_condition(f"{table}[hrm, pgd] >= 1")


def test_rows_belong_to_no_reading() -> None:
    with pytest.raises(UserError, match=r"cannot read 'hrm@clipped\[pgd\]'"):
        parse_value("2 * hrm@clipped[pgd]")


@pytest.mark.parametrize("text", ["0 * t[a, x] >= 0", "t[a, x] >= t[a, x] + 2", "t[a, x] - t[a, x] <= 1"])
def test_cells_that_cancel_out_compare_nothing(text: str) -> None:
    with pytest.raises(UserError, match="compares no"):
        parse_condition(text)


def test_a_cell_that_stands_several_times_is_one_term() -> None:
    condition = parse_condition("3 * t[a, x] >= t[a, x] + 20")
    assert condition.margin == Linear(((2.0, Cell("t", "a", "x")),), -20.0)


A, B = Cell("t", "a", "x"), Cell("t", "b", "x")


@pytest.mark.parametrize(
    ("text", "subject", "bound", "at_least"),
    [
        ("t[a, x] >= t[b, x] + 20", ((1.0, A),), Linear(((1.0, B),), 20.0), True),
        ("t[b, x] + 20 <= t[a, x]", ((1.0, A),), Linear(((1.0, B),), 20.0), True),
        ("t[a, x] <= t[b, x] - 2", ((1.0, A),), Linear(((1.0, B),), -2.0), False),
        ("t[a, x] - t[b, x] >= 20", ((1.0, A),), Linear(((1.0, B),), 20.0), True),
        ("20 <= t[a, x] - t[b, x]", ((1.0, A),), Linear(((1.0, B),), 20.0), True),
        ("t[a, x] >= 99", ((1.0, A),), Linear((), 99.0), True),
        ("0 - t[a, x] >= 0 - 50", ((1.0, A),), Linear((), 50.0), False),
        ("t[a, x] + 5 >= t[b, x] + 20", ((1.0, A),), Linear(((1.0, B),), 20.0), True),
    ],
)
def test_the_subject_has_to_meet_the_side_that_adds_a_number(
    text: str, subject: tuple[tuple[float, Cell], ...], bound: Linear, at_least: bool
) -> None:
    condition = parse_condition(text)
    assert (condition.subject.terms, condition.bound, condition.at_least) == (subject, bound, at_least)
    numbers = {A: 70.0, B: 30.0}
    difference = condition.subject.value(numbers) - condition.bound.value(numbers)
    assert condition.margin.value(numbers) == (difference if at_least else -difference)

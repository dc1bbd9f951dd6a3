"""Tables of the report, read in a headless Chromium: two levels of headers, mixed units, numbers that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from report_sample import page_spec, write_sample
from report_sample_tables import LEFT_OUT, WHY_NO_TIME, weights_sha256

from robustrepro.report import build_page
from robustrepro.report.comparison import cell_names
from robustrepro.report.loading import read_page
from robustrepro.report.presentation import number
from robustrepro.report.table import Column, Table

pytest_plugins = ["report_pages"]


@pytest.fixture
def table(hamming: Page) -> Locator:
    return hamming.locator("#hamming-table2 table.numbers")


def body(table: Locator, row: int) -> Locator:
    """The cells of one row, its name first."""
    return table.locator(f"> tbody:nth-of-type({row}) > tr:first-child > *")


def with_groups(*groups: str | None) -> Table:
    columns = [
        Column(key=str(place), label=f"c{place}", group=group, unit="%", decimals=1)
        for place, group in enumerate(groups, start=1)
    ]
    return Table(id="t", caption="", where="", rows=(), columns=tuple(columns), cells=())


def test_neighbouring_columns_of_a_group_stand_under_one_label() -> None:
    table = with_groups(None, "a", "a", "b", "a", None, None)
    assert [(group.label, list(group.columns)) for group in table.column_groups] == [
        (None, [1]),
        ("a", [2, 3]),
        ("b", [4]),
        ("a", [5]),
        (None, [6]),
        (None, [7]),
    ]
    assert table.group_starts == {2, 4, 5, 6, 7}
    assert with_groups(None, None).group_starts == set()


def test_a_group_spans_its_columns_and_other_headers_span_both_levels(table: Locator) -> None:
    upper, lower = (
        table.locator(f"> thead > tr:nth-child({level}) > th").evaluate_all(
            "cells => cells.map(th => [th.innerText.replace(/\\s*↕/, '').trim(), th.colSpan, th.rowSpan, th.scope])"
        )
        for level in (1, 2)
    )
    assert upper == [
        ["Model", 1, 2, "col"],
        ["Clean", 1, 2, "col"],
        ["ε = 8/255", 2, 1, "colgroup"],
        ["Jacobian", 2, 1, "colgroup"],
        ["Training", 1, 2, "col"],
    ]
    assert [cell[0] for cell in lower] == ["FGSM", "PGD", "mean ‖J‖₁", "mean ‖J‖₂"]
    assert {tuple(cell[1:]) for cell in lower} == {(1, 1, "col")}
    assert table.locator("> colgroup").evaluate_all("groups => groups.map(group => group.span)") == [1, 1, 2, 2, 1]


def test_each_header_of_two_levels_stands_over_its_own_numbers(table: Locator) -> None:
    headers = table.locator("th[aria-sort]")
    expect(headers).to_have_count(7)
    for header in headers.all():
        cell = body(table, 1).nth(int(header.get_attribute("data-column") or -1))
        above, below = header.bounding_box(), cell.bounding_box()
        assert above is not None
        assert below is not None
        assert above["x"] == pytest.approx(below["x"], abs=1)
        assert above["width"] == pytest.approx(below["width"], abs=1)


def test_a_column_of_the_lower_level_sorts_by_its_own_numbers(table: Locator) -> None:
    header = table.get_by_role("columnheader", name="mean ‖J‖₁")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    names = table.locator("> tbody > tr:first-child > th")
    expect(names).to_have_text(["Normal", "Hamming + stability", "PAT-self", "TRADES printed only"])
    header.get_by_role("button").click()
    expect(names).to_have_text(["Hamming + stability", "Normal", "PAT-self", "TRADES printed only"])


def test_every_column_has_its_own_unit_and_decimals(table: Locator) -> None:
    numbers = body(table, 1).locator(".mean")
    expect(numbers).to_have_text(["94.2%", "12.9%", "0.0%", "2.400", "0.310", "1,234\u00a0s"])
    table.locator(".origin").last.click()
    expect(table.locator(".origin-panel:visible h3")).to_have_text("Hamming + stability · Jacobian, mean ‖J‖₂")
    expect(table.locator(".origin-panel:visible .reading")).to_contain_text("Ours 0.040 ± 0.300")


def test_a_difference_is_coloured_by_the_unit_of_its_column(table: Locator) -> None:
    steps = body(table, 1).locator(".difference").evaluate_all("spans => spans.map(span => span.classList[1])")
    # -0.6, -1.1 and 0 points; +100%, +3.3% and -6.5% of the printed number
    assert steps == ["same", "below1", "same", "above3", "above1", "below1"]


def test_the_legend_explains_the_colours_of_every_unit_in_the_table(hamming: Page) -> None:
    mixed = hamming.locator("#hamming-table2 .legend .steps")
    expect(mixed).to_have_count(2)
    expect(mixed.nth(0)).to_contain_text("in columns of percentages, in percentage points; a colour begins at −20")
    expect(mixed.nth(1)).to_contain_text("in columns of other units, relative to the printed number")
    expect(mixed.nth(1)).to_contain_text("−50%")
    single = hamming.locator("#hamming-table1 .legend .steps")
    expect(single).to_have_count(1)
    expect(single).to_contain_text("Ours minus printed, in percentage points;")


def test_a_number_that_was_not_measured_says_why_beside_the_rest_of_the_table(hamming: Page, table: Locator) -> None:
    missing = body(table, 2).locator(".ours")
    expect(missing).to_have_text([f"not measured: {LEFT_OUT}"] * 6)
    expect(missing.first.locator(".no-number")).to_have_attribute("title", LEFT_OUT)
    expect(body(table, 2).locator(".printed").first).to_have_text("printed 82.0")
    time = body(table, 3).last
    expect(time.locator(".ours")).to_have_text(f"not measured: {WHY_NO_TIME}")
    expect(body(table, 3).locator(".mean")).to_have_count(5)
    expect(hamming.locator("#hamming-table2 .reason")).to_have_text(
        [f"6 numbers not measured: {LEFT_OUT}", f"1 number not measured: {WHY_NO_TIME}"]
    )


def test_a_row_of_printed_numbers_shows_these_alone(hamming: Page, table: Locator) -> None:
    row = body(table, 4)
    expect(row.first).to_have_text("TRADES printed only")
    expect(row.locator(".ours, .difference, .origin, .no-number")).to_have_count(0)
    expect(row.locator(".printed")).to_have_text(
        ["printed 84.9", "printed 56.6", "printed 53.1", "nothing printed", "nothing printed", "printed 10,200"]
    )
    expect(hamming.locator("#hamming-table2 .legend")).to_contain_text("has only the paper’s numbers")
    expect(hamming.locator("#hamming-table1 .legend")).not_to_contain_text("the paper’s numbers alone")


def test_a_number_from_several_measurements_names_each_of_them_once_per_seed(hamming: Page) -> None:
    hamming.locator("#hamming-table1 .origin").first.click()
    panel = hamming.locator("#hamming-table1 .origin-panel:visible")
    expect(panel.locator(".seeds tbody tr")).to_have_count(2)
    expect(panel.locator(".seeds tbody td[rowspan='2']")).to_have_count(3)
    expect(panel.locator(".model code")).to_have_text(
        [f"results/quick/measurements/{measure}/cifar10-normal/seed0.parquet" for measure in ("linf", "linf-again")]
    )


def test_on_the_web_a_number_has_its_seeds_and_leaves_its_origins_to_the_provenance(tmp_path: Path) -> None:
    write_sample(tmp_path)
    here, web = (build_page(page_spec("hrm"), tmp_path, linked=linked) for linked in (False, True))
    sha256 = weights_sha256("mnist-lenet5-erm", 1)
    assert sha256 in here
    assert sha256 not in web
    assert '<a href="papers/hrm/provenance.json">provenance.json</a>, under <code>clean/mnist-lenet5-erm</code>' in web
    assert "provenance.json" not in here
    assert 'class="scroller seeds"' not in web
    assert "<span><b>" in web.partition('class="by-seed"')[2][:40]


def test_a_table_with_two_levels_scrolls_inside_on_a_phone(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 844})
    page.goto(addresses["hamming"])
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    assert page.locator("#hamming-table2 > .scroller").evaluate("box => box.scrollWidth > box.clientWidth")
    page.close()


def test_a_comparison_names_a_column_with_its_group(tmp_path: Any) -> None:
    write_sample(tmp_path)
    hamming = read_page(page_spec("hamming"), tmp_path).paper
    shared, names = cell_names(["table2[ours, pgd]", "table2[ours, fgsm]"], hamming)
    assert shared == "Table\u00a02, Hamming + stability"
    assert names["table2[ours, pgd]"] == "ε\u00a0=\u00a08/255, PGD"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1234.5, "s", "1,234.5\u00a0s"), (0.5, "%", "0.5%"), (2.0, "", "2.0"), (-3.0, "°", "−3.0°")],
)
def test_a_unit_of_letters_is_set_off_from_its_number(value: float, unit: str, text: str) -> None:
    assert number(value, 1, unit) == text

"""The report's first page, which has every claim in a line, read in a headless Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from report_sample import SPEC, write_elsewhere, write_pages, write_sample
from report_sample_claims import CHANGE

from robustrepro.report import build_report

pytest_plugins = ["report_pages"]


def lines(page: Page) -> list[list[str]]:
    """The text of each line's cells."""
    rows: list[list[str]] = page.locator(".line:visible").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return rows


def query(page: Page) -> list[tuple[str, str]]:
    """What stands in the address."""
    return parse_qsl(urlsplit(page.url).query)


def test_every_claim_has_one_line_of_the_scale_that_says_most(index: Page) -> None:
    assert [[paper, verdict, audit, scale] for paper, _, verdict, audit, scale in lines(index)] == [
        ["hrm", "not reproduced", "already fails", "reduced"],
        ["hrm", "not measured", "not measured", "quick"],
        ["hrm", "indicative: does not hold", "not applicable", "quick"],
        ["hamming", "reproduced", "survives", "quick"],
        ["hamming", "not reproduced", "vacuous", "quick"],
        ["hamming", "inconclusive", "not applicable", "quick"],
        ["hamming", "cannot be asked here", "not applicable", "quick"],
    ]
    expect(index.locator(".papers li").first).to_contain_text(
        "Of 3 claims, 1 was not reproduced, 1 does not hold here and 1 was not measured."
    )
    expect(index.locator(".facts")).to_contain_text(
        "7, each with the verdict of the scale that says most about the paper"
    )


def test_a_line_opens_by_keyboard_with_all_that_is_behind_it(index: Page) -> None:
    button = index.locator("#claim-hrm-hrm-raises-pgd-accuracy .unfold")
    behind = index.locator("#claim-hrm-hrm-raises-pgd-accuracy-unfolded")
    expect(behind).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")
    button.focus()
    index.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(behind).to_be_visible()
    expect(behind.locator("blockquote")).to_have_text(
        "“HRM improves robustness on MNIST to 56.22% without sacrificing test accuracy”"
    )
    expect(behind.locator("h3")).to_have_text(["reduced", "quick this report"])
    here = behind.locator(".at-scale").nth(1)
    for text in (
        "HRM ≥ ERM (Baseline) + 20",
        "HRM 39.90% printed 56.22%",
        "margin +16.50",
        "digits stand in for mnist",
        "Fixed beforehand. Half of what hrm-raises-pgd-accuracy prints.",
        "2 differences from the paper",
        f"Changed: {CHANGE} (mnist-lenet5-hrm)",
        "Table\u00a02, worst case",
        "1 of 1 comparison fails: the whole 95% interval",
        "Taken down by: audit: pgd-margin",
        "1 alarm went off.",
    ):
        expect(here).to_contain_text(text)
    index.keyboard.press("Enter")
    expect(behind).to_be_hidden()


def test_a_line_says_what_every_other_scale_says(index: Page) -> None:
    index.locator("#claim-hrm-hrm-raises-pgd-accuracy .unfold").click()
    there = index.locator("#claim-hrm-hrm-raises-pgd-accuracy-unfolded .at-scale").first
    expect(there.locator(".badge")).to_have_text(["not reproduced", "already fails"])
    expect(there.locator(".elsewhere").first).to_contain_text("HRM ≥ ERM (Baseline) + 20: HRM = 2.33 (printed 56.22%)")
    expect(there).to_contain_text("the first comparison fails with its whole interval")
    expect(there).to_contain_text("PGD on the margin")
    index.locator("#claim-hrm-cem-between .unfold").click()
    unmeasured = index.locator("#claim-hrm-cem-between-unfolded .at-scale").nth(1)
    expect(unmeasured.locator("h3")).to_have_text("reduced")
    expect(unmeasured.locator(".differs li")).to_have_text(
        ["epochs: 12 instead of 100 (14 models)", "data: cifar10 from elsewhere"], use_inner_text=False
    )


def test_a_press_anywhere_on_a_line_opens_it_but_a_link_leads_on(index: Page) -> None:
    line = index.locator("#claim-hamming-cheap")
    line.locator(".scale").click()
    expect(index.locator("#claim-hamming-cheap-unfolded")).to_be_visible()
    line.locator(".scale").click()
    expect(index.locator("#claim-hamming-cheap-unfolded")).to_be_hidden()
    line.get_by_role("link", name="hamming").click()
    expect(index.locator("h1")).to_have_text("Efficient Regularization for Robust Deep ReLU Networks")


def test_every_line_opens_at_once(index: Page) -> None:
    index.get_by_role("button", name="Open every line").click()
    expect(index.locator(".behind:visible")).to_have_count(7)
    index.get_by_role("button", name="Close every line").click()
    expect(index.locator(".behind:visible")).to_have_count(0)


def test_a_folded_line_is_nothing_to_a_screen_reader_until_it_opens(index: Page) -> None:
    row = index.locator("tr.unfolded").first
    expect(row).to_have_attribute("aria-hidden", "true")
    index.locator(".unfold").first.click()
    expect(row).not_to_have_attribute("aria-hidden", "true")


def test_a_search_in_the_page_finds_folded_text_and_opens_its_line(index: Page) -> None:
    behind = index.locator("#claim-hamming-verified-unfolded")
    assert behind.get_attribute("hidden") == "until-found"
    behind.dispatch_event("beforematch")
    expect(behind).to_be_visible()
    expect(index.locator("#claim-hamming-verified .unfold")).to_have_attribute("aria-expanded", "true")


def test_filters_by_paper_and_both_verdicts_combine(index: Page) -> None:
    papers = index.get_by_role("group", name="Paper")
    reproduced = index.get_by_role("group", name="Reproduced?")
    survives = index.get_by_role("group", name="Survives the audit?")
    papers.get_by_role("button", name="hamming").click()
    assert len(lines(index)) == 4
    survives.get_by_role("button", name="not applicable").click()
    assert len(lines(index)) == 2
    reproduced.get_by_role("button", name="inconclusive").click()
    assert [line[1] for line in lines(index)] == ["“Training takes a sixth of the next best defense's time”"]
    survives.get_by_role("button", name="vacuous").click()
    survives.get_by_role("button", name="not applicable").click()
    assert lines(index) == []
    expect(index.locator(".shown")).to_have_text("0 of 7 claims")
    papers.get_by_role("button", name="hrm").click()
    reproduced.get_by_role("button", name="not reproduced").click()
    assert len(lines(index)) == 1
    index.get_by_role("button", name="Show all").click()
    assert len(lines(index)) == 7
    expect(papers.get_by_role("button", name="hrm")).to_be_focused()


def test_a_filtered_view_stands_in_the_address_and_is_there_again_when_it_is_opened(
    index: Page, browser: Browser
) -> None:
    index.get_by_role("group", name="Paper").get_by_role("button", name="hamming").click()
    for verdict in ("not reproduced", "inconclusive"):
        index.get_by_role("group", name="Reproduced?").get_by_role("button", name=verdict).click()
    wanted = [("paper", "hamming"), ("verdict", "not reproduced"), ("verdict", "inconclusive")]
    assert query(index) == wanted
    again = browser.new_page()
    again.goto(index.url)
    assert lines(again) == lines(index)
    assert len(lines(again)) == 2
    expect(again.get_by_role("button", name="hamming")).to_have_attribute("aria-pressed", "true")
    again.get_by_role("button", name="Show all").click()
    assert query(again) == []
    again.close()


def test_a_filter_that_the_page_does_not_know_shows_all(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page()
    page.goto(f"{addresses['index']}?paper=gone&verdict=reproducd#%")
    assert len(lines(page)) == 7
    page.close()


def test_a_link_to_a_claim_opens_it_whatever_is_filtered(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page()
    page.goto(f"{addresses['index']}?paper=hrm#claim-hamming-verified")
    expect(page.locator("#claim-hamming-verified-unfolded")).to_be_visible()
    expect(page.locator("#claim-hamming-verified")).to_be_in_viewport()
    assert query(page) == []
    page.close()


def test_a_paper_and_the_list_lead_to_each_other(hrm: Page) -> None:
    hrm.get_by_role("link", name="The same claims over all scales").click()
    expect(hrm.locator(".line:visible")).to_have_count(3)
    assert query(hrm) == [("paper", "hrm")]
    hrm.locator("#claim-hrm-cem-between .unfold").click()
    hrm.locator("#claim-hrm-cem-between-unfolded").get_by_role("link", name="Section 5").click()
    expect(hrm.locator("#hrm-table2")).to_be_in_viewport()
    hrm.go_back()
    hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy .unfold").click()
    behind = hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy-unfolded")
    behind.get_by_role("link", name="in full on the paper’s page").click()
    expect(hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy")).to_be_in_viewport()
    hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy .key").click()
    expect(hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy-unfolded")).to_be_visible()


def test_lines_sort_with_what_is_behind_them(index: Page) -> None:
    index.get_by_role("columnheader", name="Scale").get_by_role("button").click()
    assert [line[4] for line in lines(index)] == ["reduced"] + ["quick"] * 6
    index.get_by_role("columnheader", name="Survives the audit?").get_by_role("button").click()
    assert [line[3] for line in lines(index)][:3] == ["survives", "already fails", "vacuous"]
    index.locator(".unfold").first.click()
    bodies = index.locator(".claims tbody").first.locator("tr")
    expect(bodies).to_have_count(2)
    expect(bodies.nth(1).locator(".behind")).to_be_visible()


def test_a_line_is_marked_where_config_changes_what_it_says(tmp_path: Path, browser: Browser) -> None:
    write_sample(tmp_path / "quick")
    page = browser.new_page()
    page.set_content(build_report(SPEC, tmp_path / "quick"))
    expect(page.locator(".line .changed-mark")).to_have_count(1)
    expect(page.locator("#claim-hrm-hrm-raises-pgd-accuracy .changed-mark")).to_have_text("changed")
    # The verdict of another scale is not touched by it.
    write_elsewhere(tmp_path)
    page.set_content(build_report(SPEC, tmp_path / "quick"))
    expect(page.locator(".line .changed-mark")).to_have_count(0)
    page.close()


def test_another_scale_has_a_link_to_its_page_where_there_is_one(tmp_path: Path, browser: Browser) -> None:
    write_sample(tmp_path / "quick")
    write_elsewhere(tmp_path)
    assert "its page" not in build_report(SPEC, tmp_path / "quick")
    write_sample(tmp_path / "reduced")
    write_pages(tmp_path / "reduced")
    write_pages(tmp_path / "quick")
    page = browser.new_page()
    page.goto((tmp_path / "quick/report/index.html").as_uri())
    page.locator(".unfold").first.click()
    page.get_by_role("link", name="its page").first.click()
    expect(page).to_have_url((tmp_path / "reduced/report/hrm.html").as_uri() + "#claim-hrm-hrm-raises-pgd-accuracy")
    page.close()


def test_verdicts_of_an_earlier_version_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    write_sample(tmp_path / "quick")
    write_elsewhere(tmp_path)
    path = tmp_path / "reduced/scorecard.csv"
    path.write_text(path.read_text("utf-8").replace("not reproduced", "indicative: does not"), "utf-8")
    html = build_report(SPEC, tmp_path / "quick")
    assert "The verdicts of another scale are left out.</strong> reduced/scorecard.csv: hrm-raises-pgd-accuracy" in html
    assert "<h3>reduced" not in html
    shutil.rmtree(tmp_path / "reduced")
    assert "are left out" not in build_report(SPEC, tmp_path / "quick")


def test_a_single_paper_has_no_filter_by_paper(tmp_path: Path) -> None:
    write_sample(tmp_path / "quick")
    alone = {**SPEC, "papers": SPEC["papers"][:1]}
    html = build_report(alone, tmp_path / "quick")
    assert 'role="group" aria-label="Reproduced?' in html
    assert 'role="group" aria-label="Paper' not in html


def test_without_scripts_everything_is_open(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(addresses["index"])
    assert page.locator("#claim-hamming-verified-unfolded blockquote").is_visible()
    assert not page.locator(".unfold-all").is_visible()
    page.get_by_role("link", name="in full on the paper’s page").first.click()
    expect(page.locator("#hrm-table2-1-3 h3")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("opened", [False, True])
def test_on_paper_each_claim_has_its_whole_words_and_what_is_open(index: Page, opened: bool) -> None:
    if opened:
        index.locator("#claim-hamming-cheap .unfold").click()
    index.emulate_media(media="print")
    expect(index.locator(".sidebar")).to_be_hidden()
    expect(index.locator(".unfold-all")).to_be_hidden()
    short = index.locator("#claim-hrm-hrm-raises-pgd-accuracy .short")
    expect(short).to_have_css("display", "block")  # no longer cut after two lines
    expect(index.locator(".behind:visible")).to_have_count(int(opened))


def test_the_badges_of_a_line_say_which_is_which_on_a_phone(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(addresses["index"])
    line = page.locator("#claim-hrm-hrm-raises-pgd-accuracy")
    expect(line.locator(".which:visible")).to_have_text(["Reproduced?", "Survives the audit?"])
    for badge in line.locator(".badge").all():
        box = badge.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
    page.close()

"""The report, read in a headless Chromium the way a researcher reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from report_sample import SPEC
from report_sample_tables import weights_sha256

from robustrepro.report import build_report

pytest_plugins = ["report_pages"]

# WCAG 2.2: the contrast ratio of every visible piece of text with the opaque background behind it.
POOR_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colour, behind) => {
    canvas.fillStyle = `rgb(${behind.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const background = (element) => {
    if (!element) return [255, 255, 255];
    return over(getComputedStyle(element).backgroundColor, background(element.parentElement));
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor = [];
  let seen = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent).join("").trim();
    if (!text || !element.checkVisibility() || element.closest("svg")) continue;
    const behind = background(element);
    const [a, b] = [luminance(over(getComputedStyle(element).color, behind)), luminance(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${element.className}: ${text.slice(0, 40)}`);
  }
  return { seen, poor, page: luminance(background(document.body)) };
}"""


def test_opens_without_console_message_or_network_request(browser: Browser, address: str) -> None:
    page = browser.new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address, wait_until="networkidle")
    page.locator(".theme").click()
    page.locator(".enlarge").click()
    page.keyboard.press("Escape")
    page.locator("#hrm-audit summary").last.click()
    page.close()
    assert messages == []
    assert requests[0] == address
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert [url for url in requests if url.startswith("file:")] == [address]


def test_origin_of_a_number_opens_by_keyboard_and_shows_the_whole_sha256(page: Page) -> None:
    origin = page.locator("#hrm-table2 .origin").nth(2)
    sha256 = weights_sha256("mnist-lenet5-erm", 1)
    panel = page.locator("#hrm-table2-1-3")
    expect(panel).to_be_hidden()
    origin.focus()
    page.keyboard.press("Enter")
    expect(origin).to_have_attribute("aria-expanded", "true")
    expect(panel.get_by_text(sha256)).to_be_visible()
    for text in (
        "step_size",
        "optimizer.learning_rate",
        "abc1234 (modified)",
        "95% over 3 seeds",
        "pgd/mnist-lenet5-erm/seed1.parquet",
    ):
        expect(panel).to_contain_text(text)
    page.keyboard.press("Enter")
    expect(panel).to_be_hidden()


def test_table_sorts_numerically_and_returns_to_the_papers_order(page: Page) -> None:
    table = page.locator("#hamming-table1 table.numbers")
    jpeg = table.locator("> thead th").nth(5)

    def column() -> list[str]:
        cells = table.locator("> tbody > tr:first-child > :nth-child(6)")
        return cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)")

    printed_order = column()
    assert "" in printed_order
    numbers = sorted((value for value in printed_order if value), key=float)
    assert numbers != sorted(numbers), "the column tells a numeric from an alphabetic order"
    jpeg.get_by_role("button").click()
    expect(jpeg).to_have_attribute("aria-sort", "descending")
    assert column() == [*reversed(numbers), ""], "what was not measured comes last"
    jpeg.get_by_role("button").click()
    expect(jpeg).to_have_attribute("aria-sort", "ascending")
    assert column() == [*numbers, ""]
    jpeg.get_by_role("button").click()
    expect(jpeg).to_have_attribute("aria-sort", "none")
    assert column() == printed_order


def test_scorecard_filters_by_verdict_and_a_link_to_a_hidden_claim_still_arrives(page: Page) -> None:
    claims = page.locator(".claims tbody:visible")
    expect(claims).to_have_count(6)
    page.get_by_role("button", name="not reproduced").click()
    expect(claims).to_have_count(1)
    expect(claims.first).to_contain_text("verified robust accuracy")
    expect(page.locator(".shown")).to_have_text("1 of 6 claims")
    page.locator("#hrm-table2 .claim-here a").first.click()
    expect(page.locator("#claim-hrm-hrm-raises-pgd-accuracy")).to_be_in_viewport()
    expect(claims).to_have_count(6)


def test_scorecard_links_each_claim_to_where_it_is_judged(page: Page) -> None:
    links = page.locator(".claims td.where a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert links[:4] == ["#hrm-table2", "#hrm-table5", "#hrm-table2", "#hamming-table1"]
    assert page.evaluate("links => links.filter(link => !document.querySelector(link))", links) == []


def test_no_horizontal_page_scroll_on_a_phone_while_wide_tables_scroll_inside(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    for button in page.locator(".open-all, summary").all():
        button.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    scroller = page.locator("#hamming-table1 > .scroller")
    assert scroller.evaluate("box => box.scrollWidth > box.clientWidth")
    page.close()


def test_the_name_of_a_paper_stays_whole_on_a_phone(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address)
    lines = page.locator(".paper-id a").evaluate_all("links => links.map(link => link.getClientRects().length)")
    assert lines == [1] * 6
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_readable_contrast(browser: Browser, address: str, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    page.locator("#hrm-table2 .open-all").click()
    page.locator("#hamming-table2 .open-all").click()
    for summary in page.locator("summary").all():
        summary.click()
    contrast = page.evaluate(POOR_CONTRAST)
    page.close()
    assert contrast["seen"] > 300
    assert (contrast["page"] < 0.1) == (scheme == "dark")
    assert contrast["poor"] == []


def test_theme_toggle_overrides_the_system_and_is_remembered(page: Page) -> None:
    theme = page.locator(".theme")
    theme.click()
    theme.click()
    expect(theme).to_have_accessible_name("Colour theme: dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    expect(theme).to_have_accessible_name("Colour theme: dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    theme.click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_figure_enlarges_and_escape_closes_it(page: Page) -> None:
    page.get_by_role("button", name="Enlarge Figure 2").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Enlarge Figure 2")).to_be_focused()


def test_first_tab_stop_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_what_is_missing_says_not_measured_in_its_place(page: Page) -> None:
    expect(page.locator("#hrm-figure3")).to_contain_text(
        "Figure 3: not measured. There is no papers/hrm/figures/figure3.png"
    )
    expect(page.locator("#hrm-table5")).to_contain_text("Table 5: not measured.")
    expect(page.locator("#hrm-table5 .caption")).to_have_text("Black-box attacks on MNIST")


def test_the_words_of_the_page_and_of_each_paper_are_explained(page: Page) -> None:
    hollow = page.locator(".glossary").get_by_text("Without the pairs of an example with itself.")
    expect(hollow).to_be_hidden()
    page.get_by_text("How to read this page").click()
    expect(hollow).to_be_visible()
    expect(page.locator(".glossary dt").first).to_have_text("ours, printed")


def test_in_short_stands_before_the_claims(page: Page) -> None:
    expect(page.locator(".in-short h3")).to_have_text(["In short: hrm", "In short: hamming"])
    expect(page.locator(".in-short li").first).to_contain_text("Of 3 claims, 1 holds here")


def test_stand_in_and_unverified_data_are_told_at_the_top(page: Page) -> None:
    expect(page.get_by_text("No verdict: digits stand in for mnist.")).to_be_in_viewport()
    expect(page.get_by_text("Taken from 1797 small scans. What is measured on them is indicative")).to_be_in_viewport()
    expect(page.get_by_text("Unverified data: cifar10.")).to_be_in_viewport()
    smaller = "Smaller than in the papers: convnet instead of resnet50 (12 of the models)."
    expect(page.get_by_text(smaller)).to_be_in_viewport()
    expect(page.locator("#hrm-table2 .stand-in")).to_contain_text("No verdict: digits instead of mnist")


def test_texts_are_escaped(html: str, page: Page) -> None:
    assert "<script>two moons" not in html
    assert html.count("<script") == 1
    expect(page.locator("#hrm-figure2 figcaption")).to_contain_text("<script>two moons</script>")


def test_report_is_the_same_bytes_again_and_names_no_path_of_the_machine(html: str, scale_folder: Path) -> None:
    assert build_report(SPEC, scale_folder) == html
    assert str(scale_folder) not in html

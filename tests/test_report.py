"""The report's pages, read in a headless Chromium the way a researcher reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from report_sample import SPEC, page_spec
from report_sample_claims import CHANGE
from report_sample_tables import weights_sha256

from robustrepro.report import build_page, build_report

pytest_plugins = ["report_pages"]
PAGES = ("index", "hrm", "hamming")

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


def open_all_folds(page: Page) -> None:
    """Open every fold, those inside others included."""
    page.locator("details").evaluate_all("folds => folds.forEach(fold => (fold.open = true))")


@pytest.mark.parametrize("name", [*PAGES, "unsaid"])
def test_opens_without_console_message_or_network_request(
    name: str, browser: Browser, addresses: dict[str, str]
) -> None:
    page = browser.new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(addresses[name], wait_until="networkidle")
    for button in page.locator(".theme, .filter, .unfold, .sort, summary").all():
        if button.is_visible():
            button.click()
    if page.locator(".enlarge").count():
        page.locator(".enlarge").click()
        page.keyboard.press("Escape")
    page.close()
    assert messages == []
    assert requests[0] == addresses[name]
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert [url for url in requests if url.startswith("file:")] == [addresses[name]]


def test_origin_of_a_number_opens_by_keyboard_and_shows_the_whole_sha256(hrm: Page) -> None:
    origin = hrm.locator("#hrm-table2 .origin").nth(2)
    sha256 = weights_sha256("mnist-lenet5-erm", 1)
    panel = hrm.locator("#hrm-table2-1-3")
    expect(panel).to_be_hidden()
    origin.focus()
    hrm.keyboard.press("Enter")
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
    hrm.keyboard.press("Enter")
    expect(panel).to_be_hidden()


def test_the_copy_button_hands_over_the_whole_sha256_or_selects_it(hrm: Page) -> None:
    hrm.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
    hrm.locator(".open-all").first.click()
    row = hrm.locator("td.sha").first
    row.get_by_role("button").click()
    checksum = row.locator("code").text_content()
    assert hrm.evaluate("window.copied") == checksum
    assert len(checksum or "") == 64
    hrm.evaluate("() => { navigator.clipboard.writeText = async () => { throw new Error('no clipboard'); }; }")
    row.get_by_role("button").click()
    expect(hrm.locator(".announcement")).to_have_text("Selected; copy it with the keyboard")
    assert hrm.evaluate("getSelection().toString()").strip() == checksum


def test_table_sorts_numerically_and_returns_to_the_papers_order(hamming: Page) -> None:
    table = hamming.locator("#hamming-table1 table.numbers")
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


def test_claims_filter_by_verdict_and_a_link_to_a_hidden_claim_still_arrives(hamming: Page) -> None:
    claims = hamming.locator(".claims tbody:visible")
    expect(claims).to_have_count(4)
    hamming.get_by_role("button", name="not reproduced").click()
    expect(claims).to_have_count(1)
    expect(claims.first).to_contain_text("verified robust accuracy")
    expect(hamming.locator(".shown")).to_have_text("1 of 4 claims")
    hamming.locator("#hamming-table1 .claim-here a").first.click()
    expect(hamming.locator("#claim-hamming-all-adversaries")).to_be_in_viewport()
    expect(claims).to_have_count(4)


def test_claims_link_to_where_they_are_judged(hrm: Page) -> None:
    links = hrm.locator(".claims td.where a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    assert links == ["#hrm-table2", "#hrm-table5", "#hrm-table2"]
    assert hrm.evaluate("links => links.filter(link => !document.querySelector(link))", links) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_between_the_pages_arrives(name: str, browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page()
    page.goto(addresses[name])
    links = page.locator("a").evaluate_all("links => links.map(link => link.href)")
    targets = {link.partition("#")[0].partition("?")[0]: set() for link in links}
    for link in links:
        target, _, anchor = link.partition("#")
        targets[target.partition("?")[0]].add(anchor)
    assert set(targets) == {addresses[each] for each in PAGES}
    for target, anchors in targets.items():
        page.goto(target)
        here = page.locator("[id]").evaluate_all("elements => elements.map(element => element.id)")
        assert anchors - {"", *here} == set(), target
    page.close()


def test_the_side_bar_leads_to_every_page_and_marks_this_one(hrm: Page) -> None:
    nav = hrm.locator("nav")
    expect(nav.locator("> ol > li > a")).to_have_text(
        [
            "All claims",
            "Hollow Risk Minimization for Robustness",
            "Efficient Regularization for Robust Deep ReLU Networks",
        ]
    )
    expect(nav.locator("[aria-current='page']")).to_have_text("Hollow Risk Minimization for Robustness")
    nav.get_by_role("link", name="All claims").click()
    expect(hrm.locator("nav [aria-current='page']")).to_have_text("All claims")
    hrm.locator("nav").get_by_role("link", name="Efficient Regularization").click()
    expect(hrm.locator("h1")).to_have_text("Efficient Regularization for Robust Deep ReLU Networks")


@pytest.mark.parametrize("name", [*PAGES, "unsaid"])
def test_no_horizontal_page_scroll_on_a_phone(name: str, browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 844})
    page.goto(addresses[name])
    for button in page.locator(".open-all:visible, .unfold-all").all():
        button.click()
    open_all_folds(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.close()


@pytest.mark.parametrize("name", [*PAGES, "unsaid"])
def test_what_became_of_a_claim_is_on_the_screen_of_a_phone(
    name: str, browser: Browser, addresses: dict[str, str]
) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 844})
    page.goto(addresses[name])
    open_all_folds(page)
    deciding = page.locator(
        ".claims .verdict:visible, .badge:visible, .margin:visible, .declared-readings .numeric:visible"
    )
    assert deciding.count() > 4
    beyond = deciding.evaluate_all("cells => cells.filter(cell => cell.getBoundingClientRect().right > 400)")
    assert beyond == []
    scrolled = page.locator(".scroller:has(> .claims), .scroller:has(> .declared-readings)")
    assert scrolled.evaluate_all("boxes => boxes.every(box => box.scrollWidth <= box.clientWidth)")
    page.close()


@pytest.mark.parametrize("width", [1030, 1200, 1300, 1440])
def test_every_column_of_the_list_of_claims_is_on_the_screen(
    width: int, browser: Browser, addresses: dict[str, str]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(addresses["index"])
    around = page.locator(".lines").locator("xpath=..")
    assert around.evaluate("box => box.scrollWidth <= box.clientWidth")
    page.close()


def test_wide_tables_scroll_inside_on_a_phone(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(addresses["hamming"])
    scroller = page.locator("#hamming-table1 > .scroller")
    assert scroller.evaluate("box => box.scrollWidth > box.clientWidth")
    page.close()


def test_the_name_of_a_paper_stays_whole_on_a_phone(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(addresses["index"])
    lines = page.locator(".paper-id a").evaluate_all("links => links.map(link => link.getClientRects().length)")
    assert lines == [1] * 7
    page.close()


@pytest.mark.parametrize("name", [*PAGES, "unsaid"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_readable_contrast(name: str, browser: Browser, addresses: dict[str, str], scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(addresses[name])
    for button in page.locator(".open-all:visible, .unfold-all").all():
        button.click()
    open_all_folds(page)
    contrast = page.evaluate(POOR_CONTRAST)
    page.close()
    assert contrast["seen"] > 150
    assert (contrast["page"] < 0.1) == (scheme == "dark")
    assert contrast["poor"] == []


def test_theme_toggle_overrides_the_system_and_is_remembered_over_pages(hrm: Page) -> None:
    theme = hrm.locator(".theme")
    theme.click()
    theme.click()
    expect(theme).to_have_accessible_name("Colour theme: dark")
    dark = hrm.evaluate("getComputedStyle(document.body).backgroundColor")
    hrm.locator("nav").get_by_role("link", name="All claims").click()
    expect(theme).to_have_accessible_name("Colour theme: dark")
    assert hrm.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    theme.click()
    assert hrm.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_figure_enlarges_and_escape_closes_it(hrm: Page) -> None:
    hrm.get_by_role("button", name="Enlarge Figure 2").press("Enter")
    dialog = hrm.get_by_role("dialog")
    expect(dialog.get_by_role("img")).to_be_visible()
    hrm.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(hrm.get_by_role("button", name="Enlarge Figure 2")).to_be_focused()


def test_first_tab_stop_skips_to_the_content(hrm: Page) -> None:
    hrm.keyboard.press("Tab")
    expect(hrm.get_by_role("link", name="Skip to the content")).to_be_focused()
    hrm.keyboard.press("Enter")
    expect(hrm.locator("main")).to_be_focused()


def test_what_is_missing_says_not_measured_in_its_place(hrm: Page) -> None:
    expect(hrm.locator("#hrm-figure3")).to_contain_text(
        "Figure 3: not measured. There is no papers/hrm/figures/figure3.png"
    )
    expect(hrm.locator("#hrm-table5")).to_contain_text("Table 5: not measured.")
    expect(hrm.locator("#hrm-table5 .caption")).to_have_text("Black-box attacks on MNIST")


def test_the_words_of_the_page_and_of_the_paper_are_explained(hrm: Page) -> None:
    expect(hrm.locator("#words dt").first).to_have_text("ours, printed")
    expect(hrm.locator("#words")).to_contain_text("Without the pairs of an example with itself.")


def test_what_a_paper_is_about_stands_before_its_verdicts(index: Page, hrm: Page) -> None:
    for about in (index.locator(".papers li").first, hrm.locator("main")):
        text = about.inner_text()
        places = [text.index(part) for part in ("Hollow Risk Minimization", "Anonymous authors", "Replaces the mean")]
        assert places == sorted(places)
        assert places[-1] < text.index("Of 3 claims")


def test_in_short_stands_before_the_claims(hrm: Page) -> None:
    expect(hrm.locator(".in-short h3")).to_have_text("In short")
    expect(hrm.locator(".in-short li").first).to_contain_text("Of 3 claims, 1 holds here")


@pytest.mark.parametrize("name", PAGES)
def test_stand_in_and_unverified_data_are_told_at_the_top(
    name: str, browser: Browser, addresses: dict[str, str]
) -> None:
    page = browser.new_page()
    page.goto(addresses[name])
    masthead = page.locator(".masthead")
    expect(masthead.locator(".stand-in-banner")).to_have_count(1)  # however many there are
    expect(masthead.get_by_text("No verdict: other data stand in for the papers’ own.")).to_be_visible()
    expect(masthead.locator(".stand-in-banner li").first).to_have_text("digits for mnist: 1797 small scans")
    expect(masthead.get_by_text("Unverified data: cifar10.")).to_be_visible()
    page.close()


def test_a_table_says_that_its_data_are_stand_ins(hrm: Page) -> None:
    expect(hrm.locator("#hrm-table2 .stand-in")).to_contain_text("No verdict: digits instead of mnist")


@pytest.mark.parametrize("name", PAGES)
def test_what_the_scale_changes_is_folded_at_the_top_by_setting(
    name: str, browser: Browser, addresses: dict[str, str]
) -> None:
    page = browser.new_page()
    page.goto(addresses[name])
    changes = page.locator(".scale-changes")
    expect(changes.locator("dl")).to_be_hidden()
    changes.locator("> summary").click()
    expect(changes.locator("> summary")).to_contain_text("4 differences from the papers")
    expect(changes.locator("dt")).to_have_text(["data", "architecture", "epochs"])
    epochs = changes.locator("dl > div").nth(2)
    expect(epochs.locator("dd").nth(0)).to_contain_text("4 instead of 100 2 models")
    expect(epochs.locator("dd").nth(1)).to_contain_text("12 instead of 100 1 model")
    epochs.locator("summary").first.click()
    expect(epochs.get_by_text("cifar10-erm, cifar10-hrm")).to_be_visible()
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_what_config_changes_has_a_banner_of_its_own(name: str, browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_page()
    page.goto(addresses[name])
    banner = page.locator(".changed-banner")
    expect(banner).to_contain_text("Changed in config.yaml:")
    expect(banner.locator("li")).to_have_text(
        [
            "optimizer.learning_rate: 0.002 instead of 0.1 mnist-lenet5-hrm",
            "epochs: 9 instead of this scale's 4 cifar10-cem",
        ]
    )
    page.close()


def test_what_config_changes_is_said_at_its_row_its_claim_and_the_departures(hrm: Page) -> None:
    marks = hrm.locator("#hrm-table2 .sortable > tbody > tr:first-child > th").evaluate_all(
        "rows => rows.map(row => row.querySelector('.changed-mark')?.textContent.trim())"
    )
    assert marks == [None, None, f"changed: {CHANGE}"]
    expect(hrm.locator(".claims .changed")).to_have_text([f"Changed: {CHANGE} (mnist-lenet5-hrm)"])
    expect(hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy .changed")).to_be_visible()
    expect(hrm.locator("#hrm-departures .changed")).to_contain_text(
        "This run differs from what is written here, because config.yaml changes it: optimizer.learning_rate: 0.002"
    )


def test_a_claim_and_a_table_list_what_differs_from_the_paper(hrm: Page) -> None:
    for place in ("#claim-hrm-hrm-raises-pgd-accuracy", "#hrm-table2"):
        differs = hrm.locator(place).locator(".differs")
        expect(differs.locator("li").first).to_be_hidden()
        differs.get_by_text("2 differences from the paper").click()
        expect(differs.locator("li")).to_have_text(["data: digits instead of mnist", f"{CHANGE} (mnist-lenet5-hrm)"])


def test_a_bound_that_no_accuracy_meets_and_an_interval_that_crosses_say_so(hamming: Page) -> None:
    beyond = hamming.locator("#claim-hamming-closer-to-clean .statement")
    expect(beyond).to_contain_text("cannot be asked: Hamming + stability ≥ Normal + 20")
    expect(beyond.get_by_text("cannot be asked: ")).to_be_visible()
    assert beyond.locator("use").get_attribute("href") == "#icon-void"
    expect(hamming.locator("#claim-hamming-cheap .margin")).to_have_text("margin +0.20; about 9 seeds would decide")


def test_texts_are_escaped(scale_folder: Path, hrm: Page) -> None:
    html = (scale_folder / "report/hrm.html").read_text("utf-8")
    assert "<script>two moons" not in html
    assert html.count("<script") == 2  # the page's own, and what it was made from
    expect(hrm.locator("#hrm-figure2 figcaption")).to_contain_text("<script>two moons</script>")


def test_a_page_is_the_same_bytes_again_and_names_no_path_of_the_machine(scale_folder: Path) -> None:
    made = {"index": build_report(SPEC, scale_folder)}
    made |= {paper: build_page(page_spec(paper), scale_folder) for paper in ("hrm", "hamming")}
    for name, html in made.items():
        assert (scale_folder / f"report/{name}.html").read_text("utf-8") == html
        assert str(scale_folder.parent) not in html

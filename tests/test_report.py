"""The report, read in a headless Chromium the way a researcher reads it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from report_sample import SPEC, weights_sha256, write_sample

from robustrepro.errors import UserError
from robustrepro.report import build_report
from robustrepro.report.content import Cell
from robustrepro.report.presentation import difference_step, distinct_specs, number, signed

CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = os.environ.get("ROBUSTREPRO_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip(f"needs a Chromium: set ROBUSTREPRO_CHROMIUM or put one of {', '.join(names)} in PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def scale_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    write_sample(folder)
    return folder


@pytest.fixture(scope="module")
def html(scale_folder: Path) -> str:
    return build_report(SPEC, scale_folder)


@pytest.fixture(scope="module")
def address(html: str, scale_folder: Path) -> str:
    path = scale_folder / "report" / "index.html"
    path.parent.mkdir()
    path.write_text(html, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    yield page
    page.close()


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
    page.locator("#hrm-audit summary").click()
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
    for text in ("step_size", "optimizer.learning_rate", "abc1234 (modified)", "95% over 3 seeds", "seed1/pgd.parquet"):
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


def test_filters_of_both_verdicts_combine(page: Page) -> None:
    claims = page.locator(".claims tbody:visible")
    reproduced = page.get_by_role("group", name="Reproduced?")
    survives = page.get_by_role("group", name="Survives the audit?")
    survives.get_by_role("button", name="not applicable").click()
    expect(claims).to_have_count(2)
    reproduced.get_by_role("button", name="inconclusive").click()
    expect(claims).to_have_count(1)
    expect(claims.first).to_contain_text("a sixth of the next best")
    survives.get_by_role("button", name="vacuous").click()
    expect(claims).to_have_count(1)
    survives.get_by_role("button", name="not applicable").click()
    expect(claims).to_have_count(0)
    expect(page.locator(".shown")).to_have_text("0 of 6 claims")
    page.get_by_role("button", name="Show all").click()
    expect(claims).to_have_count(6)


def test_scorecard_sorts_by_the_audit(page: Page) -> None:
    page.get_by_role("columnheader", name="Survives the audit?").get_by_role("button").click()
    badges = page.locator(".claims tbody td:nth-child(5) .badge")
    expect(badges).to_have_text(
        ["survives", "vacuous", "indicative: does not survive", "not measured", "not applicable", "not applicable"]
    )


def test_scorecard_says_what_takes_a_claim_down_below_the_badge_of_the_audit(page: Page) -> None:
    cells = page.locator("#claim-hrm-hrm-raises-pgd-accuracy td.verdict")
    expect(cells.nth(0).locator(".badge")).to_have_text("indicative: holds")
    expect(cells.nth(0)).to_contain_text("digits stand in for mnist")
    expect(cells.nth(1).locator(".badge")).to_have_text("indicative: does not survive")
    expect(cells.nth(1).locator(".figures")).to_have_text(re.compile(r"^audit: pgd-margin: .*; margin -16.60$"))
    cells.nth(1).get_by_role("link", name="every attack").click()
    expect(page.locator("#hrm-audit-hrm-raises-pgd-accuracy")).to_be_in_viewport()


def test_audit_shows_the_claims_that_rest_on_an_attack_with_their_comparisons(page: Page) -> None:
    page.locator("nav").get_by_role("link", name="Audit").first.click()
    section = page.locator("#hrm-audit")
    expect(section).to_be_in_viewport()
    claim = section.locator(".audited")
    expect(claim).to_have_count(1)
    expect(claim.locator(".badge")).to_have_text(["indicative: holds", "indicative: does not survive"])
    comparison = claim.locator(".comparison > div")
    expect(comparison.nth(0)).to_contain_text("margin -16.60 [95%: -17.90, -15.30]")
    expect(comparison.nth(0)).to_contain_text("1 of 1 conditions fail")
    smaller = comparison.nth(2).locator(".figures")
    expect(smaller).to_have_text([re.compile("^at ε = 0.0375:.*-16.80.$"), re.compile(r"^at ε = 0.15:.*\+2.20.$")])
    expect(section).to_contain_text("not audited: hrm-is-not-masked.")
    expect(page.locator("#hamming-audit .audited")).to_have_count(2)
    expect(page.locator("#hamming-audit #hamming-audit-verified")).to_contain_text("one class for all images")


def test_folded_attacks_open_by_keyboard_with_the_most_harmful_and_the_papers_own_marked(page: Page) -> None:
    claim = page.locator("#hrm-audit .audited")
    table = claim.get_by_role("table")
    expect(table).to_be_hidden()
    claim.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(table).to_be_visible()
    rows = table.locator("tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    assert rows[1:] == [
        ["fgsm", "71.4%", "23.1%"],
        ["pgd40 the paper's own", "39.9%", "3.4%"],
        ["audit: pgd-float64", "30.2%", "1.2%"],
        ["audit: pgd-margin", "most harmful: 3.5%", "most harmful: 0.0%"],
        ["transfer from every other model", "44.0%", "20.0%"],
        ["audit: pgd-margin-10, straight-through copy", "12.0%", "not run"],
        ["worst case", "3.4%", "0.0%"],
    ]
    expect(table.locator(".harms-most .icon")).to_have_count(2)
    worst_case = table.locator("tfoot td").first
    assert worst_case.evaluate("cell => getComputedStyle(cell).fontWeight") == "700"
    expect(claim).to_contain_text("ℓ∞, ε = 0.3, 1,000 images, 3 seeds.")


def test_cells_in_different_balls_each_name_theirs_and_their_own_attack(page: Page) -> None:
    claim = page.locator("#hamming-audit-all-adversaries")
    expect(claim).to_contain_text("table1[ours, linf]: ℓ∞, ε = 0.3, 1,000 images, 3 seeds.")
    expect(claim).to_contain_text("table1[ours, l2]: ℓ2, ε = 1, 1,000 images, 3 seeds.")
    expect(claim.locator(".own")).to_have_text(
        ["the paper's own for table1[ours, linf]", "the paper's own for table1[ours, l2]"]
    )


def test_alarms_are_listed_with_value_bound_and_seeds_and_those_that_went_off_are_marked(page: Page) -> None:
    claim = page.locator("#hrm-audit .audited")
    expect(claim.locator("summary")).to_contain_text("6 attacks on 2 cells, 1 alarm went off")
    alarms = claim.locator(".alarms li")
    expect(alarms).to_have_count(4)
    expect(claim.locator(".alarms .off")).to_have_count(1)
    expect(claim.locator(".alarms .off")).to_have_text(
        "zero gradients went off in 2 of 3 seeds: 30.0% against 20.0% (seed 2, the worst); share without gradient"
    )
    expect(alarms.nth(0)).to_contain_text("one step beats many silent: 12.0% against 20.0% (seed 2, the worst)")
    expect(page.locator("#hamming-audit-verified .alarms")).to_contain_text("None was checked")


def test_without_audit_the_section_says_not_measured(tmp_path: Path, browser: Browser) -> None:
    write_sample(tmp_path)
    (tmp_path / "audit.json").unlink()
    page = browser.new_page()
    page.set_content(build_report(SPEC, tmp_path))
    expect(page.locator("#hrm-audit")).to_contain_text("The audit: not measured. There is no audit.json at this scale.")
    expect(page.locator(".audited")).to_have_count(0)
    page.close()


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


def test_both_badges_on_a_phone_say_which_is_which(browser: Browser, address: str, page: Page) -> None:
    expect(page.locator(".which").first).to_be_hidden()
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(address)
    card = phone.locator("#claim-hrm-hrm-raises-pgd-accuracy")
    expect(card.locator(".which:visible")).to_have_text(["Reproduced?", "Survives the audit?"])
    for badge in card.locator(".badge").all():
        box = badge.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    phone.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_readable_contrast(browser: Browser, address: str, scheme: Any) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(address)
    page.locator("#hrm-table2 .open-all").click()
    page.locator("#hrm-audit summary").click()
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
    expect(page.locator("#hamming-table1 .no-number")).to_have_text("not measured")


def test_stand_in_and_unverified_data_are_told_at_the_top(page: Page) -> None:
    expect(page.get_by_text("No verdict: digits stand in for mnist.")).to_be_in_viewport()
    expect(page.get_by_text("Unverified data: cifar10.")).to_be_in_viewport()
    expect(page.locator("#hrm-table2 .stand-in")).to_contain_text("No verdict: digits instead of mnist")


def test_texts_are_escaped(html: str, page: Page) -> None:
    assert "<script>two moons" not in html
    assert html.count("<script") == 1
    expect(page.locator("#hrm-figure2 figcaption")).to_contain_text("<script>two moons</script>")


def test_report_is_the_same_bytes_again_and_names_no_path_of_the_machine(html: str, scale_folder: Path) -> None:
    assert build_report(SPEC, scale_folder) == html
    assert str(scale_folder) not in html


def test_paper_data_alone_gives_no_banner_and_no_scorecard_says_so(tmp_path: Path) -> None:
    spec = deepcopy(SPEC) | {"stand_ins": {}, "unverified": []}
    html = build_report(spec, tmp_path)
    assert 'class="banner' not in html
    assert "Claims: not measured." in html


@pytest.mark.parametrize(
    ("difference", "printed", "unit", "step"),
    [
        (0.99, 50, "%", "same"),
        (-1.0, 50, "%", "below1"),
        (20.0, 50, "%", "above3"),
        (0.3, 2.0, "", "above2"),
        (-0.3, -2.0, "", "below2"),
        (0.1, 0.0, "", "above3"),
        (0.0, 0.0, "", "same"),
    ],
)
def test_difference_is_coloured_by_points_or_relative_to_the_printed(
    difference: float, printed: float, unit: str, step: str
) -> None:
    assert difference_step(Cell(row="a", column="b", printed_value=printed, difference=difference), unit) == step


def test_numbers_have_a_true_minus_and_no_signed_zero() -> None:
    assert number(-1.234, 2) == "−1.23"
    assert number(float("inf"), 2) == "∞"
    assert [signed(value, 1) for value in (-0.04, 0.04, 0.06, 10.0, -10.0)] == ["0.0", "0.0", "+0.1", "+10.0", "−10.0"]


def test_specs_that_differ_only_in_the_seed_are_listed_once() -> None:
    def value(seed: int, epochs: int) -> dict[str, Any]:
        source = {
            "model": "m",
            "weights_sha256": "0",
            "measurement": "p",
            "training_spec": {"seed": seed, "epochs": epochs},
        }
        return {"seed": seed, "sources": [source]}

    same = Cell.model_validate({"row": "a", "column": "b", "values": [value(0, 5), value(1, 5)]})
    assert distinct_specs(same, "training_spec") == [("m", [("epochs", "5")])]
    differing = Cell.model_validate({"row": "a", "column": "b", "values": [value(0, 5), value(1, 6)]})
    assert len(distinct_specs(differing, "training_spec")) == 2


def _spoil_scorecard(folder: Path) -> None:
    path = folder / "scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",reproduced,", ",reproducd,"), "utf-8")


def _spoil_verdict_of_the_audit(folder: Path) -> None:
    path = folder / "scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",survives,", ",survive,"), "utf-8")


def _spoil_audit(folder: Path) -> None:
    path = folder / "audit.json"
    path.write_text(path.read_text("utf-8").replace('"worst_case": 3.4', '"worst_case": "low"'), "utf-8")


def _drop_a_column_of_the_audit(folder: Path) -> None:
    path = folder / "audit.csv"
    path.write_text(path.read_text("utf-8").replace("smaller_epsilon", "smaller"), "utf-8")


def _drop_the_audits_lines(folder: Path) -> None:
    (folder / "audit.csv").unlink()


def _forget_an_audited_claim(folder: Path) -> None:
    path = folder / "scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",verified,", ",certified,"), "utf-8")


def _spoil_table(folder: Path) -> None:
    path = folder / "papers/hrm/tables/table2.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"decimals": "many"}), "utf-8")


def _spoil_figure(folder: Path) -> None:
    (folder / "papers/hrm/figures/figure2.png").write_text("not an image", "utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_spoil_scorecard, "'all-adversaries' in .*scorecard.csv: 'reproducd'; did you mean 'reproduced'"),
        (
            _spoil_verdict_of_the_audit,
            "audit of the claim 'all-adversaries' in .*scorecard.csv: 'survive'; did you mean",
        ),
        (_spoil_audit, 'audit.json: 0.cells.0.worst_case: .*number.*found "low"'),
        (_drop_a_column_of_the_audit, "audit.csv: no column 'smaller_epsilon'"),
        (_drop_the_audits_lines, "audit.csv: missing beside audit.json"),
        (_forget_an_audited_claim, "audit.json: the claim 'verified' of hamming is not in .*scorecard.csv"),
        (_spoil_table, 'table2.json: decimals: .*integer.*found "many"'),
        (_spoil_figure, "figure2.png: not a PNG image"),
    ],
)
def test_a_spoilt_file_is_named_with_what_was_found(spoil: Any, message: str, tmp_path: Path) -> None:
    write_sample(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError) as raised:
        build_report(SPEC, tmp_path)
    assert re.search(message, str(raised.value))

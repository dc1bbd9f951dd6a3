"""What the report shows of readings: a claim under each, the versions of a table, and how many were tried."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from report_sample import page_spec, write_sample
from report_sample_readings import AUDIT, DECLARED, INDEX, PAGE, ROWS, SCORECARD, UNDER, write_readings

from robustrepro.errors import UserError
from robustrepro.report import build_page, build_report
from robustrepro.report.comparison import comparison
from robustrepro.report.content import Paper
from robustrepro.report.displays import DeclaredTable, TableVersions
from robustrepro.report.loading import read_page
from robustrepro.report.summary import in_short
from robustrepro.report.table import Table

pytest_plugins = ["report_pages"]


def paper_in(scale_folder: Path) -> Paper:
    return read_page(PAGE, scale_folder).paper


def changed(folder: Path, change: Callable[[list[dict[str, Any]]], None], file: str, entries: Any) -> None:
    """Write the scorecard or audit of the sample once more, changed."""
    entries = copy.deepcopy(entries)
    change(entries)
    (folder / f"papers/unsaid/{file}").write_text(json.dumps(entries), "utf-8")


def with_verdicts(folder: Path, gain: str, alone: str) -> None:
    """Give both claims of the sample another headline."""
    path = folder / "papers/unsaid/scorecard.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(row | {"verdict": verdict} for row, verdict in zip(ROWS, (gain, alone), strict=True))


# -- without readings ----------------------------------------------------------------------------------------


def test_a_paper_without_readings_shows_nothing_of_them(tmp_path: Path) -> None:
    write_sample(tmp_path)
    html = build_page(page_spec("hrm"), tmp_path)
    body = html.partition("<body>")[2]
    for word in ("multiverse", "specification", "Readings", "which-reading", 'class="version', "reading-list"):
        assert word not in body, word
    claim = read_page(page_spec("hrm"), tmp_path).paper.claims[0]
    assert (claim.reading, claim.tried, claim.under, claim.has_readings, claim.specification) == (
        "",
        1,
        "",
        False,
        None,
    )


# -- a claim -------------------------------------------------------------------------------------------------


def test_a_claim_has_its_headline_and_every_reading_in_the_papers_order(tmp_path: Path) -> None:
    write_readings(tmp_path)
    gain, alone = paper_in(tmp_path).claims
    assert (gain.reading, gain.tried, gain.under) == ("clipped", 3, UNDER)
    assert [reading.name for reading in gain.readings] == ["plain", "clipped", "short-steps"]
    assert gain.conditions == gain.readings[1].judged.conditions
    assert gain.survival is not None
    assert gain.survival.why == "no image of clipped resists every attack"
    assert [reading.name for reading in gain.audited] == ["clipped", "plain", "short-steps"]
    assert (alone.reading, alone.has_readings, alone.survival) == ("plain", False, None)


def test_a_comparison_names_the_reading_of_its_table(tmp_path: Path) -> None:
    write_readings(tmp_path)
    paper = paper_in(tmp_path)
    plain, clipped, _ = paper.claims[0].readings
    (first, _), (second, _) = plain.judged.conditions, clipped.judged.conditions
    assert comparison(first, paper).where.startswith("Table\u00a02, PGD")
    assert comparison(second, paper).where.startswith("Table\u00a02 (clipped), PGD")
    assert comparison(second, paper).statement == "HRM ≥ ERM (Baseline) + 20"


def test_a_claim_stands_at_the_declared_table_whatever_version_it_compares(tmp_path: Path) -> None:
    write_readings(tmp_path)
    assert [claim.anchors for claim in paper_in(tmp_path).claims] == [("unsaid-table2",)] * 2


def test_the_curve_of_a_claim_is_no_figure_of_the_paper(tmp_path: Path) -> None:
    write_readings(tmp_path)
    listed = {"id": "specification-gain", "where": "Specification curve", "caption": "All of them."}
    paper = read_page(PAGE | {"paper": DECLARED | {"figures": [listed]}}, tmp_path).paper
    assert paper.figures == []
    assert paper.claims[0].specification is not None
    assert paper.claims[0].specification.caption == "All of them."
    assert (paper.claims[0].specification.uri or "").startswith("data:image/png;base64,")
    linked = read_page(PAGE, tmp_path, linked=True).paper.claims[0].specification
    assert linked is not None
    assert linked.uri == "papers/unsaid/figures/specification-gain.png"


def test_a_curve_that_was_not_drawn_is_said_to_be_missing(tmp_path: Path) -> None:
    write_readings(tmp_path, curve=False)
    html = build_page(PAGE, tmp_path)
    assert (
        "The specification curve is missing: there is no <code>papers/unsaid/figures/specification-gain.png</code>"
        in html
    )


def test_a_claim_that_was_measured_under_fewer_than_two_readings_says_why_it_has_no_curve(tmp_path: Path) -> None:
    write_readings(tmp_path)
    html = build_page(PAGE | {"paper": DECLARED | {"figures": []}}, tmp_path)
    assert "There is no specification curve: the claim was measured under fewer than two readings." in html
    assert "3 readings</span></summary>" in html
    assert "the specification curve</span>" not in html


@pytest.mark.parametrize(
    ("file", "entries", "change", "message"),
    [
        (
            "scorecard.json",
            SCORECARD,
            lambda entries: entries[0].update(reading="other"),
            r"scorecard\.json: 0: .*reading 'other' is none of plain, clipped, short-steps.*Make it again",
        ),
        (
            "scorecard.json",
            SCORECARD,
            lambda entries: entries[0]["readings"][1].update(verdict="reproducd"),
            r"scorecard\.json: 0\.readings\.1\.verdict: .*found \"reproducd\"",
        ),
        (
            "scorecard.json",
            SCORECARD,
            lambda entries: entries[0].update(readings=[]),
            r"scorecard\.json: 0\.readings: .*at least 1 item",
        ),
        (
            "audit.json",
            AUDIT,
            lambda entries: entries[1].update(reading="cliped"),
            r"reading of the claim 'gain' in .*audit\.json: 'cliped'.*clipped",
        ),
    ],
    ids=["headline", "verdict", "no reading", "audit"],
)
def test_files_that_contradict_each_other_are_named(
    tmp_path: Path, file: str, entries: Any, change: Any, message: str
) -> None:
    write_readings(tmp_path)
    changed(tmp_path, change, file, entries)
    with pytest.raises(UserError, match=message):
        build_page(PAGE, tmp_path)


def test_a_headline_that_is_not_the_scorecards_is_named(tmp_path: Path) -> None:
    write_readings(tmp_path)
    changed(tmp_path, lambda entries: entries[0].update(reading="plain"), "scorecard.json", SCORECARD)
    message = r"scorecard\.json: the headline of 'gain' is 'plain', in scorecard\.csv 'clipped'\. Make both again"
    with pytest.raises(UserError, match=message):
        build_page(PAGE, tmp_path)


# -- in short ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "alone", "sentence"),
    [
        (
            "reproduced",
            "not reproduced",
            "Of 2 claims, 1 was reproduced under some reading (3 were tried); 1 was not reproduced under any; none "
            "survives the audit under any.",
        ),
        (
            "inconclusive",
            "not measured",
            "Of 2 claims, none holds under any reading (3 were tried); 1 is inconclusive at best; 1 was not measured; "
            "none survives the audit under any.",
        ),
    ],
)
def test_in_short_says_how_many_readings_were_tried(tmp_path: Path, gain: str, alone: str, sentence: str) -> None:
    write_readings(tmp_path)
    with_verdicts(tmp_path, gain, alone)
    assert in_short(paper_in(tmp_path))[0] == sentence


def test_a_reading_that_was_not_measured_was_not_tried(tmp_path: Path) -> None:
    write_readings(tmp_path)
    path = tmp_path / "papers/unsaid/scorecard.csv"
    path.write_text(path.read_text("utf-8").replace(",clipped,3,", ",clipped,2,"), "utf-8")
    assert "(2 were tried)" in in_short(paper_in(tmp_path))[0]
    html = build_page(PAGE, tmp_path)
    assert html.count("<b>clipped</b>, 2 readings tried") == 2
    assert "clipped, 1 of 2" in html
    path.write_text(path.read_text("utf-8").replace(",clipped,2,", ",clipped,two,"), "utf-8")
    with pytest.raises(UserError, match=r"unsaid/scorecard\.csv: gain: 'two' readings tried, expected their number"):
        build_page(PAGE, tmp_path)


def test_in_short_says_where_the_printed_numbers_return_and_what_the_audit_leaves_there(tmp_path: Path) -> None:
    write_readings(tmp_path)
    returned, left = in_short(paper_in(tmp_path))[1:3]
    assert returned == (
        "Closest to the printed numbers: Table 2 under clipped (12.34 points away on average, 34.20 points under "
        "plain)."
    )
    assert left.replace("\u00a0", " ") == (
        "What all attacks together leave of the most robust audited cell there: Table 2 (clipped), PGD (ε = 0.3), HRM "
        "from 40.5% to 0.2%."
    )


def test_in_short_says_nothing_of_printed_numbers_where_no_two_readings_are_compared(tmp_path: Path) -> None:
    write_sample(tmp_path)
    sentences = in_short(read_page(page_spec("hrm"), tmp_path).paper)
    assert not any("nearest" in sentence or "falls" in sentence for sentence in sentences)


def test_a_table_that_no_attack_of_the_audit_was_run_on_falls_nowhere(tmp_path: Path) -> None:
    write_readings(tmp_path)
    changed(tmp_path, lambda entries: entries.clear(), "audit.json", AUDIT)
    sentences = in_short(paper_in(tmp_path))
    assert "Closest to the printed numbers: Table 2 under clipped" in sentences[1]
    assert not any("falls" in sentence for sentence in sentences)


def test_in_short_counts_what_survives_under_a_reading_other_than_the_headlines(tmp_path: Path) -> None:
    write_readings(tmp_path)
    survives: dict[str, str] = {"audit": "survives"}
    changed(tmp_path, lambda entries: entries[0]["readings"][0].update(survives), "scorecard.json", SCORECARD)
    assert in_short(paper_in(tmp_path))[0].endswith("; 1 survives the audit under some.")


def test_the_section_counts_what_holds_and_survives_under_each_reading(tmp_path: Path) -> None:
    write_readings(tmp_path)
    outcomes = {each.reading.name: each for each in paper_in(tmp_path).reading_outcomes}
    counts = {name: (each.hold, each.measured, each.survive, each.audited) for name, each in outcomes.items()}
    assert counts == {"plain": (1, 2, 0, 1), "clipped": (1, 1, 0, 1), "short-steps": (0, 1, 0, 1)}
    unmeasured = {"verdict": "not measured", "audit": "not measured", "conditions": []}
    changed(tmp_path, lambda entries: entries[0]["readings"][2].update(unmeasured), "scorecard.json", SCORECARD)
    outcome = paper_in(tmp_path).reading_outcomes[2]
    assert (outcome.hold, outcome.measured, outcome.audited) == (0, 0, 0)


# -- the versions of a table ---------------------------------------------------------------------------------


def version(key: str, distance: float | None) -> DeclaredTable:
    table = Table.model_validate(
        {
            "id": key,
            "caption": "",
            "where": "Table 2",
            "rows": [],
            "columns": [],
            "cells": [],
            "distance": distance and {"mean_absolute_difference": distance, "cells": 9},
        }
    )
    of, _, reading = key.partition("@")
    return DeclaredTable(key, "Table 2", key, "", "", table, of if reading else "", reading)


@pytest.mark.parametrize(
    ("distances", "closest"),
    [
        ((3.0, 2.0, 4.0), ["table2@a"]),
        ((2.0, 2.0, 4.0), ["table2", "table2@a"]),
        ((None, 2.0, 4.0), ["table2@a"]),
        ((None, 2.0, None), []),
        ((None, None, None), []),
    ],
)
def test_the_closest_version_is_marked_where_there_are_two_to_compare(
    distances: tuple[float | None, ...], closest: list[str]
) -> None:
    declared, *others = map(version, ("table2", "table2@a", "table2@b"), distances)
    assert TableVersions(declared, tuple(others)).closest == closest


def test_a_version_that_was_not_measured_says_so_in_its_place(tmp_path: Path) -> None:
    write_readings(tmp_path)
    (tmp_path / "papers/unsaid/tables/table2@clipped.json").unlink()
    html = build_page(PAGE, tmp_path)
    assert "Table 2 (clipped): not measured.</strong>" in html
    assert "<dd>1 of 1 table, 0 of 0 figures</dd>" in html


# -- on the page ---------------------------------------------------------------------------------------------


def panels(page: Page) -> list[str]:
    """The readings whose table is to be seen."""
    names: list[str] = page.locator(".version:has(> .version-panel:visible) > label b").all_inner_texts()
    return names


def row_of(page: Page, claim: str) -> Locator:
    return page.locator(f"tbody:has(> #claim-unsaid-{claim})")


def test_a_verdict_names_its_reading_and_how_many_were_tried(unsaid: Page) -> None:
    expect(row_of(unsaid, "gain").locator(".which-reading")).to_have_text("under clipped, 3 readings tried")
    expect(row_of(unsaid, "alone").locator(".which-reading, .reading-list")).to_have_count(0)
    expect(row_of(unsaid, "gain").locator(".under")).to_contain_text("reproduced under clipped, not reproduced")
    expect(unsaid.locator("#unsaid-table2 .claim-here").first).to_contain_text("clipped, 1 of 3")


def test_every_reading_of_a_claim_unfolds_by_keyboard(unsaid: Page) -> None:
    row = row_of(unsaid, "gain")
    expect(row.locator(".curve img")).to_be_hidden()
    row.locator(".fold > summary").focus()
    unsaid.keyboard.press("Enter")
    expect(row.locator(".curve img")).to_be_visible()
    lines = row.locator(".reading-list > li > details > summary")
    expect(lines).to_have_count(3)
    for text in ("plain", "default", "not reproduced", "already fails", "margin −19.97", "+0.80", "from logits"):
        expect(lines.first).to_contain_text(text)
    expect(lines.nth(1)).to_contain_text("headline")
    details = row.locator(".reading-list > li").first.locator(".both-sides")
    expect(details).to_be_hidden()
    lines.first.focus()
    unsaid.keyboard.press("Enter")
    expect(details).to_be_visible()
    for text in ("HRM 0.03% printed 56.22%", "Table\u00a02, worst case", "no image of plain resists every attack"):
        expect(details).to_contain_text(text)


def test_the_curve_is_described_for_who_cannot_see_it(unsaid: Page) -> None:
    alt = row_of(unsaid, "gain").locator(".curve img").get_attribute("alt") or ""
    assert alt.startswith(
        "Specification curve of gain: the margin of each comparison under plain, clipped, short-steps."
    )
    assert alt.endswith("(3 readings tried); does not survive under any")


def test_the_readings_stand_in_a_table_of_their_own(unsaid: Page) -> None:
    section = unsaid.locator("#readings")
    expect(section.locator("h2")).to_have_text("Readings: what the paper leaves unsaid")
    expect(section.locator(".caption")).to_contain_text("a multiverse analysis (Steegen et al. 2016)")
    rows = section.locator("tbody tr")
    expect(rows).to_have_count(3)
    for text in (
        "plain",
        "default",
        "How the cross-entropy is computed.",
        "Section 3.1",
        "Nothing in this reading was tuned",
    ):
        expect(rows.first).to_contain_text(text)
    for text in ("Searched: on 1000 images held out", "indicative: steps: 41 instead of 40", "0 of 1"):
        expect(rows.nth(2)).to_contain_text(text)
    unsaid.locator("nav").get_by_role("link", name="Readings").click()
    expect(unsaid.locator("#words dt", has_text="specification curve")).to_be_visible()


def test_the_versions_of_a_table_are_switched_by_keyboard(unsaid: Page) -> None:
    section = unsaid.locator("#unsaid-table2")
    assert panels(unsaid) == ["plain"]
    section.locator("input").first.focus()
    unsaid.keyboard.press("ArrowRight")
    assert panels(unsaid) == ["clipped"]
    shown = section.locator(".version-panel:visible")
    expect(shown).to_contain_text("mean absolute difference to the printed numbers: 12.34 points over 9 cells")
    expect(shown.locator(".closest")).to_have_text("closest to the printed numbers")
    expect(section.locator(".closest")).to_have_count(1)
    expect(section.get_by_role("radio", name="closest to the printed numbers")).to_be_checked()
    shown.locator(".origin").first.click()
    expect(section.locator("[id='unsaid-table2@clipped-1-1']")).to_be_visible()


def test_the_versions_of_a_table_are_switched_without_scripts(browser: Browser, addresses: dict[str, str]) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(addresses["unsaid"])
    page.locator("#unsaid-table2 label").nth(2).click()
    assert panels(page) == ["short-steps"]
    page.context.close()


def test_on_paper_every_version_and_every_reading_is_shown(unsaid: Page) -> None:
    unsaid.emulate_media(media="print")
    assert panels(unsaid) == ["plain", "clipped", "short-steps"]
    expect(row_of(unsaid, "gain").locator(".curve img")).to_be_visible()
    expect(row_of(unsaid, "gain").locator(".both-sides:visible")).to_have_count(3)


def test_the_audit_shows_the_headlines_reading_and_unfolds_the_others(unsaid: Page) -> None:
    article = unsaid.locator("#unsaid-audit-gain")
    expect(article.locator(".both")).to_contain_text("clipped, 3 readings tried")
    expect(article.locator("> .comparison")).to_contain_text("no image of clipped resists every attack")
    others = article.locator(".other-reading")
    expect(others).to_have_count(2)
    others.first.locator("> summary").click()
    expect(others.first).to_contain_text("no image of plain resists every attack")


def test_the_first_page_says_the_reading_and_how_many_were_tried(tmp_path: Path, browser: Browser) -> None:
    write_readings(tmp_path)
    page = browser.new_page()
    page.set_content(build_report(INDEX, tmp_path))
    expect(page.locator(".papers li")).to_contain_text("3 readings of a claim were tried")
    expect(page.locator("#claim-unsaid-gain .which-reading")).to_have_text("clipped, 1 of 3")
    expect(page.locator("#claim-unsaid-alone .which-reading")).to_have_count(0)
    page.close()
    html = build_report(INDEX, tmp_path)
    assert "reproduced under <code>clipped</code>, not reproduced under <code>plain</code>" in html
    assert "multiverse analysis" in html


def test_another_scale_says_its_reading_as_well(tmp_path: Path) -> None:
    quick = tmp_path / "quick"
    quick.mkdir()
    write_readings(quick)
    path = tmp_path / "reduced/scorecard.csv"
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]))
        writer.writeheader()
        writer.writerow(ROWS[0] | {"reading": "short-steps", "tried": "6", "under": "reproduced under `short-steps`"})
    html = build_report(INDEX, quick)
    assert html.count('<span class="which-reading">short-steps, 1 of 6</span>') == 2
    assert "reproduced under <code>short-steps</code>" in html

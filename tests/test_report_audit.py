"""What the report says of the audit, read in a headless Chromium."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from report_sample import page_spec, write_sample

from robustrepro.report import build_page

pytest_plugins = ["report_pages"]


def test_claims_sort_by_the_audit(hamming: Page) -> None:
    hamming.get_by_role("columnheader", name="Survives the audit?").get_by_role("button").click()
    badges = hamming.locator(".claims tbody td:nth-child(4) .badge")
    expect(badges).to_have_text(["survives", "vacuous", "not applicable", "not applicable"])


def test_the_claims_say_what_takes_a_claim_down_below_the_badge_of_the_audit(hrm: Page) -> None:
    cells = hrm.locator("#claim-hrm-hrm-raises-pgd-accuracy td.verdict")
    expect(cells.nth(0).locator(".badge")).to_have_text("indicative: holds")
    expect(cells.nth(0)).to_contain_text("digits stand in for mnist")
    expect(cells.nth(1).locator(".badge")).to_have_text("indicative: does not survive")
    expect(cells.nth(0).locator(".compared")).to_contain_text("HRM 39.90% printed 56.22%")
    expect(cells.nth(1)).to_contain_text("audit: pgd-margin")
    expect(cells.nth(1).locator(".statement")).to_have_text("fails: HRM ≥ ERM (Baseline) + 20 Table 2, PGD (ε = 0.3)")
    expect(cells.nth(1).locator(".margin")).to_have_text(
        "difference 3.50, at least 20 needed: margin −16.50 (95%: −17.80 to −15.20)"
    )
    cells.nth(1).get_by_role("link", name="every attack").click()
    expect(hrm.locator("#hrm-audit-hrm-raises-pgd-accuracy")).to_be_in_viewport()


def test_audit_shows_the_claims_that_rest_on_an_attack_with_their_comparisons(hrm: Page) -> None:
    hrm.locator("nav").get_by_role("link", name="Audit").first.click()
    section = hrm.locator("#hrm-audit")
    expect(section).to_be_in_viewport()
    claim = section.locator(".audited")
    expect(claim).to_have_count(1)
    expect(claim.locator(".both .badge")).to_have_text(["indicative: holds", "indicative: does not survive"])
    comparison = claim.locator(".comparison > div")
    expect(comparison.nth(0)).to_contain_text(
        "difference 3.40, at least 20 needed: margin −16.60 (95%: −17.90 to −15.30)"
    )
    expect(comparison.nth(0)).to_contain_text("1 of 1 comparison fails")
    expect(comparison.nth(0).locator(".statement")).to_contain_text("Table 2, worst case")
    smaller = comparison.nth(2).locator(".smaller")
    expect(smaller.locator("p:first-child .badge")).to_have_text(["indicative: does not hold", "indicative: holds"])
    expect(smaller.nth(0).locator(".statement")).to_contain_text("Table 2, ε = 4/255")
    expect(smaller.nth(0).locator(".margin")).to_have_text(
        re.compile("^difference 3.20, at least 20 needed: margin −16.80")
    )
    expect(section).to_contain_text("not audited: hrm-is-not-masked.")


def test_a_constant_predictor_is_said_to_be_one(hamming: Page) -> None:
    expect(hamming.locator("#hamming-audit .audited")).to_have_count(2)
    vacuous = hamming.locator("#hamming-audit #hamming-audit-verified")
    expect(vacuous).to_contain_text("one class for all images")
    expect(vacuous).to_contain_text("already fails under the paper's own attack")


def test_folded_attacks_open_by_keyboard_with_the_most_harmful_and_the_papers_own_marked(hrm: Page) -> None:
    claim = hrm.locator("#hrm-audit .audited")
    table = claim.get_by_role("table")
    expect(table).to_be_hidden()
    claim.locator("details > summary").focus()
    hrm.keyboard.press("Enter")
    expect(table).to_be_visible()
    rows = table.locator("tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    assert rows[1:] == [
        ["fgsm", "71.4%", "23.1%"],
        ["PGD, 40 stepspgd40 the paper's own", "39.9%", "3.4%"],
        ["audit: pgd-float64", "30.2%", "1.2%"],
        ["audit: pgd-margin", "most harmful: 3.5%", "most harmful: 0.0%"],
        ["transfer from every other model", "44.0%", "20.0%"],
        [
            "PGD, 40 steps, 10 restarts, on the margin, on a straight-through copy"
            "audit: pgd-margin-10, straight-through copy",
            "12.0%seeds 0, 2 only",
            "not run",
        ],
        ["worst case", "3.4%", "0.0%"],
    ]
    expect(table.locator(".harms-most .icon")).to_have_count(2)
    worst_case = table.locator("tfoot td").first
    assert worst_case.evaluate("cell => getComputedStyle(cell).fontWeight") == "700"
    expect(claim).to_contain_text("ℓ∞, ε = 0.3, 1,000 images, 3 seeds.")


def test_cells_in_different_balls_each_name_theirs_and_their_own_attack(hamming: Page) -> None:
    claim = hamming.locator("#hamming-audit-all-adversaries")
    expect(claim).to_contain_text("ℓ∞ (8/255): ℓ∞, ε = 0.3, 1,000 images, 3 seeds.")
    expect(claim).to_contain_text("ℓ2 (1.0): ℓ2, ε = 1, unclipped, 1,000 images, 3 seeds.")
    expect(claim.locator(".own")).to_have_text(["the paper's own for ℓ∞ (8/255)", "the paper's own for ℓ2 (1.0)"])


def test_alarms_are_listed_with_value_bound_and_seeds_and_those_that_went_off_are_marked(hrm: Page) -> None:
    claim = hrm.locator("#hrm-audit .audited")
    expect(claim.locator("details > summary")).to_contain_text("6 attacks on 2 cells, 1 alarm went off")
    alarms = claim.locator(".alarms li")
    expect(alarms).to_have_count(4)
    expect(claim.locator(".alarms .off")).to_have_count(1)
    expect(claim.locator(".alarms .off")).to_have_text(
        "zero gradients went off in 2 of 3 seeds: share without gradient, 30.0% (seed 2, the worst), alarm above 20.0%"
    )
    expect(alarms.nth(0)).to_contain_text(
        "one step beats many silent: accuracy under PGD against that under FGSM, 12.0% (seed 2, the worst), alarm above"
    )


def test_no_alarm_is_checked_where_no_image_is_right(hamming: Page) -> None:
    expect(hamming.locator("#hamming-audit-verified .alarms")).to_contain_text("None was checked")


def test_a_paper_without_audit_says_not_measured(tmp_path: Path, browser: Browser) -> None:
    write_sample(tmp_path)
    (tmp_path / "papers/hrm/audit.json").unlink()
    page = browser.new_page()
    page.set_content(build_page(page_spec("hrm"), tmp_path))
    expect(page.locator("#hrm-audit")).to_contain_text(
        "The audit: not measured. There is no papers/hrm/audit.json at this scale."
    )
    expect(page.locator("#hrm-audit .audited")).to_have_count(0)
    page.close()


def test_both_badges_on_a_phone_say_which_is_which(browser: Browser, addresses: dict[str, str], hrm: Page) -> None:
    expect(hrm.locator(".which").first).to_be_hidden()
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(addresses["hrm"])
    card = phone.locator("#claim-hrm-hrm-raises-pgd-accuracy")
    expect(card.locator(".which:visible")).to_have_text(["Reproduced?", "Survives the audit?"])
    for badge in card.locator(".badge").all():
        box = badge.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    phone.close()

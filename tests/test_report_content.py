"""What the report says of numbers and of claims."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from report_sample import ASKED, SPEC, page_spec, write_sample
from report_sample_claims import CHANGE, ELSEWHERE

from robustrepro.errors import UserError
from robustrepro.report import build_page, build_report
from robustrepro.report.claims import AuditedCell
from robustrepro.report.comparison import Comparison, comparison, measured_elsewhere, with_names
from robustrepro.report.content import Asked, Paper
from robustrepro.report.loading import read_page
from robustrepro.report.presentation import difference_step, distinct_specs, number, signed
from robustrepro.report.step import run, run_page
from robustrepro.report.summary import in_short
from robustrepro.report.table import Cell
from robustrepro.spec.kept import spec_in
from robustrepro.steps import Work
from robustrepro.verdicts import HERE


def paper_of(name: str, scale_folder: Path) -> Paper:
    return read_page(page_spec(name), scale_folder).paper


def test_paper_data_alone_gives_no_banner_and_no_scorecard_says_so(tmp_path: Path) -> None:
    as_in_papers: dict[str, Any] = {"stand_ins": {}, "unverified": [], "differences": []}
    html = build_report(deepcopy(SPEC) | as_in_papers, tmp_path)
    assert 'class="banner' not in html
    assert 'class="scale-changes' not in html
    assert re.findall("Claims of hamming: not measured.</strong> There is no <code>(.*)</code>", html) == [
        "papers/hamming/scorecard.csv"
    ]
    assert "Claims of hrm: not measured." in html
    page = build_page(page_spec("hrm") | as_in_papers, tmp_path)
    assert 'class="banner' not in page
    assert "This run differs" not in page
    assert "Claims of hrm: not measured." in page


def with_machines(folder: Path, machines: list[dict[str, Any]]) -> str:
    """Return the report of a sample whose sources were computed on these machines, in turn."""
    write_sample(folder)
    number = 0
    for path in sorted(folder.glob("papers/*/tables/*.json")):
        table = json.loads(path.read_text("utf-8"))
        for cell in table["cells"]:
            for value in cell["values"]:
                for source in value["sources"]:
                    source.update(machines[number % len(machines)])
                    number += 1
        path.write_text(json.dumps(table), "utf-8")
    assert number > len(machines)
    return build_report(SPEC, folder)


ONE, OTHER = {"device": "cpu", "processor": "One"}, {"device": "cpu", "processor": "Other"}


@pytest.mark.parametrize(
    "machines",
    [[ONE, OTHER], [ONE | {"made_on": OTHER}], [{"device": "cpu", "processor": "One; Other"}]],
    ids=["two measured", "one trained, one measured", "shards"],
)
def test_a_report_of_results_of_two_machines_says_so(tmp_path: Path, machines: list[dict[str, Any]]) -> None:
    html = with_machines(tmp_path, machines)
    assert (
        "<dd>cpu, processor One; cpu, processor Other. Computed on 2 kinds of machine: on another processor the same "
        "spec may give other weights.</dd>"
    ) in html


def test_machines_that_were_not_recorded_are_not_counted(tmp_path: Path) -> None:
    html = with_machines(tmp_path, [ONE, OTHER, {}])
    assert "; cpu, processor not recorded. Computed on 2 kinds of machine:" in html


@pytest.mark.parametrize(
    ("machines", "named"),
    [
        ([ONE, ONE | {"made_on": ONE}], "cpu, processor One"),
        ([{}], "cpu, processor not recorded"),
        ([{}, ONE], "cpu, processor One; cpu, processor not recorded"),
    ],
    ids=["one", "old results", "old and new results"],
)
def test_a_report_of_results_of_no_two_known_machines_names_what_is_recorded(
    tmp_path: Path, machines: list[dict[str, Any]], named: str
) -> None:
    html = with_machines(tmp_path, machines)
    assert f"<div><dt>Device</dt><dd>{named}</dd></div>" in html


def test_a_table_without_a_single_number_is_not_counted_as_measured(tmp_path: Path) -> None:
    write_sample(tmp_path)
    before = build_page(page_spec("hrm"), tmp_path)
    path = tmp_path / "papers/hrm/tables/table2.json"
    table = json.loads(path.read_text("utf-8"))
    for cell in table["cells"]:
        cell |= {"status": "not measured", "mean": None, "why": "left out", "values": [], "sources": []}
    path.write_text(json.dumps(table), "utf-8")
    counts = [
        re.findall(r"<dt>Measured</dt><dd>(\d+) of (\d+) tables", html)[0]
        for html in (before, build_page(page_spec("hrm"), tmp_path))
    ]
    (measured, declared), (measured_now, declared_now) = counts
    assert (int(measured_now), declared_now) == (int(measured) - 1, declared)


def test_a_paper_that_was_not_judged_says_so_beside_the_claims_of_another(tmp_path: Path) -> None:
    write_sample(tmp_path)
    (tmp_path / "papers/hamming/scorecard.csv").unlink()
    html = build_report(SPEC, tmp_path)
    assert "Claims of hamming: not measured." in html
    assert 'id="claim-hrm-cem-between"' in html
    assert 'id="claim-hamming' not in html


def test_a_paper_that_declares_no_claims_says_so(tmp_path: Path) -> None:
    write_sample(tmp_path)
    path = tmp_path / "papers/hamming/scorecard.csv"
    path.write_text(path.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    for name in ("scorecard", "audit"):
        path.with_name(f"{name}.json").write_text("[]", "utf-8")
    assert "No claims are declared for this paper." in build_report(SPEC, tmp_path)
    assert "No claims are declared for this paper." in build_page(page_spec("hamming"), tmp_path)


def test_an_audited_claim_that_was_not_measured_is_counted(tmp_path: Path) -> None:
    write_sample(tmp_path)
    path = tmp_path / "papers/hrm/scorecard.csv"
    path.write_text(path.read_text("utf-8").replace("indicative: does not survive", "not measured"), "utf-8")
    hrm = paper_of("hrm", tmp_path)
    assert "1 claim is about robustness: 1 was not measured." in in_short(hrm)


def test_an_audited_claim_without_an_attacked_cell_has_no_audit_to_show(tmp_path: Path) -> None:
    write_sample(tmp_path)
    path = tmp_path / "papers/hrm/audit.json"
    (entry,) = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps([entry | {"cells": []}]), "utf-8")
    html = build_page(page_spec("hrm"), tmp_path)
    assert 'id="hrm-audit-hrm-raises-pgd-accuracy"' not in html
    assert "None of the claims measured at this scale rests on an attack." in html


def test_both_steps_write_their_page_of_the_folder(tmp_path: Path) -> None:
    write_sample(tmp_path)
    for step, spec in ((run, SPEC), (run_page, page_spec("hrm"))):
        output = tmp_path / "page.html"
        step(Work({**spec, "folder": str(tmp_path)}, "", {}, (output,)))
        text = output.read_text("utf-8")
        assert "hrm-raises-pgd-accuracy" in text
        assert spec_in(output)["folder"] == str(tmp_path)


def test_making_a_page_imports_no_library_that_takes_seconds() -> None:
    script = """
import sys
import robustrepro.report.step
print(*sorted({"torch", "numpy", "pandas", "matplotlib", "scipy", "sklearn", "pyarrow"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "\n"


def test_a_page_carries_what_it_was_made_from(tmp_path: Path) -> None:
    spec = page_spec("hrm")
    spec["paper"] = spec["paper"] | {"summary": "Ends </script> early"}
    page = tmp_path / "report/hrm.html"
    page.parent.mkdir()
    page.write_text(build_page(spec, tmp_path), "utf-8")
    assert spec_in(page) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "there is no such file"), ("<html></html>", "does not say what it was made from")],
)
def test_a_page_without_what_it_was_made_from_has_to_be_made_again(
    text: str | None, message: str, tmp_path: Path
) -> None:
    page = tmp_path / "quick/report/index.html"
    page.parent.mkdir(parents=True)
    if text is not None:
        page.write_text(text, "utf-8")
    with pytest.raises(UserError, match=rf"index\.html: {message}; `make reproduce SCALE=quick` makes it"):
        spec_in(page)


def conditions_of(claim: str, paper: Paper) -> list[Comparison]:
    conditions = next(shown.conditions for shown in paper.claims if shown.claim == claim)
    return [comparison(condition, paper) for condition in conditions]


def test_comparisons_name_cells_by_what_they_do_not_share(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hrm, hamming = paper_of("hrm", tmp_path), paper_of("hamming", tmp_path)
    (gap,) = conditions_of("hrm-raises-pgd-accuracy", hrm)
    assert (gap.where, gap.statement) == ("Table\u00a02, PGD (ε\u00a0=\u00a00.3)", "HRM ≥ ERM (Baseline) + 20")
    assert [(value.name, value.ours, value.printed) for value in gap.values] == [
        ("HRM", "39.90%", "56.22%"),
        ("ERM (Baseline)", "3.40%", "3.25%"),
    ]
    assert gap.margin == "+16.50 (95%:\u00a0+15.20 to\u00a0+17.80)"
    (several,) = conditions_of("all-adversaries", hamming)
    assert several.where == "Table\u00a01"
    assert several.statement == "Hamming + stability, ℓ∞ (8/255) − 2 × Normal, ℓ2 (1.0) ≥ 35"
    (single,) = conditions_of("cheap", hamming)
    assert (single.where, single.statement) == ("Table\u00a01, Union", "Hamming + stability ≤ 5")
    assert (single.margin, single.more_seeds) == ("+0.20", "about 9 seeds would decide")
    assert (gap.more_seeds, gap.outcome) == ("", "holds")


def test_cells_of_a_table_that_was_not_made_keep_their_keys(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hamming = paper_of("hamming", tmp_path)
    (verified,) = conditions_of("verified", hamming)
    assert (verified.where, verified.statement) == ("table9, pgd", "ours ≥ 38")


def test_cells_under_another_attack_say_so_instead_of_their_column(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hrm, hamming = paper_of("hrm", tmp_path), paper_of("hamming", tmp_path)
    gap, several = (
        next(shown for shown in paper.claims if shown.claim == claim).conditions[0]
        for paper, claim in ((hrm, "hrm-raises-pgd-accuracy"), (hamming, "all-adversaries"))
    )
    both = ["table2[hrm, pgd]", "table2[erm, pgd]"]
    assert comparison(gap, hrm, "worst case", both).where == "Table\u00a02, worst case"
    shown = comparison(several, hamming, "worst case", ["table1[ours, linf]"])
    assert shown.statement == "Hamming + stability, worst case − 2 × Normal, ℓ2 (1.0) ≥ 35"


def test_cells_in_a_text_get_their_full_names(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hrm = paper_of("hrm", tmp_path)
    named = with_names("one class for all images: table2[hrm, pgd] in 1 of 3 seeds", hrm)
    assert named == "one class for all images: Table\u00a02, PGD (ε\u00a0=\u00a00.3), HRM in 1 of 3 seeds"


def test_a_claim_stands_at_every_table_that_it_compares(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hrm, hamming = paper_of("hrm", tmp_path), paper_of("hamming", tmp_path)
    assert {claim.claim: claim.anchors for claim in (*hrm.claims, *hamming.claims)} == {
        "hrm-raises-pgd-accuracy": ("hrm-table2",),
        "hrm-is-not-masked": ("hrm-table5",),  # compares nothing, since nothing was measured
        "cem-between": ("hrm-table2",),
        "all-adversaries": ("hamming-table1",),
        "verified": ("hamming-table9",),
        "cheap": ("hamming-table1",),
        "closer-to-clean": ("hamming-table1",),
    }


def test_an_attack_does_most_harm_unless_most_do_the_same() -> None:
    def harms_most(*accuracies: float) -> list[str]:
        cell = {"cell": "t[a, b]", "model": "m", "norm": "linf", "epsilon": 0.1, "images": 9, "seeds": 1, "own": "0"}
        named = {str(place): accuracy for place, accuracy in enumerate(accuracies)}
        return AuditedCell.model_validate({**cell, "accuracies": named, "worst_case": 0.0, "alarms": ()}).harms_most

    assert harms_most(3.0, 1.0, 2.0) == ["1"]
    assert harms_most(3.0, 1.0, 1.0, 4.0) == ["1", "2"]
    assert harms_most(0.0, 0.0, 1.0) == []


def test_in_short_counts_both_verdicts_and_says_how_robust_the_best_model_is(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hrm, hamming = paper_of("hrm", tmp_path), paper_of("hamming", tmp_path)
    assert in_short(hrm) == [
        "Of 3 claims, 1 holds here, 1 does not hold here and 1 was not measured.",
        HERE,
        "1 claim is about robustness: 1 does not survive here.",
        "Of those that held under the paper's own attack, the audit took down 1.",
        "Highest accuracy of any audited model under all attacks together: 3.4% in ℓ∞, ε = 0.3 (mnist-lenet5-hrm).",
    ]
    sentences = in_short(hamming)
    assert sentences[0] == (
        "Of 4 claims, 1 was reproduced, 1 was not reproduced, 1 is inconclusive and 1 cannot be asked here."
    )
    assert sentences[1].startswith("In 1 of the 4, every accuracy that decides is below 5%: no model there is robust")
    assert sentences[2].endswith("1 survives every attack of the audit and 1 is about a constant predictor.")
    assert sentences[3] == "Of those that held under the paper's own attack, the audit took down none."
    assert sentences[4].endswith("40.1% in ℓ2, ε = 1, unclipped (cifar10-ours); 39.5% in ℓ∞, ε = 0.3 (cifar10-ours).")


def test_a_claim_says_why_its_bounds_are_what_they_are(tmp_path: Path) -> None:
    write_sample(tmp_path)
    html = build_page(page_spec("hrm"), tmp_path)
    assert "Fixed beforehand. Half of what hrm-raises-pgd-accuracy prints." in html


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
    assert (
        difference_step(
            Cell(row="a", column="b", status="measured", mean=9.0, printed_value=printed, difference=difference), unit
        )
        == step
    )


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

    same = Cell.model_validate(
        {"row": "a", "column": "b", "status": "measured", "mean": 1.0, "values": [value(0, 5), value(1, 5)]}
    )
    assert distinct_specs(same, "training_spec") == [("m", [("epochs", "5")])]
    differing = Cell.model_validate(
        {"row": "a", "column": "b", "status": "measured", "mean": 1.0, "values": [value(0, 5), value(1, 6)]}
    )
    assert len(distinct_specs(differing, "training_spec")) == 2


def test_a_table_that_the_paper_lacks_explains_no_differences(tmp_path: Path) -> None:
    write_sample(tmp_path)
    printed = build_page(page_spec("hamming"), tmp_path)
    for path in tmp_path.rglob("tables/*.json"):
        table = json.loads(path.read_text("utf-8"))
        table["cells"] = [cell for cell in table["cells"] if cell["status"] != "published only"]
        for cell in table["cells"]:
            cell |= {"printed": None, "printed_value": None, "difference": None}
        path.write_text(json.dumps(table), "utf-8")
    lacking = build_page(page_spec("hamming"), tmp_path)
    assert (printed.count("Ours minus printed"), lacking.count("Ours minus printed")) == (3, 0)
    assert lacking.count("The paper prints no such numbers.") == 2


def test_differences_are_grouped_by_setting_and_changes_stand_apart() -> None:
    asked = Asked.model_validate(ASKED)
    assert {setting: [note.values for note in notes] for setting, notes in asked.scale_differences.items()} == {
        "data": ["digits instead of mnist"],
        "architecture": ["convnet instead of resnet50"],
        "epochs": ["4 instead of 100", "12 instead of 100"],
    }
    assert [note.change for note in asked.changes] == [
        "optimizer.learning_rate: 0.002 instead of 0.1",
        "epochs: 9 instead of this scale's 4",
    ]
    assert asked.is_change(f"{CHANGE} (mnist-lenet5-hrm)")
    assert not asked.is_change("epochs: 12 instead of 100 (mnist-lenet5-erm)")


def test_files_without_differences_are_read(tmp_path: Path) -> None:
    write_sample(tmp_path)
    for path in tmp_path.rglob("*.json"):
        text = json.loads(path.read_text("utf-8"))
        for entry in text["rows"] if path.parent.name == "tables" else text:
            for differing in (entry, *entry.get("readings", ())):
                differing.pop("differs", None)
        if path.parent.name == "tables":
            text.pop("differs", None)
        path.write_text(json.dumps(text), "utf-8")
    hrm = paper_of("hrm", tmp_path)
    assert [claim.differs for claim in hrm.claims] == [()] * 3
    assert hrm.tables[0].table is not None
    assert hrm.tables[0].table.differs == ()
    assert {row.differs for row in hrm.tables[0].table.rows} == {()}


def test_what_another_scale_measured_has_names_for_its_cells(tmp_path: Path) -> None:
    write_sample(tmp_path)
    hrm = paper_of("hrm", tmp_path)
    pgd, clean = measured_elsewhere(ELSEWHERE[0]["measured"], hrm)
    assert pgd == (
        "HRM ≥ ERM (Baseline) + 20: HRM = 2.33 (printed 56.22%), ERM (Baseline) = 0.19 (printed 3.25%); "
        "margin −17.86 [95%: −23.31, −12.41]",
        "Table\u00a02, PGD (ε\u00a0=\u00a00.3)",
    )
    assert clean == ("HRM ≥ 98: HRM = 99.06; margin +1.06", "Table\u00a02, Test Acc")
    assert measured_elsewhere("", hrm) == []
    assert measured_elsewhere("nothing to compare", hrm) == [("nothing to compare", "")]

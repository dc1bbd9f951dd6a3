"""A table that reports one seed of each row: which it is, and what every form of the table shows of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations
from hypothesis import given
from hypothesis import strategies as st
from report_sample import page_spec, write_sample
from table_cases import LABELS, cell_of, column, made, measure, measured, predictions, table_spec

from robustrepro.report import build_page
from robustrepro.report.comparison import comparison
from robustrepro.report.loading import read_page
from robustrepro.report.table import Cell
from robustrepro.scorecard.cells import TableCells
from robustrepro.scorecard.judging import judge_claim
from robustrepro.tables.reported import median_seed, with_reported

ERM, HRM, OTHER = "image-erm", "image-hrm", "image-other"
RIGHT = {"clean": {ERM: [4, 2, 3], HRM: [1, 4, 2], OTHER: [4]}, "pgd": {ERM: [1, 2, 3], HRM: [2, 1, 0], OTHER: [2]}}
"""How many of four images each seed of a model gets right."""


def values(*of_seeds: float) -> list[dict[str, Any]]:
    return [{"seed": seed, "value": value} for seed, value in enumerate(of_seeds)]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The spec of a table that reports the seed with the median accuracy under PGD; one model has one seed."""
    monkeypatch.chdir(tmp_path)
    for name, models in RIGHT.items():
        for model, counts in models.items():
            for seed, right in enumerate(counts):
                found = [*LABELS[:right], *[9] * (4 - right)]
                measure(name, model, seed, predictions(found, found))
    rows = {"erm": ERM, "hrm": HRM, "other": OTHER}
    return table_spec(
        {row: row.upper() for row in rows},
        [column("clean", "Clean"), column("pgd", "0.3", group="PGD")],
        [measured(row, at, [at], model, len(RIGHT[at][model])) for row, model in rows.items() for at in RIGHT],
        printed=[{"row": "erm", "column": "clean", "text": "51%"}, {"row": "hrm", "column": "pgd", "text": "25%"}],
        reports={"median_of": "pgd"},
    )


def without_option(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key != "reports"}


def shown(table: dict[str, Any]) -> dict[tuple[str, str], tuple[int, float, float, float] | None]:
    """Return what each cell reports: seed, value, lowest and highest."""
    return {
        (cell["row"], cell["column"]): cell["reported"] and tuple(cell["reported"].values()) for cell in table["cells"]
    }


# -- which seed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_seeds", "seed"),
    [
        ((40.5, 41.5, 40.1), 0),
        ((40.5, 41.5, 40.1, 41.0), 0),  # of 40.5 and 41.0 in the middle the lower one
        ((3.0, 1.0), 1),
        ((1.0, 2.0, 2.0), 1),  # of equal ones the lowest seed
        ((2.0, 9.0, 2.0, 2.0, 1.0), 0),
        ((7.0,), None),
        ((), None),
    ],
)
def test_the_median_seed_is_the_one_in_the_middle(of_seeds: tuple[float, ...], seed: int | None) -> None:
    assert median_seed(values(*of_seeds)) == seed


@given(st.lists(st.integers(0, 5), min_size=2, max_size=8))
def test_no_more_than_half_of_the_seeds_are_on_either_side_of_the_median_one(of_seeds: list[int]) -> None:
    seed = median_seed(values(*of_seeds))
    assert seed is not None
    below, above = (sum(sign * value > sign * of_seeds[seed] for value in of_seeds) for sign in (-1, 1))
    assert 2 * below < len(of_seeds)
    assert 2 * above <= len(of_seeds)
    assert of_seeds.index(of_seeds[seed]) == seed


def test_every_cell_of_a_row_shows_the_seed_that_is_the_rows_median_in_the_chosen_column(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    assert shown(made(spec, tmp_path)) == {
        ("erm", "clean"): (1, 50.0, 50.0, 100.0),  # seed 1 is the median under PGD, and the lowest clean
        ("erm", "pgd"): (1, 50.0, 25.0, 75.0),
        ("hrm", "clean"): (1, 100.0, 25.0, 100.0),
        ("hrm", "pgd"): (1, 25.0, 0.0, 50.0),
        ("other", "clean"): None,
        ("other", "pgd"): None,
    }
    assert shown(made({**spec, "reports": {"median_of": "clean"}}, tmp_path))["hrm", "pgd"] == (2, 0.0, 0.0, 50.0)


def test_a_computed_cell_shows_its_value_of_the_reported_seed(spec: dict[str, Any], tmp_path: Path) -> None:
    spec["columns"].append(column("lost", "Lost", unit="", accuracy=False))
    spec["cells"] += [
        {"row": row, "column": "lost", "kind": "value", "value": "this[clean] - this[pgd]"}
        for row in ("erm", "hrm", "other")
    ]
    assert shown(made(spec, tmp_path))["hrm", "lost"] == (1, 75.0, -25.0, 75.0)
    # Lost are 75, 0 and 0 points by ERM: of equal ones in the middle the lowest seed.
    assert shown(made({**spec, "reports": {"median_of": "lost"}}, tmp_path))["erm", "pgd"] == (1, 50.0, 25.0, 75.0)


def test_a_cell_shows_its_mean_where_there_is_no_reported_seed_of_it(spec: dict[str, Any], tmp_path: Path) -> None:
    cells = {(cell["row"], cell["column"]): cell for cell in spec["cells"]}
    cells["erm", "clean"]["samples"] = cells["erm", "clean"]["samples"][::2]  # without the median seed
    cells["hrm", "pgd"].update(kind="not_measured", why="left out")
    table = made(spec, tmp_path)
    reported = {place: seed and seed[0] for place, seed in shown(table).items()}
    assert reported == {**dict.fromkeys(reported), ("erm", "pgd"): 1}
    assert [cell["mean"] for cell in table["cells"]] == [87.5, 50.0, pytest.approx(175 / 3), None, 100.0, 50.0]
    assert cell_of(table, "erm", "clean")["difference"] == 87.5 - 51
    cells["erm", "clean"]["samples"] = [{"seed": 1, "subject_seed": 1, "rows": None}]  # the median seed alone
    assert shown(made(spec, tmp_path))["erm", "clean"] is None


# -- what is compared ------------------------------------------------------------------------------------------


def test_the_reported_value_is_what_is_compared_with_the_printed_number(spec: dict[str, Any], tmp_path: Path) -> None:
    table = made(spec, tmp_path)
    assert [cell["difference"] for cell in table["cells"]] == [-1.0, None, None, 0.0, None, None]
    assert table["distance"] == {"mean_absolute_difference": 0.5, "cells": 2}
    assert made(without_option(spec), tmp_path)["distance"]["mean_absolute_difference"] == (24 + 0) / 2


def test_a_claim_is_judged_as_without_the_option(spec: dict[str, Any], tmp_path: Path) -> None:
    for_option, without = (
        judge_claim(["t[erm, pgd] >= t[hrm, clean]"], TableCells.of_tables({"t": made(each, tmp_path)}))
        for each in (spec, without_option(spec))
    )
    assert for_option == without


def test_without_the_option_a_table_is_as_it_was(spec: dict[str, Any], tmp_path: Path) -> None:
    table = made(without_option(spec), tmp_path)
    assert "reports" not in table
    assert not any("reported" in cell for cell in table["cells"])
    text = {suffix: (tmp_path / f"accuracy{suffix}").read_text(encoding="utf-8") for suffix in (".csv", ".md")}
    assert text[".csv"].splitlines()[0].endswith("difference,unit,status")
    assert "| ERM | 75.00% ± 25.00 [51%] | 50.00% ± 25.00 |" in text[".md"]
    assert "ours ± standard deviation over seeds, [as printed]. Intervals" in text[".md"]
    with_option = made(spec, tmp_path)
    for cell in with_option["cells"]:
        del cell["reported"]
    unchanged = ("row", "column", "status", "mean", "std", "interval", "interval_kind", "seeds", "printed", "values")
    for before, after in zip(table["cells"], with_option["cells"], strict=True):
        assert {key: after[key] for key in unchanged} == {key: before[key] for key in unchanged}
        assert list(after) == list(before)


# -- what is shown ---------------------------------------------------------------------------------------------


def test_the_markdown_shows_the_value_with_the_range_over_seeds(spec: dict[str, Any], tmp_path: Path) -> None:
    made(spec, tmp_path)
    lines = (tmp_path / "accuracy.md").read_text(encoding="utf-8").splitlines()
    assert lines[4:7] == [
        "| ERM | 50.00% (50.00 to 100.00) [51%] | 50.00% (25.00 to 75.00) |",
        "| HRM | 100.00% (25.00 to 100.00) | 25.00% (0.00 to 50.00) [25%] |",
        "| OTHER | 100.00% | 50.00% |",
    ]
    assert lines[-1].startswith(
        "Scale `quick`, 1-3 seeds, ours from each row's seed of median PGD: 0.3 (lowest to highest over seeds), "
        "[as printed]. Claims rest on the mean over all seeds, in the CSV. Intervals in the CSV: 95%"
    )


def test_the_legend_tells_means_from_reported_seeds_where_there_are_both(spec: dict[str, Any], tmp_path: Path) -> None:
    spec["cells"][2:4] = [{**cell, "kind": "not_measured", "why": "left out"} for cell in spec["cells"][2:4]]
    spec["cells"][0]["samples"] = spec["cells"][0]["samples"][::2]
    made(spec, tmp_path)
    text = (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    assert "| ERM | 87.50% ± 17.68 [51%] | 50.00% (25.00 to 75.00) |" in text
    assert "(lowest to highest over seeds), elsewhere ours ± standard deviation over seeds, [as printed]." in text


def test_where_nothing_is_reported_the_legend_says_nothing_of_it(spec: dict[str, Any], tmp_path: Path) -> None:
    spec |= {"rows": spec["rows"][2:], "cells": spec["cells"][4:], "printed": []}
    made(spec, tmp_path)
    legend = (tmp_path / "accuracy.md").read_text(encoding="utf-8").splitlines()[-1]
    assert legend == "Scale `quick`, 1 seed, ours. Intervals in the CSV: 95% over 4 images (binomial), one seed."


def test_the_csv_has_the_reported_value_and_the_range_behind_the_other_columns(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    made(spec, tmp_path)
    lines = list(csv.DictReader((tmp_path / "accuracy.csv").read_text(encoding="utf-8").splitlines()))
    assert list(lines[0])[-5:] == ["status", "reported", "reported_seed", "lowest", "highest"]
    assert [line["mean"] for line in lines[:2]] == ["75.0", "50.0"]
    told = [[line[key] for key in ("reported", "reported_seed", "lowest", "highest")] for line in lines]
    assert told == [
        ["50.0", "1", "50.0", "100.0"],
        ["50.0", "1", "25.0", "75.0"],
        ["100.0", "1", "25.0", "100.0"],
        ["25.0", "1", "0.0", "50.0"],
        ["", "", "", ""],
        ["", "", "", ""],
    ]


@pytest.fixture
def scale_folder(tmp_path: Path) -> Path:
    """The report's sample with a table that reports the seed with the median accuracy under PGD."""
    write_sample(tmp_path)
    path = tmp_path / "papers/hrm/tables/table2.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    for cell in table["cells"]:
        if (cell["row"], cell["column"]) == ("hrm", "pgd"):
            for each, number in zip(cell["values"], (39.9, 41.5, 40.5), strict=True):
                each["value"] = number
    table |= {"reports": {"median_of": "pgd"}, "cells": with_reported(table["cells"], "pgd")}
    path.write_text(json.dumps(table), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("linked", [False, True], ids=["of a run", "published"])
def test_a_page_shows_the_reported_number_with_its_range_and_marks_its_seed(scale_folder: Path, linked: bool) -> None:
    html = build_page(page_spec("hrm"), scale_folder, linked=linked)
    cell = html.partition('aria-controls="hrm-table2-3-3"')[2].partition("</td>")[0]
    assert '<span class="mean">40.50%</span>' in cell
    assert '<span class="spread">(39.90 to 41.50)</span>' in cell
    assert "−15.72</span>" in cell  # less the printed 56.22
    panel = html.partition('id="hrm-table2-3-3"')[2].partition('class="origin-row"')[0]
    assert "Ours <b>40.50%</b> from seed 2, of 39.90 to 41.50 over seeds" in panel
    assert "Mean <b>39.90%</b> ± 0.30 (standard deviation), 3 seeds" in panel
    if linked:
        assert "<b>40.50%</b> (2, reported)" in panel
        assert panel.count("reported") == 1
    else:
        assert '>2 <span class="own">reported</span></td>' in panel
        assert panel.count(">reported<") == 1
    assert "in each row, the seed whose PGD (ε = 0.3) is the median. Claims rest on the mean over all seeds" in html


def test_a_column_is_sorted_by_the_reported_numbers(scale_folder: Path) -> None:
    html = build_page(page_spec("hrm"), scale_folder)
    assert 'data-value="40.5"' in html


def test_a_claim_says_that_its_number_is_the_mean_where_the_table_shows_another(scale_folder: Path) -> None:
    paper = read_page(page_spec("hrm"), scale_folder).paper
    claim = next(claim for claim in paper.claims if claim.conditions)
    condition = claim.conditions[0]
    cells = [compared.cell for compared in condition.compared]
    assert {value.note for value in comparison(condition, paper).values} == {"mean over seeds"}
    assert {value.note for value in comparison(condition, paper, "worst case", cells).values} == {""}
    assert '<span class="spread">mean over seeds</span>' in build_page(page_spec("hrm"), scale_folder)


def test_pages_of_other_tables_say_nothing_of_reported_seeds(tmp_path: Path) -> None:
    write_sample(tmp_path)
    html = build_page(page_spec("hrm"), tmp_path)
    assert "mean over seeds</span>" not in html
    assert "Claims rest on the mean" not in html
    assert ">reported<" not in html
    assert Cell(row="a", column="x", status="measured", mean=1.0).ours == 1.0


# -- the declaration -------------------------------------------------------------------------------------------


def test_a_tables_option_is_in_its_spec_and_in_those_of_its_readings(declarations: Declarations) -> None:
    def specs() -> dict[str, dict[str, Any]]:
        plan = declarations.plan()
        return {
            table: json.loads(plan.job("table", paper="small", table=table).spec)
            for table in ("accuracy", "accuracy@small", "distances")
        }

    shared = {"unsaid": "The batch size.", "where": "Section 1", "why": "It is usual."}
    declarations.paper["readings"] = {
        "plain": {**shared, "choices": {"batch size": 8}},
        "small": {**shared, "choices": {"batch size": 4}, "models": {"image-erm": {"batch_size": 4}}},
    }
    before = specs()
    declarations.paper["tables"]["accuracy"]["reports"] = {"median_of": "pgd"}
    after = specs()
    assert after["distances"] == before["distances"]
    for table in ("accuracy", "accuracy@small"):
        assert "reports" not in before[table]
        assert after[table] == {**before[table], "reports": {"median_of": "pgd"}}

"""From measurements to tables: the statistics, the cells and the layout."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Declarations
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from robustrepro.canonical import canonical_json
from robustrepro.errors import UserError
from robustrepro.measurements.store import write_measurement
from robustrepro.spec.paper import Table
from robustrepro.tables.render import as_csv, as_markdown
from robustrepro.tables.statistics import binomial_interval, of_accuracy, of_number, over_seeds
from robustrepro.tables.step import table_step


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.30849710781876294),
        (5, 10, 0.1870860284474045, 0.8129139715525955),
        (10, 10, 0.6915028921812371, 1.0),
        # The classic example of 81 in 263.
        (81, 263, 0.25273674558504267, 0.36762192260134746),
        (9871, 10_000, 0.9846907908812925, 0.9892189421279378),
    ],
)
def test_the_interval_of_a_proportion_is_clopper_and_pearsons(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert binomial_interval(successes, trials) == pytest.approx((low, high), rel=1e-9)


@given(trials=st.integers(1, 500), share=st.floats(0, 1))
def test_the_interval_of_a_proportion_is_scipys(trials: int, share: float) -> None:
    successes = round(share * trials)
    reference = binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert binomial_interval(successes, trials) == pytest.approx((reference.low, reference.high), rel=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_the_interval_over_seeds_is_students(values: list[float]) -> None:
    found = over_seeds(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.std == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-9)
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    assert found.interval == pytest.approx((np.mean(values) - half, np.mean(values) + half), rel=1e-9, abs=1e-7)
    assert found.kind == f"95% over {len(values)} seeds (Student t)"


def test_one_seed_gives_no_interval_over_seeds() -> None:
    with pytest.raises(ValueError, match="needs two values or more, not 1"):
        over_seeds([1.0])


def test_the_accuracy_of_one_seed_has_the_interval_of_its_images() -> None:
    found = of_accuracy([50.0], 10)
    assert (found.mean, found.std, found.kind) == (50.0, None, "95% over 10 images (binomial), one seed")
    assert found.interval == pytest.approx((18.70860284474045, 81.29139715525955))
    assert of_accuracy([50.0, 70.0], 10) == over_seeds([50.0, 70.0])


def test_a_distance_of_one_seed_has_no_interval() -> None:
    found = of_number([2.5])
    assert (found.mean, found.std, found.interval, found.kind) == (2.5, None, None, None)
    assert of_number([2.5, 3.5]) == over_seeds([2.5, 3.5])


def measure(path: str, labels: Sequence[int], clean: Sequence[int], attacked: Sequence[int]) -> None:
    """Write what an attack measured; an image that it did not touch keeps its clean prediction."""
    model = path.split("/")[-3]
    origin = {
        "spec": {"attack": {"name": "pgd"}},
        "models": [{"model": model, "seed": 0, "weights_sha256": f"sha-of-{model}"}],
        "commit": "c0ffee",
        "device": "cpu",
    }
    columns = {"label": labels, "clean_prediction": clean, "prediction": attacked}
    write_measurement(Path(path), {name: np.array(values) for name, values in columns.items()}, origin)


@pytest.fixture
def plan_with_measurements(declarations: Declarations, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Path]:
    """The spec and the printed numbers of a table whose measurements exist: ERM with two seeds, HRM with one."""
    declarations.paper["models"]["image-hrm"]["seeds"] = 1
    plan = declarations.plan()
    monkeypatch.chdir(declarations.root)
    labels = [0, 1, 2, 3]
    # What each seed gets wrong: of ERM, one and two images clean, three and two attacked.
    seeds = {("image-erm", 0): ([0, 1, 2, 9], [9, 9, 2, 9]), ("image-erm", 1): ([0, 1, 9, 9], [9, 9, 2, 3])}
    seeds["image-hrm", 0] = ([0, 1, 2, 3], [0, 1, 2, 9])
    for (model, seed), (clean, attacked) in seeds.items():
        folder = f"results/quick/measurements/attack/{model}/seed{seed}"
        measure(f"{folder}/clean.parquet", labels, clean, clean)
        measure(f"{folder}/pgd.parquet", labels, clean, attacked)
    published = plan.published_path("small", "accuracy")
    assert published is not None
    return json.loads(plan.table_spec("small", "accuracy")), published


def cell_of(folder: Path, row: str, column: str) -> dict[str, Any]:
    cells: list[dict[str, Any]] = json.loads((folder / "accuracy.json").read_text())["cells"]
    return next(cell for cell in cells if (cell["row"], cell["column"]) == (row, column))


def test_a_cell_has_the_mean_over_seeds_beside_the_printed_number_and_where_it_came_from(
    plan_with_measurements: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    spec, published = plan_with_measurements
    table_step(spec, tmp_path, published)
    found = cell_of(tmp_path, "erm", "pgd")
    assert [value["value"] for value in found["values"]] == [25.0, 50.0]
    assert (found["mean"], found["seeds"]) == (37.5, 2)
    assert found["interval"] == pytest.approx(over_seeds([25.0, 50.0]).interval)
    assert (found["printed"], found["printed_value"]) == ("3.25%", 3.25)
    assert found["difference"] == pytest.approx(37.5 - 3.25)  # ours minus theirs
    assert cell_of(tmp_path, "hrm", "clean")["difference"] == pytest.approx(100 - 98.54)
    (source,) = found["values"][1]["sources"]
    assert source["model"] == "image-erm"
    assert source["weights_sha256"] == "sha-of-image-erm"
    assert source["training_spec"]["objective"] == {"name": "erm"}
    assert source["attack_spec"] == {"attack": {"name": "pgd"}}
    assert source["measurement"].endswith("image-erm/seed1/pgd.parquet")


def test_an_image_that_is_misclassified_without_an_attack_is_not_robust(
    plan_with_measurements: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    spec, published = plan_with_measurements
    labels = [0, 1, 2, 3]
    # The last image is wrong already; the attack leaves it as it is and breaks another one.
    for seed in (0, 1):
        folder = f"results/quick/measurements/attack/image-erm/seed{seed}"
        measure(f"{folder}/pgd.parquet", labels, [0, 1, 2, 9], [9, 1, 2, 9])
    table_step(spec, tmp_path, published)
    assert cell_of(tmp_path, "erm", "pgd")["mean"] == 50.0


def test_a_table_says_what_stands_in_for_what(
    plan_with_measurements: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    spec, _ = plan_with_measurements
    table_step({**spec, "unverified": ["mnist"]}, tmp_path, None)
    table = json.loads((tmp_path / "accuracy.json").read_text())
    assert (table["stand_in"], table["stand_in_note"]) == (True, "digits instead of mnist")
    assert table["cells"][0]["printed"] is table["cells"][0]["difference"] is None
    text = (tmp_path / "accuracy.md").read_text()
    assert "Stand-in data (digits instead of mnist): no verdict on the paper. Unverified data: mnist." in text
    assert "[" not in text


def test_a_missing_measurement_is_named(plan_with_measurements: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    spec, published = plan_with_measurements
    missing = Path("results/quick/measurements/attack/image-hrm/seed0/pgd.parquet")
    missing.unlink()
    with pytest.raises(UserError, match=f"{missing}: there is no such measurement"):
        table_step(spec, tmp_path / "tables", published)
    assert not (tmp_path / "tables").exists()


def test_a_distance_is_the_root_of_the_sum_over_tensors(declarations: Declarations, tmp_path: Path) -> None:
    declarations.config["overrides"] = {"seeds": 1}
    spec = json.loads(declarations.plan().table_spec("small", "distances"))
    (cell,) = spec["cells"]
    path = str(tmp_path / "points-hrm.parquet")
    origin = {"models": [{"model": name, "weights_sha256": "?"} for name in cell["models"]]}
    columns = {"squared_difference": np.array([9.0, 16.0]), "parameters": np.array([8, 4])}
    write_measurement(Path(path), columns, {**origin, "commit": "c0ffee", "device": "cpu"})
    cell["measurements"] = {"0": path}
    table_step(spec, tmp_path, None)
    (found,) = json.loads((tmp_path / "distances.json").read_text())["cells"]
    assert (found["mean"], found["interval"], found["values"][0]["count"]) == (5.0, None, 12)
    assert [source["model"] for source in found["values"][0]["sources"]] == ["points-erm", "points-hrm"]
    assert (tmp_path / "distances.md").read_text().splitlines()[4] == "| 8 | 5.00 |"


def test_a_table_reads_like_the_papers(plan_with_measurements: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    spec, published = plan_with_measurements
    table_step(spec, tmp_path, published)
    assert (tmp_path / "accuracy.md").read_text() == (
        "**Table 1.** Accuracy\n"
        "\n"
        "|  | Clean | PGD |\n"
        "| --- | ---: | ---: |\n"
        "| ERM | 62.50% ± 17.68 [98.71%] | 37.50% ± 17.68 [3.25%] |\n"
        "| HRM | 100.00% [98.54%] | 75.00% [56.22%] |\n"
        "\n"
        "Scale `quick`, 1-2 seeds, ours ± standard deviation over seeds, [as printed]; intervals in the CSV: "
        "95% over 2 seeds (Student t); 95% over 4 images (binomial), one seed. "
        "Stand-in data (digits instead of mnist): no verdict on the paper.\n"
    )


CELL: dict[str, Any] = {
    "row": "a",
    "column": "x",
    "mean": 12.345,
    "std": 0.5,
    "interval": [11.0, 13.5],
    "interval_kind": "95% over 2 seeds (Student t)",
    "seeds": 2,
    "printed": "12.3%",
    "difference": 0.045,
}
SMALL: dict[str, Any] = {
    "where": "Table 7",
    "caption": "A caption",
    "scale": "paper",
    "unit": "%",
    "decimals": 1,
    "row_header": "Model | size",
    "rows": [{"key": "a", "label": "A|B"}],
    "columns": [{"key": "x", "label": "X"}, {"key": "y", "label": "Y"}],
    "cells": [
        CELL,
        {**CELL, "column": "y", "interval": None, "interval_kind": None, "printed": None, "difference": None},
    ],
    "stand_in": False,
    "stand_in_note": "",
    "unverified": [],
}


def test_the_csv_has_a_line_a_cell_with_unrounded_numbers() -> None:
    assert as_csv(SMALL) == (
        "row,column,mean,standard_deviation,interval_low,interval_high,interval_kind,seeds,printed,difference\n"
        "a,x,12.345,0.5,11.0,13.5,95% over 2 seeds (Student t),2,12.3%,0.045\n"
        "a,y,12.345,0.5,,,,2,,\n"
    )
    assert next(csv.DictReader(as_csv(SMALL).splitlines()))["printed"] == "12.3%"


def test_the_markdown_escapes_what_would_end_a_cell() -> None:
    assert as_markdown(SMALL) == (
        "**Table 7.** A caption\n"
        "\n"
        "| Model \\| size | X | Y |\n"
        "| --- | ---: | ---: |\n"
        "| A\\|B | 12.3% ± 0.5 [12.3%] | 12.3% ± 0.5 |\n"
        "\n"
        "Scale `paper`, 2 seeds, ours ± standard deviation over seeds, [as printed]; "
        "intervals in the CSV: 95% over 2 seeds (Student t).\n"
    )


def test_rows_and_columns_keep_the_papers_order_though_a_specs_keys_are_sorted() -> None:
    line = {"label": "", "model": "image-erm"}
    column = {"label": "", "measure": "clean"}
    declared = Table.model_validate(
        {
            "where": "Table 1",
            "caption": "",
            "rows": {"erm": line, "cem": line, "hrm": line},
            "columns": {"pgd": column, "clean": column},
        }
    )
    found = Table.from_order(json.loads(canonical_json(declared.in_order())))
    assert list(found.rows) == ["erm", "cem", "hrm"]
    assert list(found.columns) == ["pgd", "clean"]
    assert found == declared

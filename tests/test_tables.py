"""From measurements to tables: the cells and the layout."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from table_cases import LABELS, cell_of, column, made, measure, measured, predictions, table_spec

from robustrepro.errors import UserError
from robustrepro.tables.render import as_csv, as_markdown
from robustrepro.tables.statistics import over_seeds

ERM, HRM = "image-erm", "image-hrm"
WRONG = 9


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The spec of a table whose measurements exist: ERM with two seeds, HRM with one."""
    monkeypatch.chdir(tmp_path)
    # Of ERM, seed 0 gets one image wrong clean and three under attack; seed 1 two and two.
    outcomes = {
        (ERM, 0): ([0, 1, 2, WRONG], [WRONG, WRONG, 2, WRONG]),
        (ERM, 1): ([0, 1, WRONG, WRONG], [0, 1, WRONG, WRONG]),
        (HRM, 0): ([0, 1, 2, 3], [0, 1, 2, WRONG]),
    }
    for (model, seed), (clean, under_attack) in outcomes.items():
        measure("clean", model, seed, predictions(clean, clean))
        measure("pgd", model, seed, predictions(clean, under_attack))
    return table_spec(
        {"erm": "ERM", "hrm": "HRM"},
        [column("clean", "Clean"), column("pgd", "PGD")],
        [
            measured(row, at, [at], model, seeds)
            for row, model, seeds in (("erm", ERM, 2), ("hrm", HRM, 1))
            for at in ("clean", "pgd")
        ],
        printed=[
            {"row": "erm", "column": "clean", "text": "98.71%"},
            {"row": "erm", "column": "pgd", "text": "3.25% ± 0.1"},
            {"row": "hrm", "column": "clean", "text": ""},
            {"row": "hrm", "column": "pgd", "text": "-"},
        ],
        stand_ins={"mnist": "digits"},
        differs=["data: digits instead of mnist"],
    )


def with_column(spec: dict[str, Any], *cells: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with one more column and these cells in it; in the other rows it was not measured."""
    more = column("more", "More", unit="", accuracy=False)
    others = [
        {"row": row["key"], "column": "more", "kind": "not_measured", "why": "left out"}
        for row in spec["rows"]
        if row["key"] not in {cell["row"] for cell in cells}
    ]
    return {**spec, "columns": [*spec["columns"], more], "cells": [*spec["cells"], *cells, *others]}


def value_cell(row: str, value: str) -> dict[str, Any]:
    return {"row": row, "column": "more", "kind": "value", "value": value}


# -- measured cells ------------------------------------------------------------------------------------------


def test_a_cell_has_the_mean_over_seeds_beside_the_printed_number_and_where_it_came_from(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    cell = cell_of(made(spec, tmp_path), "erm", "pgd")
    assert [value["value"] for value in cell["values"]] == [25.0, 50.0]
    assert (cell["status"], cell["why"], cell["mean"], cell["seeds"]) == ("measured", None, 37.5, 2)
    assert cell["interval"] == pytest.approx(over_seeds([25.0, 50.0], (0.0, 100.0)).interval)
    assert (cell["printed"], cell["printed_value"]) == ("3.25% ± 0.1", 3.25)
    assert cell["difference"] == pytest.approx(37.5 - 3.25)  # ours minus theirs
    assert cell["values"][1]["sources"] == [
        {
            "model": ERM,
            "weights_sha256": f"sha-of-{ERM}-1",
            "training_spec": {"objective": {"name": "erm"}},
            "measurement": f"results/quick/measurements/pgd/{ERM}/seed1.parquet",
            "attack_spec": {"kind": "attack", "attack": {"name": "pgd"}},
            "commit": "c0ffee",
            "device": "cpu",
            "processor": None,  # of a measurement that was made before it was recorded
            "made_on": None,
        }
    ]


def test_a_number_knows_the_machines_that_made_its_weights_and_that_measured_it(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    made_on = [{"device": "cpu", "processor": "One"}, {"device": "cpu", "processor": "Other"}]
    models = [(HRM, 0), (ERM, 0)]
    measure(
        "transfer",
        HRM,
        0,
        {**predictions(LABELS, LABELS), "target": [ERM] * 4, "target_seed": [0] * 4},
        models=models,
        models_made_on=made_on,
        processor="Third",
    )
    worst = measured("hrm", "more", ["transfer"], HRM, 1)
    worst["samples"] = [{**sample, "rows": {"target": ERM, "target_seed": 0}} for sample in worst["samples"]]
    cell = cell_of(made(with_column(spec, worst), tmp_path), "hrm", "more")
    sources = cell["values"][0]["sources"]
    assert [(source["model"], source["made_on"]["processor"]) for source in sources] == [(HRM, "One"), (ERM, "Other")]
    assert {(source["device"], source["processor"]) for source in sources} == {("cpu", "Third")}


def test_where_the_paper_prints_no_number_there_is_no_difference(spec: dict[str, Any], tmp_path: Path) -> None:
    table = made(spec, tmp_path)
    printed = [
        [cell_of(table, "hrm", at)[key] for key in ("printed", "printed_value", "difference")]
        for at in ("clean", "pgd")
    ]
    assert printed == [[None, None, None], ["-", None, None]]


def test_of_several_measures_an_image_counts_if_it_resists_all(spec: dict[str, Any], tmp_path: Path) -> None:
    measure("fgsm", HRM, 0, predictions(LABELS, [WRONG, 1, 2, 3]))
    worst = measured("hrm", "more", ["pgd", "fgsm"], HRM, 1)
    cell = cell_of(made(with_column(spec, worst), tmp_path), "hrm", "more")
    (value,) = cell["values"]
    assert (value["value"], value["count"]) == (50.0, 4)
    assert [source["measurement"].split("/")[3] for source in value["sources"]] == ["pgd", "fgsm"]
    assert [source["attack_spec"]["attack"]["name"] for source in value["sources"]] == ["pgd", "fgsm"]


def test_a_distance_is_the_root_of_the_sum_over_tensors(spec: dict[str, Any], tmp_path: Path) -> None:
    measure(
        "distance",
        f"{ERM}+{HRM}",
        0,
        {"squared_difference": [9.0, 16.0], "parameters": [8, 4]},
        declared={"kind": "parameter_distance"},
        models=[(ERM, 0), (HRM, 0)],
    )
    statistic = {"name": "root_of_sum", "column": "squared_difference", "count": "parameters"}
    distance = measured("erm", "more", ["distance"], f"{ERM}+{HRM}", 1, statistic=statistic)
    cell = cell_of(made(with_column(spec, distance), tmp_path), "erm", "more")
    (value,) = cell["values"]
    assert (cell["mean"], cell["interval"], value["count"]) == (5.0, None, 12)
    assert [(source["model"], source["attack_spec"]) for source in value["sources"]] == [(ERM, None), (HRM, None)]


def test_a_model_that_was_not_trained_has_no_training_spec(spec: dict[str, Any], tmp_path: Path) -> None:
    table = made({**spec, "training": {}}, tmp_path)
    assert cell_of(table, "erm", "pgd")["values"][0]["sources"][0]["training_spec"] is None


def test_a_missing_measurement_is_named(spec: dict[str, Any], tmp_path: Path) -> None:
    missing = Path(f"results/quick/measurements/pgd/{HRM}/seed0.parquet")
    missing.unlink()
    with pytest.raises(UserError, match=f"{missing}: there is no such measurement"):
        made(spec, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_none_is_a_number_of_rows(spec: dict[str, Any], tmp_path: Path) -> None:
    none = measured("erm", "more", ["pgd"], ERM, 1) | {"statistic": {"name": "count"}}
    none["samples"] = [{"seed": 0, "subject_seed": 0, "rows": {"index": 7}}]
    cell = cell_of(made(with_column(spec, none), tmp_path), "erm", "more")
    assert (cell["status"], cell["mean"]) == ("measured", 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": {"name": "mean", "column": "l1"}}, "there is no column 'l1'; it has index, label, clean_"),
        ({"samples": [{"seed": 0, "subject_seed": 0, "rows": {"epsilon": 1}}]}, "there is no column 'epsilon'; it has"),
    ],
    ids=["column", "column to choose by"],
)
def test_what_a_measurement_lacks_is_said_with_its_file(
    spec: dict[str, Any], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    cell = measured("hrm", "more", ["pgd"], HRM, 1, **options)
    with pytest.raises(UserError, match=f"results/quick/measurements/pgd/{HRM}/seed0.parquet: {message}"):
        made(with_column(spec, cell), tmp_path)


def test_a_measurement_without_a_row_is_an_error(spec: dict[str, Any], tmp_path: Path) -> None:
    measure("nothing", HRM, 0, {"l2": []})
    cell = measured("hrm", "more", ["nothing"], HRM, 1, statistic={"name": "mean", "column": "l2"})
    with pytest.raises(UserError, match=f"results/quick/measurements/nothing/{HRM}/seed0.parquet: it has no rows"):
        made(with_column(spec, cell), tmp_path)


def test_of_a_result_that_nothing_had_there_is_no_number_and_the_reason_says_so(
    spec: dict[str, Any], tmp_path: Path
) -> None:
    measure("verdicts", HRM, 0, {"l2": [1.0, 2.0], "verdict": ["falsified", "unresolved"]})
    measure("verdicts", HRM, 1, {"l2": [3.0], "verdict": ["verified"]})  # of those that have it, the others' number
    columns = {"statistic": {"name": "mean", "column": "l2"}}
    cell = measured("hrm", "more", ["verdicts"], HRM, 2, **columns)
    for sample in cell["samples"]:
        sample["rows"] = {"verdict": "verified"}
    found = cell_of(made(with_column(spec, cell), tmp_path), "hrm", "more")
    assert [(value["seed"], value["value"]) for value in found["values"]] == [(1, 3.0)]
    cell["samples"] = cell["samples"][:1]
    found = cell_of(made(with_column(spec, cell), tmp_path), "hrm", "more")
    assert (found["status"], found["mean"], found["why"]) == ("not measured", None, "nothing had verdict verified")


def test_a_target_that_nothing_was_tried_on_is_an_error(spec: dict[str, Any], tmp_path: Path) -> None:
    measure("tried", HRM, 0, {"l2": [1.0], "target": ["other"], "target_seed": [1]})
    cell = measured("hrm", "more", ["tried"], HRM, 1, statistic={"name": "mean", "column": "l2"})
    cell["samples"][0]["rows"] = {"target": HRM, "target_seed": 1}
    with pytest.raises(UserError, match=f"seed0.parquet: it has no rows of target {HRM}, target_seed 1"):
        made(with_column(spec, cell), tmp_path)


def test_what_is_no_finite_number_is_not_measured(spec: dict[str, Any], tmp_path: Path) -> None:
    measure("distances", HRM, 0, {"l2": [1.0, float("inf")]})
    cell = measured("hrm", "more", ["distances"], HRM, 1, statistic={"name": "mean", "column": "l2"})
    found = cell_of(made(with_column(spec, cell), tmp_path), "hrm", "more")
    assert (found["status"], found["mean"], found["values"]) == ("not measured", None, [])
    assert found["why"] == "not a finite number in seed 0"


# -- values, rows that are only printed, cells that are not measured -------------------------------------------


def test_a_value_is_computed_seed_by_seed(spec: dict[str, Any], tmp_path: Path) -> None:
    cell = cell_of(made(with_column(spec, value_cell("erm", "this[pgd] / this[clean]")), tmp_path), "erm", "more")
    assert [value["value"] for value in cell["values"]] == [25 / 75, 50 / 50]
    assert cell["interval"] == pytest.approx(over_seeds([1 / 3, 1.0]).interval)
    sources = cell["values"][1]["sources"]
    assert [source["measurement"].split("/", 3)[3] for source in sources] == [
        f"pgd/{ERM}/seed1.parquet",
        f"clean/{ERM}/seed1.parquet",
    ]


def test_a_value_is_over_the_seeds_that_all_of_its_cells_have(spec: dict[str, Any], tmp_path: Path) -> None:
    first_two = {name: values[:2] for name, values in predictions([0, 1, 2, 3], [0, WRONG, WRONG, 3]).items()}
    measure("pgd", HRM, 0, first_two)
    cell = cell_of(made(with_column(spec, value_cell("hrm", "this[pgd] - erm[pgd]")), tmp_path), "hrm", "more")
    assert [(value["seed"], value["value"], value["count"]) for value in cell["values"]] == [(0, 25.0, 2)]
    assert (cell["mean"], cell["interval"]) == (25.0, None)


def test_a_value_may_need_a_value_that_stands_behind_it(spec: dict[str, Any], tmp_path: Path) -> None:
    cells = [value_cell("erm", "2 * hrm[more]"), value_cell("hrm", "this[pgd] / 100")]
    assert cell_of(made(with_column(spec, *cells), tmp_path), "erm", "more")["mean"] == 1.5


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("this[clean] / (this[pgd] - this[pgd])", "not a finite number in seed 0"),
        ("this[clean] / gone[clean]", "computed from gone[clean], which was not measured"),
    ],
)
def test_a_value_that_cannot_be_computed_is_not_measured(
    spec: dict[str, Any], tmp_path: Path, value: str, why: str
) -> None:
    spec["rows"].append({"key": "gone", "label": "Gone", "differs": []})
    spec["cells"] += [
        {"row": "gone", "column": at, "kind": "not_measured", "why": "left out"} for at in ("clean", "pgd")
    ]
    cells = [value_cell("erm", value), value_cell("hrm", "1 * this[pgd]")]
    cell = cell_of(made(with_column(spec, *cells), tmp_path), "erm", "more")
    assert (cell["status"], cell["why"], cell["seeds"], cell["mean"]) == ("not measured", why, 0, None)


@pytest.fixture
def mixed(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with a row that is only printed and a model that was left out."""
    changed = ["epochs: 3 instead of this scale's 2 (config.yaml)"]
    spec["rows"] += [
        {"key": "theirs", "label": "Theirs", "differs": []},
        {"key": "big", "label": "Big", "differs": changed},
    ]
    why = "image-big: left out"
    spec["cells"] += [{"row": "theirs", "column": at, "kind": "published_only"} for at in ("clean", "pgd")]
    spec["cells"] += [{"row": "big", "column": at, "kind": "not_measured", "why": why} for at in ("clean", "pgd")]
    spec["printed"] += [{"row": row, "column": "clean", "text": "97.1%"} for row in ("theirs", "big")]
    return spec


def test_a_row_of_printed_numbers_alone_has_nothing_of_ours(mixed: dict[str, Any], tmp_path: Path) -> None:
    table = made(mixed, tmp_path)
    cell = cell_of(table, "theirs", "clean")
    assert {key: value for key, value in cell.items() if value} == {
        "row": "theirs",
        "column": "clean",
        "status": "published only",
        "printed": "97.1%",
        "printed_value": 97.1,
    }
    left_out = cell_of(table, "big", "clean")
    assert (left_out["status"], left_out["why"]) == ("not measured", "image-big: left out")
    assert (left_out["mean"], left_out["interval"], left_out["difference"]) == (None, None, None)
    assert left_out["printed_value"] == 97.1


# -- the distance to the printed table -----------------------------------------------------------------------


def test_a_table_says_how_far_it_is_from_the_printed_one(mixed: dict[str, Any], tmp_path: Path) -> None:
    mixed["printed"] += [{"row": "hrm", "column": "clean", "text": "98%"}]
    # Compared are ERM clean (62.5 and 98.71) and under PGD (37.5 and 3.25), and HRM clean (100 and 98).
    distance = made(mixed, tmp_path)["distance"]
    assert distance == {
        "mean_absolute_difference": pytest.approx((36.21 + 34.25 + 2.0) / 3),
        "cells": 3,
    }


def test_a_computed_cell_with_a_printed_number_is_compared_as_well(spec: dict[str, Any], tmp_path: Path) -> None:
    spec = with_column(spec, value_cell("erm", "this[pgd] - 1"))
    spec["columns"][-1]["unit"] = "%"
    spec["printed"] = [{"row": "erm", "column": "more", "text": "40"}]
    assert made(spec, tmp_path)["distance"] == {"mean_absolute_difference": 3.5, "cells": 1}


def test_a_table_of_which_nothing_is_compared_has_no_distance(spec: dict[str, Any], tmp_path: Path) -> None:
    assert made({**spec, "printed": []}, tmp_path)["distance"] == {"mean_absolute_difference": None, "cells": 0}


def test_differences_in_several_units_have_no_mean(spec: dict[str, Any], tmp_path: Path) -> None:
    spec = with_column(spec, value_cell("erm", "this[pgd] * 1"))
    spec["printed"] += [{"row": "erm", "column": "more", "text": "40"}]
    assert made(spec, tmp_path)["distance"] == {"mean_absolute_difference": None, "cells": 3}
    # A column in another unit that the paper prints nothing in is not compared.
    spec["printed"].pop()
    assert made(spec, tmp_path)["distance"]["mean_absolute_difference"] == pytest.approx((36.21 + 34.25) / 2)


# -- layout --------------------------------------------------------------------------------------------------


def test_the_json_has_the_tables_own_words_and_columns(spec: dict[str, Any], tmp_path: Path) -> None:
    spec |= {"of": "accuracy", "id": "accuracy@clipped", "reading": "clipped", "unverified": ["mnist"]}
    table = made(spec, tmp_path)
    kept = ("id", "of", "reading", "paper", "scale", "where", "caption", "row_header", "rows", "columns")
    assert {key: table[key] for key in kept} == {key: spec[key] for key in kept}
    assert (table["stand_in"], table["stand_in_note"]) == (True, "digits instead of mnist")
    assert table["unverified"] == ["mnist"]
    assert [(cell["row"], cell["column"]) for cell in table["cells"]] == [
        (row, at) for row in ("erm", "hrm") for at in ("clean", "pgd")
    ]


def test_a_table_reads_like_the_papers(mixed: dict[str, Any], tmp_path: Path) -> None:
    mixed["columns"][1] |= {"label": "0.3", "group": "PGD", "unit": "points", "decimals": 0}
    made({**mixed, "unverified": ["mnist"]}, tmp_path)
    assert (tmp_path / "accuracy.md").read_text(encoding="utf-8") == (
        "**Table 1.** Accuracy\n"
        "\n"
        "|  | Clean | PGD: 0.3 |\n"
        "| --- | ---: | ---: |\n"
        "| ERM | 62.50% ± 17.68 [98.71%] | 38 points ± 18 [3.25% ± 0.1] |\n"
        "| HRM | 100.00% | 75 points [-] |\n"
        "| Theirs | [97.1%] |  |\n"
        "| Big | not measured [97.1%] | not measured |\n"
        "\n"
        "Scale `quick`, 1-2 seeds, ours ± standard deviation over seeds, [as printed]. Intervals in the CSV: "
        "95% over 2 seeds (Student t, within bounds); 95% over 4 images (binomial), one seed. "
        "Not measured: image-big: left out. Not as in the paper: data: digits instead of mnist. "
        "Changed for Big: epochs: 3 instead of this scale's 2 (config.yaml). "
        "Unverified data: mnist.\n"
    )


def test_the_legend_says_no_more_than_there_is(spec: dict[str, Any], tmp_path: Path) -> None:
    plain = {
        **spec,
        "printed": [],
        "stand_ins": {},
        "differs": [],
        "rows": spec["rows"][1:],
        "cells": spec["cells"][2:],
    }
    made(plain, tmp_path)
    legend = (tmp_path / "accuracy.md").read_text(encoding="utf-8").splitlines()[-1]
    assert legend == "Scale `quick`, 1 seed, ours. Intervals in the CSV: 95% over 4 images (binomial), one seed."


def test_the_table_of_a_reading_says_which(spec: dict[str, Any], tmp_path: Path) -> None:
    made({**spec, "reading": "clipped"}, tmp_path)
    legend = (tmp_path / "accuracy.md").read_text(encoding="utf-8").splitlines()[-1]
    assert legend.startswith("Scale `quick`, reading `clipped`, 1-2 seeds, ours ± standard deviation")


CELL: dict[str, Any] = {
    "row": "a",
    "column": "x",
    "status": "measured",
    "why": None,
    "mean": 12.345,
    "std": 0.5,
    "interval": [11.0, 13.5],
    "interval_kind": "95% over 2 seeds (Student t)",
    "seeds": 2,
    "printed": "12.3%",
    "printed_value": 12.3,
    "difference": 0.045,
    "values": [],
}
NOTHING = dict.fromkeys(("mean", "std", "interval", "interval_kind", "printed", "printed_value", "difference"))
SMALL: dict[str, Any] = {
    "reading": "",
    "where": "Table 7",
    "caption": "A caption",
    "scale": "paper",
    "row_header": "Model | size",
    "rows": [{"key": "a", "label": "A|B", "differs": []}],
    "differs": [],
    "columns": [column("x", "X", decimals=1), column("y", "Y", unit="s")],
    "cells": [CELL, {**CELL, **NOTHING, "column": "y", "status": "not measured", "seeds": 0}],
    "stand_in": False,
    "stand_in_note": "",
    "unverified": [],
}


def test_the_csv_has_one_line_per_cell_with_unrounded_numbers() -> None:
    assert as_csv(SMALL) == (
        "row,column,mean,standard_deviation,interval_low,interval_high,interval_kind,seeds,printed,difference,unit,"
        "status\n"
        "a,x,12.345,0.5,11.0,13.5,95% over 2 seeds (Student t),2,12.3%,0.045,%,measured\n"
        "a,y,,,,,,0,,,s,not measured\n"
    )
    assert next(csv.DictReader(as_csv(SMALL).splitlines()))["printed"] == "12.3%"


def test_the_markdown_escapes_what_would_end_a_cell() -> None:
    table = {**SMALL, "columns": SMALL["columns"][:1], "cells": [{**CELL, "printed": "1|2"}]}
    assert as_markdown(table).splitlines()[2:5] == [
        "| Model \\| size | X |",
        "| --- | ---: |",
        "| A\\|B | 12.3% ± 0.5 [1\\|2] |",
    ]

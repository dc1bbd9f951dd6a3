"""A cell of transfer: the accuracy of one target with one seed on the examples of the row's model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_cases import cell_of, column, made, measure, measured, table_spec

from robustrepro.measures.store import stacked

ERM, HRM = "image-erm", "image-hrm"
LABELS = np.arange(4)
WRONG = 9
Outcome = tuple[Sequence[int], Sequence[int]]
"""Which images a target gets wrong clean, and on the examples made of them."""

# For each source's seed, what becomes of the images at each target. The white box is erm from the same seed.
OUTCOMES: dict[int, dict[tuple[str, int], Outcome]] = {
    0: {(ERM, 0): ([], [0, 1, 2]), (ERM, 1): ([], [0, 1]), (HRM, 1): ([0], [3])},
    1: {(ERM, 1): ([], [0, 1, 2, 3]), (ERM, 0): ([], []), (HRM, 0): ([0, 1], [0, 1])},
}


def with_errors(places: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return predictions that are wrong at some places only."""
    return np.where(np.isin(LABELS, list(places)), WRONG, LABELS)


def transfer_cell(target: str, target_seeds: Sequence[int]) -> dict[str, Any]:
    samples = [
        {"seed": seed, "subject_seed": seed, "rows": {"target": target, "target_seed": target_seed}}
        for seed, target_seed in enumerate(target_seeds)
    ]
    return measured("erm", target, ["transfer"], ERM, 2, models=[ERM, target], samples=samples)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A table of transfer from ERM to ERM (white box) and to HRM."""
    monkeypatch.chdir(tmp_path)
    for seed, targets in OUTCOMES.items():
        parts = [
            {
                "target": name,
                "target_seed": at,
                "index": LABELS,
                "label": LABELS,
                "clean_prediction": with_errors(clean),
                "prediction": with_errors(attacked),
            }
            for (name, at), (clean, attacked) in targets.items()
        ]
        declared = {"kind": "transfer", "attack": {"name": "pgd"}, "split": "test"}
        measure("transfer", ERM, seed, stacked(parts), declared=declared, models=[(ERM, seed), *targets])
    columns = [column(ERM, "ERM"), column(HRM, "HRM")]
    cells = [transfer_cell(ERM, [0, 1]), transfer_cell(HRM, [1, 0])]
    return made(table_spec({"erm": "ERM"}, columns, cells), tmp_path)


def test_a_cell_is_the_accuracy_of_its_own_target_and_seed(table: dict[str, Any]) -> None:
    cell = cell_of(table, "erm", ERM)
    assert [(value["seed"], value["value"], value["count"]) for value in cell["values"]] == [(0, 25.0, 4), (1, 0.0, 4)]
    assert (cell["mean"], cell["seeds"]) == (12.5, 2)
    assert cell["interval_kind"] == "95% over 2 seeds (Student t, within bounds)"


def test_an_image_that_the_target_misclassifies_clean_stays_wrong(table: dict[str, Any]) -> None:
    # Of seed 0, image 0 is wrong clean though right on its example, and image 3 is broken.
    assert [value["value"] for value in cell_of(table, "erm", HRM)["values"]] == [50.0, 50.0]


def test_the_sources_are_the_attacking_model_and_this_target_only(table: dict[str, Any]) -> None:
    weights = {
        cell["column"]: [[source["weights_sha256"] for source in value["sources"]] for value in cell["values"]]
        for cell in table["cells"]
    }
    assert weights == {
        ERM: [[f"sha-of-{ERM}-{seed}"] * 2 for seed in (0, 1)],
        HRM: [[f"sha-of-{ERM}-{seed}", f"sha-of-{HRM}-{1 - seed}"] for seed in (0, 1)],
    }
    source, target = cell_of(table, "erm", HRM)["values"][0]["sources"]
    assert (source["model"], target["model"]) == (ERM, HRM)
    assert [model["training_spec"]["objective"]["name"] for model in (source, target)] == ["erm", "hrm"]
    assert source["measurement"] == target["measurement"] == f"results/quick/measurements/transfer/{ERM}/seed0.parquet"


def test_the_attack_is_told_without_the_list_of_targets(table: dict[str, Any]) -> None:
    source, _ = cell_of(table, "erm", HRM)["values"][0]["sources"]
    assert source["attack_spec"] == {"kind": "transfer", "attack": {"name": "pgd"}, "split": "test"}

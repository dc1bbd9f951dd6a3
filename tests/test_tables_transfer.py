"""A cell of transfer: the accuracy of one target with one seed on the examples of the row's model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Declarations

from robustrepro.measurements.store import stacked, write_measurement
from robustrepro.tables.step import table_step

ERM, HRM = "image-erm", "image-hrm"
LABELS = np.arange(4)
WRONG = 9
Outcome = tuple[Sequence[int], Sequence[int]]
"""Which images a target gets wrong clean, and on the examples made of them."""

# For each source's seed, what becomes of the images at each target. The white box is erm from the same seed.
FOUND: dict[int, dict[tuple[str, int], Outcome]] = {
    0: {(ERM, 0): ([], [0, 1, 2]), (ERM, 1): ([], [0, 1]), (HRM, 1): ([0], [3])},
    1: {(ERM, 1): ([], [0, 1, 2, 3]), (ERM, 0): ([], []), (HRM, 0): ([0, 1], [0, 1])},
}


def with_errors(places: Sequence[int]) -> np.ndarray:
    """Return predictions that are wrong at some places only."""
    return np.where(np.isin(LABELS, list(places)), WRONG, LABELS)


@pytest.fixture
def spec(declarations: Declarations, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The spec of a table of transfer from ERM to ERM (white box) and to HRM, whose measurements exist."""
    declarations.add_transfer("transfer", white_box=True)
    declarations.paper["tables"]["transfer"]["rows"] = {"erm": {"label": "ERM", "model": ERM}}
    plan = declarations.plan()
    monkeypatch.chdir(declarations.root)
    for seed, targets in FOUND.items():
        parts = [
            {
                "target": name,
                "target_seed": at,
                "label": LABELS,
                "clean_prediction": with_errors(clean),
                "prediction": with_errors(attacked),
            }
            for (name, at), (clean, attacked) in targets.items()
        ]
        origin = {
            "spec": {"attacks": [{"name": "pgd"}], "split": "test", "targets": ["a", "long", "list"]},
            "models": [
                {"model": name, "seed": at, "weights_sha256": f"sha-of-{name}-{at}"}
                for name, at in [(ERM, seed), *targets]
            ],
            "commit": "c0ffee",
            "device": "cpu",
        }
        path = Path(f"results/quick/measurements/transfer/{ERM}/seed{seed}/pgd.parquet")
        write_measurement(path, stacked(parts), origin)
    found: dict[str, Any] = json.loads(plan.table_spec("small", "transfer"))
    return found


def cells(spec: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    table_step(spec, folder, None)
    return {cell["column"]: cell for cell in json.loads((folder / "transfer.json").read_text())["cells"]}


def test_a_cell_is_the_accuracy_of_its_own_target_and_seed(spec: dict[str, Any], tmp_path: Path) -> None:
    found = cells(spec, tmp_path)["erm"]
    assert [(value["seed"], value["value"], value["count"]) for value in found["values"]] == [(0, 25.0, 4), (1, 0.0, 4)]
    assert (found["mean"], found["seeds"]) == (12.5, 2)
    assert found["interval_kind"] == "95% over 2 seeds (Student t)"


def test_an_image_that_the_target_misclassifies_clean_stays_wrong(spec: dict[str, Any], tmp_path: Path) -> None:
    # Of seed 0, image 0 is wrong clean though right on its example, and image 3 is broken.
    found = cells(spec, tmp_path)["hrm"]
    assert [value["value"] for value in found["values"]] == [50.0, 50.0]


def test_the_sources_are_the_attacking_model_and_this_target_only(spec: dict[str, Any], tmp_path: Path) -> None:
    found = cells(spec, tmp_path)
    weights = {
        column: [[source["weights_sha256"] for source in value["sources"]] for value in cell["values"]]
        for column, cell in found.items()
    }
    assert weights == {
        "erm": [[f"sha-of-{ERM}-{seed}"] * 2 for seed in (0, 1)],
        "hrm": [[f"sha-of-{ERM}-{seed}", f"sha-of-{HRM}-{1 - seed}"] for seed in (0, 1)],
    }
    (source, target) = found["hrm"]["values"][0]["sources"]
    assert (source["model"], target["model"]) == (ERM, HRM)
    assert [one["training_spec"]["objective"]["name"] for one in (source, target)] == ["erm", "hrm"]
    assert source["measurement"] == target["measurement"]
    assert source["measurement"].endswith(f"{ERM}/seed0/pgd.parquet")


def test_the_attack_is_told_without_the_list_of_targets(spec: dict[str, Any], tmp_path: Path) -> None:
    source, _ = cells(spec, tmp_path)["hrm"]["values"][0]["sources"]
    assert source["attack_spec"] == {"attacks": [{"name": "pgd"}], "split": "test"}

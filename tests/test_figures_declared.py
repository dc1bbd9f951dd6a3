"""What a figure's declaration may say."""

from __future__ import annotations

from typing import Any

import pytest

from robustrepro.errors import UserError
from robustrepro.spec.config import validated
from robustrepro.spec.figures import Figure

PANELS = [{"label": "ERM", "model": "points-erm"}]
BATCH = {"batch_size": 64, "losses": "cem-64", "accuracy": {"ERM": "erm-64", "CEM": "cem-64"}}
FIGURES: dict[str, dict[str, Any]] = {
    "decision_boundaries": {"panels": PANELS, "columns": 4},
    "gradient_pair": {"losses": [0.5, 2], "lengths": [1, 1.2], "angle": 70},
    "training_gradients": {"panels": PANELS, "every": 5},
    "training_paths": {"panels": PANELS},
    "kernel_sketch": {"points": [[0, 0], [1, 0.2], [0.3, 1], [1.4, 1.1], [0.6, -0.8]], "gamma": 1},
    "diagonal_dominance": {"measure": "pgd", "batches": [BATCH, {**BATCH, "batch_size": 128}]},
    "heat_map": {"table": "table5"},
}


def declared(name: str, **changed: Any) -> Figure:
    tree = {"where": "Figure 1", "caption": "A figure", "figure": {"name": name, **FIGURES[name], **changed}}
    return validated(Figure, tree, "paper.yaml")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_declared_by_its_name(name: str) -> None:
    assert declared(name).figure.name == name


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("decision_boundaries", {"columns": 0}, "figure.columns: found 0"),
        ("gradient_pair", {"losses": [2.0, 0.5]}, "expected the second one to be the larger"),
        ("gradient_pair", {"losses": [0.0, 0.5]}, r"figure.losses\[0\]: found 0"),
        ("gradient_pair", {"angle": 180}, "figure.angle: found 180"),
        ("gradient_pair", {"lengths": [1.0]}, "figure.lengths: found"),
        ("training_gradients", {"every": 0}, "figure.every: found 0"),
        ("training_paths", {"panels": []}, "figure.panels: found"),
        ("kernel_sketch", {"points": [[0.0, 0.0]] * 4}, "figure.points: found"),
        ("kernel_sketch", {"gamma": 0.0}, "figure.gamma: found 0"),
        ("diagonal_dominance", {"batches": [BATCH]}, "figure.batches: found"),
        ("diagonal_dominance", {"batches": [BATCH, BATCH]}, r"expected different batch sizes, found \[64, 64\]"),
        (
            "diagonal_dominance",
            {"batches": [BATCH, {**BATCH, "batch_size": 128, "accuracy": {"ERM": "erm-128"}}]},
            "expected the same labels",
        ),
        ("heat_map", {"table": "table 5"}, "figure.table: found 'table 5'"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        declared(name, **changed)


def test_an_unknown_figure_names_the_nearest() -> None:
    tree = {"where": "Figure 1", "caption": "A figure", "figure": {"name": "heatmap", "table": "table5"}}
    with pytest.raises(UserError, match="unknown name 'heatmap'; did you mean 'heat_map'"):
        validated(Figure, tree, "paper.yaml")

"""What a figure's declaration may say, and which measurements and tables it asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from robustrepro.errors import UserError
from robustrepro.spec.config import validated
from robustrepro.spec.figures import Figure

PANELS = [{"label": "ERM", "model": "points-erm"}, {"label": "HRM", "model": "points-hrm", "seed": 2}]
BATCH = {"batch_size": 64, "losses": "cem-64", "accuracy": {"ERM": "erm-64", "CEM": "cem-64"}}
LARGER = {"batch_size": 128, "losses": "cem-128", "accuracy": {"ERM": "erm-128", "CEM": "cem-128"}}
SERIES = [
    {"model": "erm", "measure": "fgsm-curve", "label": "ERM", "columns": {"attack": "FGSM"}},
    {"model": "hrm", "measure": "pgd-curve", "label": "HRM", "seed": 1, "columns": {"attack": "PGD"}},
]
PRINTED = {"y": 24.55, "label": "as printed", "hue": "ERM", "panel": "FGSM"}
EPSILON = {"column": "epsilon", "label": "ε"}
LOSS = {"column": "loss", "label": "loss"}
FIGURES: dict[str, dict[str, Any]] = {
    "decision_boundaries": {"measure": "grid", "panels": PANELS, "columns": 4},
    "gradient_pair": {"losses": [0.5, 2], "lengths": [1, 1.2], "angle": 70},
    "training_gradients": {"measure": "path", "panels": PANELS},
    "training_paths": {"measure": "path", "panels": PANELS},
    "kernel_sketch": {"points": [[0, 0], [1, 0.2], [0.3, 1], [1.4, 1.1], [0.6, -0.8]], "gamma": 1},
    "curvature_sketch": {"slope_at": 0.4, "curvature_at": 1.8},
    "relaxed_hamming_sketch": {"sharpness": 1.0},
    "diagonal_dominance": {"measure": "pgd", "losses_measure": "train-losses", "batches": [BATCH, LARGER]},
    "heat_map": {"table": "table5"},
    "lines": {"x": EPSILON, "series": SERIES, "panels": "attack", "clean_at": 0, "references": [PRINTED]},
    "histogram": {"x": LOSS, "series": SERIES},
    "scatter": {"x": EPSILON, "y": LOSS, "series": SERIES, "style": "attack"},
    "table_scatter": {"table": "table5", "x": "clean", "y": "pgd"},
}
ONE_PER_PANEL = {("points-erm", 0), ("points-hrm", 2)}
TWO_SERIES = {("erm", "fgsm-curve", None), ("hrm", "pgd-curve", 1)}
SOURCES: dict[str, set[tuple[str, str, int | None]]] = {
    "decision_boundaries": {(model, "grid", seed) for model, seed in ONE_PER_PANEL},
    "training_gradients": {(model, "path", seed) for model, seed in ONE_PER_PANEL},
    "training_paths": {(model, "path", seed) for model, seed in ONE_PER_PANEL},
    "diagonal_dominance": {(f"cem-{size}", "train-losses", None) for size in (64, 128)}
    | {(f"{objective}-{size}", "pgd", None) for objective in ("erm", "cem") for size in (64, 128)},
    "lines": TWO_SERIES,
    "histogram": TWO_SERIES,
    "scatter": TWO_SERIES,
}


def declared(name: str, **changed: Any) -> Figure:
    tree = {"where": "Figure 1", "caption": "A figure", "figure": {"name": name, **FIGURES[name], **changed}}
    return validated(Figure, tree, "paper.yaml")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_declared_by_its_name(name: str) -> None:
    assert declared(name).figure.name == name


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_asks_for_what_it_is_drawn_from(name: str) -> None:
    drawing = declared(name).figure
    assert {tuple(source) for source in drawing.sources()} == SOURCES.get(name, set())
    assert list(drawing.tables()) == (["table5"] if "table" in FIGURES[name] else [])


@pytest.mark.parametrize("name", FIGURES)
def test_a_resolved_figure_is_the_same_declaration(name: str) -> None:
    drawing = declared(name).figure
    assert type(drawing).model_validate(json.loads(drawing.model_dump_json())) == drawing


def test_a_quantity_is_read_as_papers_write_it() -> None:
    x = {**EPSILON, "factor": 255, "limits": [0, "8/255"]}
    selected = {**SERIES[0], "rows": {"epsilon": "8/255", "norm": "l2", "epoch": 3}}
    drawing = declared("lines", x=x, series=[selected]).figure
    assert drawing.x.limits == [0, 8 / 255]
    assert drawing.series[0].rows == {"epsilon": 8 / 255, "norm": "l2", "epoch": 3}


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("decision_boundaries", {"columns": 0}, "figure.columns: found 0"),
        ("gradient_pair", {"losses": [2.0, 0.5]}, "expected the second one to be the larger"),
        ("gradient_pair", {"losses": [0.0, 0.5]}, r"figure.losses\[0\]: found 0"),
        ("gradient_pair", {"angle": 180}, "figure.angle: found 180"),
        ("gradient_pair", {"lengths": [1.0]}, "figure.lengths: found"),
        ("training_gradients", {"every": 3}, "figure.every: unknown key"),
        ("training_paths", {"panels": []}, "figure.panels: found"),
        ("kernel_sketch", {"points": [[0.0, 0.0]] * 4}, "figure.points: found"),
        ("kernel_sketch", {"gamma": 0.0}, "figure.gamma: found 0"),
        ("curvature_sketch", {"curvature_at": 0.0}, "figure.curvature_at: found 0"),
        ("relaxed_hamming_sketch", {"sharpness": 0.0}, "figure.sharpness: found 0"),
        ("diagonal_dominance", {"batches": [BATCH]}, "figure.batches: found"),
        ("diagonal_dominance", {"batches": [BATCH, BATCH]}, r"expected different batch sizes, found \[64, 64\]"),
        (
            "diagonal_dominance",
            {"batches": [BATCH, {**LARGER, "accuracy": {"ERM": "erm-128"}}]},
            "expected the same labels",
        ),
        ("heat_map", {"table": "table 5"}, "figure.table: expected .* found 'table 5'"),
        ("lines", {"series": []}, "figure.series: found"),
        (
            "lines",
            {"series": [SERIES[0], {**SERIES[1], "columns": {}}]},
            r"series\[1\].columns: 'attack' is missing, which other series have",
        ),
        ("lines", {"series": [{**SERIES[0], "columns": {"label": "a"}}]}, "'label' is a key of a series itself"),
        ("lines", {"y": LOSS}, "clean_at: expected y to be the accuracy, found the column loss"),
        ("lines", {"x": {**EPSILON, "log": True}}, "clean_at: a logarithmic axis is positive, found 0"),
        ("lines", {"x": {**EPSILON, "limits": [1, 0.5]}}, "limits: expected the second one to be the larger"),
        ("lines", {"panels_per_row": 5}, "figure.panels_per_row: found 5"),
        (
            "lines",
            {"references": [{**PRINTED, "hue": "HRN"}]},
            r"references\[0\]: hue is HRN, which no series has; expected one of ERM, HRM",
        ),
        (
            "lines",
            {"references": [PRINTED, {**PRINTED, "panel": "BIM"}]},
            r"references\[1\]: panel is BIM, which no series has; expected one of FGSM, PGD",
        ),
        (
            "lines",
            {"references": [PRINTED], "panels": None},
            r"references\[0\]: panel is FGSM, but the figure has no 'panels'",
        ),
        (
            "lines",
            {"references": [{**PRINTED, "y": 101}]},
            r"references\[0\]: y is 101, beyond the limits of the axis, 0 and 100",
        ),
        (
            "lines",
            {"references": [{**PRINTED, "y": 0}], "y": {**LOSS, "log": True}, "clean_at": None},
            r"references\[0\]: a logarithmic axis is positive, found 0",
        ),
        ("lines", {"references": [{"y": 5}]}, r"references\[0\].label: this key is missing"),
        ("scatter", {"series": [{**SERIES[0], "y": "loss"}]}, r"series\[0\].y: unknown key"),
        ("histogram", {"x": {**LOSS, "log": True, "limits": [0, 1]}}, "limits: a logarithmic axis is positive"),
        ("histogram", {"bins": 1}, "figure.bins: found 1"),
        ("scatter", {"series": [{**SERIES[0], "seed": -1}]}, r"figure.series\[0\].seed: found -1"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        declared(name, **changed)


def test_an_unknown_figure_names_the_nearest() -> None:
    tree = {"where": "Figure 1", "caption": "A figure", "figure": {"name": "heatmap", "table": "table5"}}
    with pytest.raises(UserError, match="unknown name 'heatmap'; did you mean 'heat_map'"):
        validated(Figure, tree, "paper.yaml")


def test_a_series_with_a_column_of_its_own_needs_neither_accuracy_nor_clean_predictions() -> None:
    own = {**SERIES[1], "y": "without_gradient"}
    figure = declared("lines", series=[SERIES[0], own]).figure
    assert [set(figure.column_names(one)) for one in figure.series] == [
        {"label", "attack", "epsilon", "accuracy", "clean_prediction"},
        {"label", "attack", "epsilon", "without_gradient"},
    ]

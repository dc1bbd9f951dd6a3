"""Histograms and scatter plots: where their points lie, and what is no figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, table_cell, write, write_table
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from robustrepro.errors import UserError
from robustrepro.figures import histogram, scatter, style, table_scatter
from robustrepro.figures.histogram import shared_bins
from robustrepro.spec.figures import Histogram

SERIES = [{"model": model, "measure": "slopes", "label": model.upper()} for model in ("a", "b")]
SLOPE, MARGIN = {"column": "slope", "label": "‖J‖₁"}, {"column": "margin", "label": "margin"}
VALUES = {"a": [1.0, 1.5, 3.0, 9.0], "b": [1.0, 2.5, 2.5, 4.0]}


@pytest.fixture
def slopes(tmp_path: Path) -> Path:
    for model, values in VALUES.items():
        for seed in range(2):
            write(tmp_path, "slopes", model, seed, slope=np.array(values), margin=np.arange(4.0) + seed)
    return tmp_path


def histogram_of(folder: Path, **changed: Any) -> Figure:
    figure = {"name": "histogram", "x": SLOPE, "bins": 4, "counted": "images", "series": SERIES, **changed}
    return histogram.draw(*declared_with_data(folder, figure))


def scatter_of(folder: Path, **changed: Any) -> Figure:
    return scatter.draw(
        *declared_with_data(folder, {"name": "scatter", "x": SLOPE, "y": MARGIN, "series": SERIES, **changed})
    )


# -- histograms ----------------------------------------------------------------------------------------------


def test_a_histogram_has_the_share_of_rows_in_bins_that_all_series_and_panels_share(slopes: Path) -> None:
    figure = histogram_of(slopes, panels="label")
    assert [axis.get_title() for axis in figure.axes] == ["A", "B"]
    for axis, values in zip(figure.axes, VALUES.values(), strict=True):
        expected, _ = np.histogram(values, bins=[1, 3, 5, 7, 9])
        (outline,) = axis.collections
        heights = outline.get_paths()[0].vertices
        assert {y for x, y in heights if 1 < x < 3} <= {100 * expected[0] / 4}
        assert heights[:, 1].max() == 100 * expected.max() / 4
    assert figure.axes[0].get_ylabel() == "images (%)"
    assert figure.get_suptitle() == "scale quick; 2 seeds; 8 images per histogram"
    assert not figure.legends


def test_what_lies_outside_the_limits_is_said(slopes: Path) -> None:
    figure = histogram_of(slopes, x={**SLOPE, "limits": [0, 4]})
    assert figure.get_suptitle() == "scale quick; 2 seeds; 8 images per histogram; 12.5% lie outside"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]


@pytest.mark.parametrize(("log", "edges"), [(False, [1, 4.5, 8]), (True, [1, 8**0.5, 8])])
def test_bins_are_equally_wide_as_drawn(log: bool, edges: list[float]) -> None:
    declared = Histogram.model_validate({"name": "histogram", "x": {**SLOPE, "log": log}, "bins": 2, "series": SERIES})
    assert shared_bins(np.array([8.0, 1.0, 2.0]), declared) == pytest.approx(edges)


def test_values_that_are_all_equal_are_no_histogram(slopes: Path) -> None:
    write(slopes, "slopes", "b", 0, slope=np.full(4, 2.0))
    write(slopes, "slopes", "b", 1, slope=np.full(4, 2.0))
    with pytest.raises(UserError, match=r"figure, panel B: .*/slopes/b/seed0\.parquet: every ‖J‖₁ is 2"):
        histogram_of(slopes, panels="label")


def test_a_logarithmic_axis_leaves_nothing_out(slopes: Path) -> None:
    write(slopes, "slopes", "b", 0, slope=np.array([0.0, 1, 2, 3]))
    with pytest.raises(UserError, match=r"/slopes/b/seed0\.parquet: 1 values of slope are not above 0"):
        histogram_of(slopes, x={**SLOPE, "log": True})


# -- scatter plots of measurements ---------------------------------------------------------------------------


def test_every_row_of_every_seed_is_a_point(slopes: Path) -> None:
    figure = scatter_of(slopes, panels="label")
    for axis, values in zip(figure.axes, VALUES.values(), strict=True):
        points = np.asarray(axis.collections[0].get_offsets()).tolist()
        assert points == [[x, y + seed] for seed in range(2) for y, x in enumerate(values)]
    assert figure.get_suptitle() == "scale quick; 2 seeds; 8 points per panel"
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("‖J‖₁", "margin")


def test_points_on_one_line_of_an_axis_are_no_figure(slopes: Path) -> None:
    for seed in range(2):
        write(slopes, "slopes", "a", seed, slope=np.arange(4.0), margin=np.zeros(4))
    with pytest.raises(UserError, match=r"figure, panel A: .*/slopes/a/seed0\.parquet: every margin is 0"):
        scatter_of(slopes, panels="label")


# -- scatter plots of tables ---------------------------------------------------------------------------------

TRADE = {"name": "table_scatter", "table": "trade", "x": "clean", "y": "pgd"}


def trade_of(
    folder: Path, rows: dict[str, tuple[float | None, float | None]], drawn: dict[str, Any] = TRADE, **column: Any
) -> Figure:
    """Draw rows of (clean, pgd); the paper prints 90 and 50 for row a, and only the first of the two for row b."""
    printed = {("a", "clean"): 90.0, ("a", "pgd"): 50.0, ("b", "clean"): 91.0}
    cells = [
        table_cell(row, key, mean, printed_value=printed.get((row, key)))
        for row, means in rows.items()
        for key, mean in zip(("clean", "pgd"), means, strict=True)
    ]
    write_table(folder, "trade", cells, **column)
    return table_scatter.draw(*declared_with_data(folder, drawn))


def test_rows_that_are_measured_in_both_columns_are_points_with_their_names(tmp_path: Path) -> None:
    figure = trade_of(tmp_path, {"a": (80.0, 20.0), "b": (70.0, 40.0), "c": (60.0, None)})
    (axis,) = figure.axes
    measured, printed = axis.lines
    assert np.stack(measured.get_data(), axis=1).tolist() == [[80.0, 20.0], [70.0, 40.0]]
    assert np.stack(printed.get_data(), axis=1).tolist() == [[90.0, 50.0]]
    names = [(text.get_text(), text.xy) for text in axis.texts]  # type: ignore[attr-defined]
    assert names == [("from a", (80.0, 20.0)), ("from b", (70.0, 40.0)), ("from a", (90.0, 50.0))]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("to clean (%)", "to pgd (%)")
    bars = sorted(bar.get_paths()[0].vertices.tolist() for bar in axis.collections)
    assert [[79.0, 20.0], [81.0, 20.0]] in bars
    assert [[80.0, 19.0], [80.0, 21.0]] in bars


def test_a_correlation_is_said_with_its_interval_and_how_many_rows_it_is_over(tmp_path: Path) -> None:
    places = [(80.0, 20.0), (70.0, 30.0), (60.0, 25.0), (50.0, 40.0), (40.0, 60.0), (30.0, 50.0)]
    rows: dict[str, tuple[float | None, float | None]] = dict(zip("abcdef", places, strict=True))
    figure = trade_of(tmp_path, rows, {**TRADE, "log_x": True, "correlation": True})
    assert figure.axes[0].get_xscale() == "log"
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels(which="both")]
    assert any(ticks)
    assert not any("$" in tick for tick in ticks)
    rho = spearmanr(*zip(*places, strict=True)).statistic
    deviation = np.sqrt((1 + rho**2 / 2) / 3)
    low, high = np.tanh(np.arctanh(rho) + np.array([-1.96, 1.96]) * deviation)
    expected = f"Spearman's ρ = {rho:.2f} [{low:.2f}, {high:.2f}] over 6 rows".replace("-", "−")
    assert expected in notes(figure)


def test_where_both_orders_agree_there_is_no_interval(tmp_path: Path) -> None:
    figure = trade_of(tmp_path, {"a": (8.0, 2.0), "b": (9.0, 3.0), "c": (10.0, 4.0)}, {**TRADE, "correlation": True})
    assert "Spearman's ρ = 1.00 over 3 rows" in notes(figure)


def test_on_a_logarithmic_axis_rows_without_a_place_are_left_out_and_named(tmp_path: Path) -> None:
    rows: dict[str, tuple[float | None, float | None]] = {"a": (8.0, 2.0), "b": (-9.0, 3.0), "c": (10.0, 4.0)}
    figure = trade_of(tmp_path, rows, {**TRADE, "log_x": True})
    assert np.stack(figure.axes[0].lines[0].get_data(), axis=1).tolist() == [[8.0, 2.0], [10.0, 4.0]]
    assert "without from b: x ≤ 0" in notes(figure)


def test_where_a_logarithmic_axis_would_leave_less_than_two_rows_it_is_a_plain_one(tmp_path: Path) -> None:
    figure = trade_of(tmp_path, {"a": (-8.0, 2.0), "b": (-9.0, 3.0), "c": (10.0, 4.0)}, {**TRADE, "log_x": True})
    assert figure.axes[0].get_xscale() == "linear"
    assert len(figure.axes[0].lines[0].get_xdata()) == 3


def notes(figure: Figure) -> str:
    """Return what stands above the axes."""
    return " ".join(text.get_text() for text in figure.texts) + str(figure.get_suptitle())


def test_a_name_does_not_cover_the_numbers_of_an_axis_where_there_is_room_elsewhere(tmp_path: Path) -> None:
    rows: dict[str, tuple[float | None, float | None]] = {"a": (10.0, 20.0), "b": (10.2, 20.0), "c": (90.0, 40.0)}
    figure = trade_of(tmp_path, rows)
    (axis,) = figure.axes
    figure.draw_without_rendering()
    assert all(text.get_window_extent().x0 >= axis.bbox.x0 for text in axis.texts)


def test_the_names_of_close_points_do_not_cover_each_other(tmp_path: Path) -> None:
    figure = trade_of(tmp_path, {"a": (80.0, 20.0), "b": (80.1, 20.1), "c": (80.0, 20.2), "d": (60.0, 0.0)})
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [box.count_overlaps(boxes) for box in boxes] == [1] * len(boxes)  # itself


def test_a_single_measured_row_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure, panel trade: .*/trade\.json: 1 rows are measured in both columns"):
        trade_of(tmp_path, {"a": (80.0, 20.0), "b": (70.0, None)})


def test_only_accuracies_may_all_be_the_same(tmp_path: Path) -> None:
    rows: dict[str, tuple[float | None, float | None]] = {"a": (80.0, 0.0), "b": (70.0, 0.0)}
    assert trade_of(tmp_path, rows).get_figwidth() <= style.WIDTH
    with pytest.raises(UserError, match=r"/trade\.json: every to pgd is 0"):
        trade_of(tmp_path, rows, accuracy=False)


def test_a_single_measured_row_is_drawn_among_printed_ones_where_it_is_enough(tmp_path: Path) -> None:
    rows: dict[str, tuple[float | None, float | None]] = {"a": (80.0, 20.0), "b": (None, None)}
    with pytest.raises(UserError, match="1 rows are measured in both columns"):
        trade_of(tmp_path, rows)
    (axis,) = trade_of(tmp_path, rows, {**TRADE, "fewest": 1}).axes
    measured, printed = axis.lines
    assert np.stack(measured.get_data(), axis=1).tolist() == [[80.0, 20.0]]
    assert np.stack(printed.get_data(), axis=1).tolist() == [[90.0, 50.0]]


def test_a_column_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    write_table(tmp_path, "trade", [table_cell("a", "clean", 1.0)])
    with pytest.raises(UserError, match="unknown column of trade in figure: 'pgd'"):
        table_scatter.draw(*declared_with_data(tmp_path, TRADE))

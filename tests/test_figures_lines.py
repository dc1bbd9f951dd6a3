"""The general figure of one quantity against another: where its points lie, and what is no figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, write
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.lines import draw

EPSILONS = (0.1, 0.2)
IMAGES = 20
EPSILON = {"column": "epsilon", "label": "ε"}


def curve(folder: Path, model: str, seed: int, robust: tuple[int, int], *, clean: int = 18, measure: str = "c") -> None:
    """Write an attack at two ε, after which so many of 20 images are classified correctly; ``clean`` are before it.

    The last image is misclassified when clean, and correctly by chance under attack: it is not robust.
    """
    image = np.repeat(np.arange(IMAGES), len(EPSILONS))
    survivors = np.tile(robust, IMAGES)
    prediction = (image >= survivors).astype(int)
    prediction[image == IMAGES - 1] = 0
    write(
        folder,
        measure,
        model,
        seed,
        label=np.zeros_like(image),
        epsilon=np.tile(EPSILONS, IMAGES),
        clean_prediction=(image >= clean).astype(int),
        prediction=prediction,
    )


def series(*models: str, **changed: Any) -> list[dict[str, Any]]:
    return [{"model": model, "measure": "c", "label": model.upper(), **changed} for model in models]


def drawn_from(folder: Path, **figure: Any) -> Figure:
    return draw(*declared_with_data(folder, {"name": "lines", "x": EPSILON, "series": series("a", "b"), **figure}))


def lines_of(axis: Axes) -> list[tuple[list[float], list[float]]]:
    return [(np.asarray(x).tolist(), np.asarray(y).tolist()) for x, y in (line.get_data() for line in axis.lines)]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    for seed, (first, second) in enumerate([(10, 4), (14, 4)]):
        curve(tmp_path, "a", seed, (first, second))
        curve(tmp_path, "b", seed, (16, 12))
    return tmp_path


def test_a_point_is_the_mean_over_seeds_of_the_accuracy_clean_and_under_attack(two_models: Path) -> None:
    figure = drawn_from(two_models)
    (axis,) = figure.axes
    assert lines_of(axis) == [([0.1, 0.2], [60.0, 20.0]), ([0.1, 0.2], [80.0, 60.0])]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("ε", "accuracy (%)")
    assert axis.get_ylim() == style.PERCENT
    said = "scale quick; 2 seeds; mean and 95% bootstrap interval over seeds; the words for c"
    assert figure.get_suptitle().replace("\n", " ") == said


def test_the_interval_spans_the_seeds_and_a_single_seed_has_none(two_models: Path) -> None:
    (axis,) = drawn_from(two_models, series=series("a")).axes
    (band,) = axis.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (20.0, 70.0)  # of two seeds, the bootstrap has the range
    figure = drawn_from(two_models, series=series("a", seed=1))
    assert not figure.axes[0].collections
    assert lines_of(figure.axes[0]) == [([0.1, 0.2], [70.0, 20.0])]
    assert figure.get_suptitle() == "scale quick; 1 seed; the words for c"


def test_the_clean_accuracy_is_shown_where_the_figure_says(two_models: Path) -> None:
    (axis,) = drawn_from(two_models, clean_at=0, x={**EPSILON, "unit": "1/255", "factor": 255}).axes
    assert lines_of(axis)[0] == (pytest.approx([0, 25.5, 51]), [90.0, 60.0, 20.0])
    assert axis.get_xlabel() == "ε (1/255)"


def test_a_column_is_averaged_over_the_rows_that_are_selected(tmp_path: Path) -> None:
    for seed in range(2):
        loss = np.array([1, 3, 5, 100.0]) + seed
        write(tmp_path, "c", "a", seed, epoch=[1, 1, 2, 1], loss=loss, split=["test", "test", "test", "train"])
    figure = drawn_from(
        tmp_path,
        x={"column": "epoch", "label": "epoch"},
        y={"column": "loss", "label": "loss", "factor": 10, "unit": "mnat"},
        series=series("a", rows={"split": "test"}),
    )
    assert lines_of(figure.axes[0]) == [([1, 2], [25.0, 55.0])]
    assert figure.axes[0].get_ylabel() == "loss (mnat)"


def test_a_single_attack_is_a_point_at_the_epsilon_that_its_series_says(two_models: Path) -> None:
    attacked = {"label": np.zeros(4), "clean_prediction": np.zeros(4), "prediction": np.array([0, 1, 1, 1])}
    for seed in range(2):
        write(two_models, "autoattack", "a", seed, **attacked)
    point = {"model": "a", "measure": "autoattack", "label": "AutoAttack", "columns": {"epsilon": 0.2}}
    (axis,) = drawn_from(two_models, series=[*series("a"), point]).axes
    assert lines_of(axis) == [([0.1, 0.2], [60.0, 20.0]), ([0.2], [25.0])]


def sweep(folder: Path) -> None:
    """Write a model's two perturbed forms on four images, whose examples are further and further away."""
    write(
        folder,
        "c",
        "a",
        0,
        index=np.tile(range(4), 2),
        label=np.zeros(8),
        linf=np.tile([0.05, 0.1, 0.3, np.inf], 2),
        unattacked=[0, 0, 0, 0, 1, 0, 0, 0],
        prediction=[1, 1, 1, 0, 1, 0, 0, 0],
        percent=np.repeat([0, 50], 4),
    )


def test_within_a_bound_images_count_by_their_examples_that_are_near_enough(tmp_path: Path) -> None:
    sweep(tmp_path)
    (axis,) = drawn_from(tmp_path, bounds=[0.0, 0.2, 0.4], hue="percent", series=series("a")).axes
    first, second = lines_of(axis)
    assert first == ([0.0, 0.2, 0.4], [100.0, 50.0, 25.0])
    assert second == ([0.0, 0.2, 0.4], [75.0, 75.0, 75.0])


def test_a_line_of_several_rows_per_image_is_refused(tmp_path: Path) -> None:
    sweep(tmp_path)
    with pytest.raises(UserError, match="several rows per image"):
        drawn_from(tmp_path, bounds=[0.0, 0.4], series=series("a"))


def test_several_values_of_a_column_select_their_rows(tmp_path: Path) -> None:
    sweep(tmp_path)
    options: dict[str, Any] = {"bounds": [0.0, 0.4], "hue": "percent"}
    (both,) = drawn_from(tmp_path, **options, series=series("a", rows={"percent": [0, 50]})).axes
    (one,) = drawn_from(tmp_path, **options, series=series("a", rows={"percent": [50]})).axes
    assert len(lines_of(both)) == 2
    assert lines_of(one) == lines_of(both)[1:]


def test_an_attack_at_a_single_distance_is_a_point_without_a_line_to_the_clean_accuracy(two_models: Path) -> None:
    only = series("a", measure="single", columns={"attack": "stronger", "epsilon": 0.2})
    curves = series("a", columns={"attack": "curve"})
    image = np.arange(IMAGES)
    write(
        two_models,
        "single",
        "a",
        0,
        label=np.zeros_like(image),
        clean_prediction=np.zeros_like(image),
        prediction=(image >= 3).astype(int),
    )
    for one in (*curves, *only):
        one["seed"] = 0
    (axis,) = drawn_from(two_models, series=[*curves, *only], style="attack", clean_at=0).axes
    assert sorted(len(x) for x, _ in lines_of(axis)) == [1, 3]
    assert ([0.2], [15.0]) in lines_of(axis)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bounds": [0.2, 0.1]}, "each larger than the one before"),
        ({"bounds": [0.1, 0.2], "clean_at": 0}, "no 'clean_at'"),
        ({"bounds": [0.1, 0.2], "y": {"column": "loss", "label": "loss"}}, "expected y to be the accuracy"),
    ],
)
def test_bounds_that_make_no_figure_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn_from(tmp_path, **changed, series=series("a"))


def test_a_history_s_own_accuracy_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, "c", "a", 0, epoch=[1, 2], accuracy=[0.5, 0.75])
    (axis,) = drawn_from(tmp_path, x={"column": "epoch", "label": "epoch"}, series=series("a")).axes
    assert lines_of(axis) == [([1, 2], [50.0, 75.0])]


def test_names_stand_at_the_ends_of_lines_that_end_apart(two_models: Path) -> None:
    figure = drawn_from(two_models)
    assert {text.get_text(): text.xy[1] for text in figure.axes[0].texts} == {"A": 20.0, "B": 60.0}  # type: ignore[attr-defined]
    assert not figure.legends


def test_lines_that_end_together_have_a_legend(two_models: Path) -> None:
    curve(two_models, "b", 0, (16, 4))
    curve(two_models, "b", 1, (16, 5))
    figure = drawn_from(two_models)
    assert not figure.axes[0].texts
    assert legend_of(figure) == ["A", "B"]


def test_panels_share_their_axes_and_a_legend(two_models: Path) -> None:
    for model in ("a", "b"):
        for seed in range(2):
            curve(two_models, model, seed, (8, 2), measure="d")
    compared = [
        {"model": model, "measure": measure, "label": model.upper(), "columns": {"attack": attack}}
        for measure, attack in (("c", "FGSM"), ("d", "PGD"))
        for model in ("a", "b")
    ]
    figure = drawn_from(two_models, series=compared, panels="attack")
    left, right = figure.axes
    assert [axis.get_title() for axis in (left, right)] == ["FGSM", "PGD"]
    assert [y for _, y in lines_of(left)] == [[60.0, 20.0], [80.0, 60.0]]
    assert [y for _, y in lines_of(right)] == [[40.0, 10.0], [40.0, 10.0]]
    assert (left.get_ylabel(), right.get_ylabel()) == ("accuracy (%)", "")
    assert left.get_shared_y_axes().joined(left, right)
    assert legend_of(figure) == ["A", "B"]


def test_a_style_has_dashes_and_a_place_in_the_legend(two_models: Path) -> None:
    compared = [
        *series("a", columns={"attack": "FGSM"}),
        {"model": "b", "measure": "c", "label": "A", "columns": {"attack": "PGD"}},
    ]
    figure = drawn_from(two_models, series=compared, style="attack")
    assert [line.is_dashed() for line in figure.axes[0].lines] == [False, True]
    assert legend_of(figure) == ["A", "FGSM", "PGD"]


def test_a_legend_of_long_names_is_no_wider_than_its_figure(two_models: Path) -> None:
    compared = [{**series("a")[0], "label": f"trained with an objective of a rather long name, {k}"} for k in range(4)]
    figure = drawn_from(two_models, series=compared)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


def test_a_number_as_hue_is_a_shade_and_named_with_its_column(two_models: Path) -> None:
    compared = [
        {"model": model, "measure": "c", "label": "", "columns": {"p": p}} for model, p in (("b", 10), ("a", 2))
    ]
    figure = drawn_from(two_models, series=compared, hue="p")
    assert legend_of(figure) == ["p = 2", "p = 10"]
    assert [y for _, y in lines_of(figure.axes[0])] == [[60.0, 20.0], [80.0, 60.0]]


def test_accuracies_that_are_all_the_same_are_shown_and_said(tmp_path: Path) -> None:
    for model in ("a", "b"):
        curve(tmp_path, model, 0, (0, 0))
    (axis,) = drawn_from(tmp_path).axes
    assert axis.get_title() == "all 0%"
    assert [y for _, y in lines_of(axis)] == [[0.0, 0.0]] * 2


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_a_figure_is_no_wider_than_a_page_and_its_titles_do_not_meet(two_models: Path, columns: int) -> None:
    compared = [
        {"model": "a", "measure": "c", "label": "A", "columns": {"attack": f"An attack with a long name, {number}"}}
        for number in range(4)
    ]
    figure = drawn_from(two_models, series=compared, panels="attack", panels_per_row=columns)
    figure.draw_without_rendering()
    assert figure.get_tightbbox().width <= style.WIDTH + 0.01  # type: ignore[call-arg]
    shown = [bool(axis.get_xlabel()) and axis.xaxis.label.get_visible() for axis in figure.axes]
    assert shown == [number + columns >= 4 for number in range(4)]  # also above a place that is empty
    titles = [axis.title.get_window_extent() for axis in figure.axes]
    assert [title.count_overlaps(titles) for title in titles] == [1] * 4  # itself


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": {"column": "nothing", "label": "y"}}, r"unknown column in figure, .*/c/a/seed0\.parquet: 'nothing'"),
        ({"hue": "lable"}, r"unknown column in figure, .*: 'lable'; did you mean 'label'"),
        ({"series": series("a", rows={"epsilon": 0.3})}, r"panel A: .*/c/a/seed0\.parquet: no row has epsilon = 0.3"),
        ({"series": series("a", rows={"norm": "l2"})}, "unknown column in figure, .*: 'norm'"),
        ({"series": series("a", "a")}, r"figure: series 0, 1 .* have the same hue, style and panel"),
        ({"x": {**EPSILON, "factor": -1, "log": True}}, r"values of epsilon are not above 0, and the axis is logarith"),
        ({"y": {"column": "label", "label": "class"}}, r"panel class: .*/c/a/seed0\.parquet: every class is 0"),
    ],
)
def test_what_cannot_be_drawn_is_named(two_models: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        drawn_from(two_models, **changed)


def test_values_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    write(tmp_path, "c", "a", 0, epsilon=[0.1, 0.2], loss=[1, np.nan])
    with pytest.raises(UserError, match=r"panel A: .*/c/a/seed0\.parquet: some values are not finite"):
        drawn_from(tmp_path, y={"column": "loss", "label": "loss"}, series=series("a"))


def test_more_hues_than_a_reader_tells_apart_are_refused(two_models: Path) -> None:
    compared = [{**series("a")[0], "label": f"series {number}"} for number in range(8)]
    with pytest.raises(UserError, match="figure: 8 hues, of which a reader tells at most 7 apart"):
        drawn_from(two_models, series=compared)


def test_dollars_and_backslashes_in_a_label_are_no_formula(tmp_path: Path) -> None:
    curve(tmp_path, "a", 0, (12, 6))
    drawn = drawn_from(tmp_path, x={**EPSILON, "label": r"a $\foo$"}, series=series("a"))
    drawn.savefig(tmp_path / "figure.png")
    assert drawn.axes[0].get_xlabel() == r"a $\foo$"

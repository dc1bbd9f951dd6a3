"""Figures of losses, accuracies and tables: the numbers in them, and what is no figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, table_cell, write, write_table
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from robustrepro.errors import UserError
from robustrepro.figures import heat_map, style
from robustrepro.figures.data import FigureData
from robustrepro.figures.diagonal_dominance import diagonal_shares, draw

SIZES = (4, 8)

# -- the diagonal of CEM -------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-6, 50), min_size=2, max_size=9))
def test_the_share_of_the_diagonal_is_its_sum_over_that_of_the_whole_matrix(losses: list[float]) -> None:
    matrix = np.sqrt(np.outer(losses, losses))
    (share,) = diagonal_shares(np.array(losses), len(losses))
    assert share == pytest.approx(np.trace(matrix) / matrix.sum(), rel=1e-9)


def test_the_diagonal_is_a_part_in_n_of_equal_losses_and_all_of_a_single_one() -> None:
    losses = np.array([3.0, 3, 3, 3, 0, 0, 7, 0, 0, 0, 0, 0, 9])
    # Four losses of 0 have no diagonal, and the last one is no batch.
    assert diagonal_shares(losses, 4).tolist() == pytest.approx([0.25, 1.0])


def dominance(folder: Path, **changed: Any) -> tuple[Any, FigureData]:
    """Return a figure of two seeds per batch size; HRM is right more often than ERM, and so are larger batches."""
    batches = []
    for size in SIZES:
        losses = np.random.default_rng(size).exponential(size=(2, 50))
        for seed in range(2):
            write(folder, "losses", f"HRM-{size}", seed, loss=changed.get("losses", losses[seed]))
            for label, right in (("HRM", 5), ("ERM", 1)):
                prediction = np.arange(20) >= changed.get("right", right + size + seed)
                columns = {"label": np.zeros(20, dtype=int), "prediction": prediction}
                write(folder, "pgd", f"{label}-{size}", seed, **columns)
        models = {"HRM": f"HRM-{size}", "ERM": f"ERM-{size}"}
        batches.append({"batch_size": size, "losses": f"HRM-{size}", "accuracy": models})
    figure = {"name": "diagonal_dominance", "measure": "pgd", "losses_measure": "losses", "batches": batches[::-1]}
    return declared_with_data(folder, figure, measures={"pgd": "PGD, 20 steps, ε = 8/255"})


def test_the_share_of_the_diagonal_is_shown_for_every_batch_size_between_its_bounds(tmp_path: Path) -> None:
    left, _ = draw(*dominance(tmp_path)).axes
    shares, equal, single = left.lines
    expected = [
        np.mean(
            [
                diagonal_shares(np.random.default_rng(0).permutation(losses.astype(np.float64)), size)
                for losses in np.random.default_rng(size).exponential(size=(2, 50))
            ]
        )
        for size in SIZES
    ]
    assert np.asarray(shares.get_xdata()).tolist() == list(SIZES)
    assert np.asarray(shares.get_ydata()) == pytest.approx(expected)
    assert np.asarray(equal.get_ydata()).tolist() == [1 / 4, 1 / 8]
    assert set(np.asarray(single.get_ydata()).tolist()) == {1}


def test_accuracies_are_shown_with_the_range_of_their_seeds(tmp_path: Path) -> None:
    figure = draw(*dominance(tmp_path))
    _, right = figure.axes
    assert [np.asarray(line.get_ydata()).tolist() for line in right.lines] == [[27.5, 47.5], [47.5, 67.5]]  # ERM, HRM
    bars = [[path.vertices[:, 1].tolist() for path in bar.get_paths()] for bar in right.collections]
    assert bars == [[[25.0, 30.0], [45.0, 50.0]], [[45.0, 50.0], [65.0, 70.0]]]
    assert [text.get_text() for text in right.texts] == ["ERM", "HRM"]
    last = max(np.asarray(line.get_xdata()).max() for line in right.lines)
    assert all(text.xy[0] >= last for text in right.texts)
    assert figure.get_suptitle().startswith("scale quick; 2 seeds; ")
    assert right.get_title() == "accuracy (%) under\nPGD, 20 steps, ε = 8/255"


@pytest.mark.parametrize(
    ("losses", "why"),
    [
        (np.full(50, 2.0), "all 50 losses are equal"),
        (np.zeros(50), "its 50 losses make no batch with a loss other than 0"),
        (np.arange(3.0), "its 3 losses make no batch with a loss other than 0"),
    ],
)
def test_losses_without_a_share_are_no_figure(tmp_path: Path, losses: Any, why: str) -> None:
    with pytest.raises(
        UserError, match=rf"figure, panel diagonal, batch size 4: .*/losses/HRM-4/seed0\.parquet: {why}"
    ):
        draw(*dominance(tmp_path, losses=losses))


@pytest.mark.parametrize(("right", "said"), [(0, "all 0%"), (20, "all 100%")])
def test_accuracies_that_are_all_the_same_are_shown_and_said(tmp_path: Path, right: int, said: str) -> None:
    _, axis = draw(*dominance(tmp_path, right=right)).axes
    assert axis.get_title() == f"accuracy (%) under\nPGD, 20 steps, ε = 8/255\n({said})"
    assert {value for line in axis.lines for value in np.asarray(line.get_ydata())} == {5.0 * right}
    low, high = axis.get_ylim()
    assert low < 0 < 100 < high


def test_names_at_the_ends_of_lines_do_not_overlap() -> None:
    _, (axis,) = style.panels(1)
    axis.set_ylim(0, 100)
    ends = {"high": 80.0, "middle": 41.0, "same": 41.0, "low": 40.0}
    style.label_ends(axis, 1, ends, style.colours_of(ends))
    heights = {text.get_text(): text.xy[1] for text in axis.texts}  # type: ignore[attr-defined]
    assert (heights["low"], heights["high"]) == (40, 80)
    assert np.diff(sorted(heights.values())).min() > 5


# -- heat maps -----------------------------------------------------------------------------------------------

MEANS = {("a", "a"): 10.0, ("a", "b"): 21.5, ("b", "a"): 35.0, ("b", "b"): 4.0}
PRINTED = {("a", "a"): 12.4, ("a", "b"): 40.1, ("b", "a"): 41.2, ("b", "b"): 13.0}


def heat_map_of(folder: Path, means: dict[tuple[str, str], float | None], **column: Any) -> Figure:
    cells = [table_cell(*place, mean, printed_value=PRINTED.get(place)) for place, mean in means.items()]
    write_table(folder, "table5", cells, **column)
    return heat_map.draw(*declared_with_data(folder, {"name": "heat_map", "table": "table5"}))


def texts_of(figure: Figure) -> dict[tuple[float, float], str]:
    return {text.get_position() if type(text) is Text else text.xy: text.get_text() for text in figure.axes[0].texts}


def test_a_heat_map_has_every_cell_in_its_place_with_the_printed_number_in_brackets(tmp_path: Path) -> None:
    figure = heat_map_of(tmp_path, MEANS)
    axis = figure.axes[0]
    assert np.asarray(axis.collections[0].get_array()).ravel().tolist() == [10.0, 21.5, 35.0, 4.0]
    assert axis.yaxis_inverted()  # the first row is the upper one
    assert texts_of(figure) == {
        (0.5, 0.5): "10.00\n(12.40)",
        (1.5, 0.5): "21.50\n(40.10)",
        (0.5, 1.5): "35.00\n(41.20)",
        (1.5, 1.5): "4.00\n(13.00)",
    }
    assert [label.get_text() for label in axis.get_xticklabels()] == ["to a", "to b"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["from a", "from b"]
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("source", "target")
    assert figure.get_suptitle() == "scale quick; mean of 3 seeds; in brackets: as the paper prints it"


def test_a_table_that_the_paper_lacks_has_no_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_figures_results.PRINTED", {})
    figure = heat_map_of(tmp_path, MEANS)
    assert set(texts_of(figure).values()) == {"10.00", "21.50", "35.00", "4.00"}
    assert figure.get_suptitle() == "scale quick; mean of 3 seeds"


def test_a_cell_that_was_not_measured_says_so_and_has_no_colour(tmp_path: Path) -> None:
    figure = heat_map_of(tmp_path, {**MEANS, ("b", "a"): None})
    assert texts_of(figure)[0.5, 1.5] == "not measured\n(41.20)"
    assert np.ma.getmaskarray(figure.axes[0].collections[0].get_array()).ravel().tolist() == [False, False, True, False]


def test_a_row_of_which_only_the_printed_number_is_known_shows_that(tmp_path: Path) -> None:
    published = [{"row": "c", "column": key, "status": "published only", "printed_value": 7.0} for key in "ab"]
    write_table(tmp_path, "table5", [*(table_cell(*place, mean) for place, mean in MEANS.items()), *published])
    figure = heat_map.draw(*declared_with_data(tmp_path, {"name": "heat_map", "table": "table5"}))
    assert texts_of(figure)[0.5, 2.5] == "(7.00)"


def test_a_table_without_a_measured_cell_is_no_heat_map(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure, panel table5: .*/table5\.json: no cell was measured"):
        heat_map_of(tmp_path, dict.fromkeys(MEANS))


def test_accuracies_that_are_the_same_in_every_cell_are_shown_and_said(tmp_path: Path) -> None:
    assert heat_map_of(tmp_path, dict.fromkeys(MEANS, 0.0)).axes[0].get_title() == "every cell is 0%"
    assert heat_map_of(tmp_path, MEANS).axes[0].get_title() == ""


def test_a_table_of_anything_but_percentages_is_no_heat_map(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure: .*/table5\.json: .* shows percentages, the unit of column a is 's'"):
        heat_map_of(tmp_path, MEANS, unit="s")


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure: .*/papers/small/tables/table5\.json: unreadable table"):
        heat_map.draw(*declared_with_data(tmp_path, {"name": "heat_map", "table": "table5"}))

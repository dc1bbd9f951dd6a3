"""Figures of losses, accuracies and tables: the numbers in them, and what is no figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustrepro.errors import UserError
from robustrepro.figures import heat_map, style
from robustrepro.figures.diagonal_dominance import diagonal_shares, draw
from robustrepro.measurements.store import write_measurement
from robustrepro.spec.paper import Table
from robustrepro.tables.step import table_step

SIZES = (4, 8)
ATTACK = {"name": "pgd", "epsilon": 8 / 255, "steps": 20}

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


def write(path: Path, **columns: Any) -> str:
    write_measurement(path, {name: np.asarray(values) for name, values in columns.items()}, {})
    return str(path)


def dominance(folder: Path, **changed: Any) -> dict[str, Any]:
    """Return a spec with two seeds a batch size; HRM is right more often than ERM, and so are larger batches."""
    batches = []
    for size in SIZES:
        losses = np.random.default_rng(size).exponential(size=(2, 50))
        accuracy: dict[str, list[str]] = {}
        for label, right in (("HRM", 5), ("ERM", 1)):
            accuracy[label] = [
                write(
                    folder / f"{label}{size}-{seed}.parquet",
                    label=np.zeros(20, dtype=int),
                    prediction=np.arange(20) >= changed.get("right", right + size + seed),
                )
                for seed in range(2)
            ]
        files = [
            write(folder / f"losses{size}-{seed}.parquet", loss=changed.get("losses", losses[seed]))
            for seed in range(2)
        ]
        batches.append({"batch_size": size, "losses_measurements": files, "accuracy_measurements": accuracy})
    return {"id": "figure6", "scale": "quick", "figure": {"attack": ATTACK, "batches": batches[::-1]}}


def test_the_share_of_the_diagonal_is_shown_for_every_batch_size_between_its_bounds(tmp_path: Path) -> None:
    left, _ = draw(dominance(tmp_path)).axes
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
    figure = draw(dominance(tmp_path))
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
    with pytest.raises(UserError, match=rf"figure6, panel diagonal, batch size 4: .*/losses4-0\.parquet: {why}"):
        draw(dominance(tmp_path, losses=losses))


def test_accuracies_that_are_all_the_same_are_no_figure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figure6, panel accuracy: .*4-0\.parquet: every model has the same accuracy"):
        draw(dominance(tmp_path, right=0))


def test_names_at_the_ends_of_lines_do_not_overlap() -> None:
    _, (axis,) = style.panels(1)
    axis.set_ylim(0, 100)
    ends = {"high": 80.0, "middle": 41.0, "same": 41.0, "low": 40.0}
    style.label_ends(axis, 1, ends, style.colours_of(ends))
    heights = {text.get_text(): text.xy[1] for text in axis.texts}  # type: ignore[attr-defined]
    assert (heights["low"], heights["high"]) == (40, 80)
    assert np.diff(sorted(heights.values())).min() > 5


# -- heat maps -----------------------------------------------------------------------------------------------


def table(folder: Path, right: list[list[int]], *, unit: str = "%", published: str | None = None) -> dict[str, Any]:
    """Make a table whose cells say how many of 200 images are right, and return the spec of its heat map."""
    cells = []
    for row, line in zip("ab", right, strict=True):
        for column, count in zip("ab", line, strict=True):
            file = folder / f"{row}{column}.parquet"
            model = {"model": row, "seed": 0, "weights_sha256": "sha"}
            origin = {"spec": {}, "models": [model], "commit": "c0ffee", "device": "cpu"}
            columns = {"label": np.zeros(200, dtype=int), "prediction": np.arange(200) >= count}
            write_measurement(file, columns, origin)
            files = {"0": str(file), "1": str(file), "2": str(file)}
            cells.append({"row": row, "column": column, "kind": "attack", "models": [row], "measurements": files})
    declaration = {
        "where": "Table 5",
        "caption": "Transfer",
        "unit": unit,
        "rows": {key: {"label": f"from {key}", "model": key} for key in "ab"},
        "columns": {key: {"label": f"to {key}", "measure": key} for key in "ab"},
    }
    spec = {
        "id": "table5",
        "paper": "small",
        "scale": "quick",
        "table": Table.model_validate(declaration).in_order(),
        "cells": cells,
        "training": {"a": "{}", "b": "{}"},
        "stand_ins": {},
        "unverified": [],
    }
    if published:
        (folder / "table5.csv").write_text(published)
    table_step(spec, folder / "tables", folder / "table5.csv" if published else None)
    figure = {"table": "table5", "measurement": str(folder / "tables/table5.json")}
    return {"id": "map", "scale": "quick", "figure": figure}


def test_a_heat_map_has_every_cell_in_its_place_with_the_printed_number_in_brackets(tmp_path: Path) -> None:
    published = ",to a,to b\nfrom a,12.40%,40.10%\nfrom b,41.20%,13.00%\n"
    figure = heat_map.draw(table(tmp_path, [[20, 43], [70, 8]], published=published))
    axis = figure.axes[0]
    assert np.asarray(axis.images[0].get_array()).tolist() == [[10.0, 21.5], [35.0, 4.0]]
    found = {tuple(text.xy): text.get_text() for text in axis.texts}  # type: ignore[attr-defined]
    assert found == {
        (0, 0): "10.00\n(12.40)",
        (1, 0): "21.50\n(40.10)",
        (0, 1): "35.00\n(41.20)",
        (1, 1): "4.00\n(13.00)",
    }
    assert [label.get_text() for label in axis.get_xticklabels()] == ["to a", "to b"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["from a", "from b"]
    assert (axis.get_ylabel(), axis.get_xlabel()) == ("source", "target")
    assert figure.get_suptitle() == "scale quick; mean of 3 seeds; in brackets: as the paper prints it"


def test_a_table_that_the_paper_lacks_has_no_brackets(tmp_path: Path) -> None:
    figure = heat_map.draw(table(tmp_path, [[20, 43], [70, 8]]))
    assert [text.get_text() for text in figure.axes[0].texts] == ["10.00", "21.50", "35.00", "4.00"]
    assert figure.get_suptitle() == "scale quick; mean of 3 seeds"


def test_a_constant_table_is_no_heat_map(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"map, panel table5: .*/table5\.json: every cell is 10"):
        heat_map.draw(table(tmp_path, [[20, 20], [20, 20]]))


def test_a_table_of_anything_but_percentages_is_no_heat_map(tmp_path: Path) -> None:
    spec = table(tmp_path, [[20, 43], [70, 8]], unit="")
    with pytest.raises(UserError, match=r"map: .*/table5\.json: a heat map shows percentages, the table's unit is ''"):
        heat_map.draw(spec)

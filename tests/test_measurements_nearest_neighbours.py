"""How far images are from the nearest other one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measuring import MLP, checkpoint, described, measured

from robustrepro.datasets.tensors import load
from robustrepro.measures import nearest_neighbours


def found(moons: Path, folder: Path, **options: object) -> dict[str, np.ndarray]:
    weights, _ = checkpoint(folder / "weights", MLP)
    declared = {"nearest_neighbours": {}, **options}
    columns, _ = measured(folder / "n.parquet", moons, declared, [described(weights, network=MLP)])
    return {name: np.asarray(values) for name, values in columns.items()}


@pytest.fixture
def points(moons: Path) -> np.ndarray:
    return load(moons, "train").inputs.double().numpy()


def test_each_distance_is_that_to_the_nearest_other_point(moons, tmp_path, points, monkeypatch) -> None:
    monkeypatch.setattr(nearest_neighbours, "BATCH_SIZE", 7)
    columns = found(moons, tmp_path)
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert columns["index"].tolist() == list(range(len(points)))
    np.testing.assert_allclose(columns["distance"], apart.min(1))
    labels = load(moons, "train").labels.numpy()
    assert (columns["neighbour_label"] == labels[columns["neighbour"]]).all()
    assert (columns["neighbour"] != columns["index"]).all()


def test_some_are_drawn_each_once_and_compared_with_all(moons, tmp_path, points) -> None:
    columns = found(moons, tmp_path, examples=9)
    assert len(set(columns["index"].tolist())) == 9
    assert columns["index"].tolist() != list(range(9))
    apart = np.linalg.norm(points[columns["index"]][:, None] - points, axis=2)
    apart[np.arange(9), columns["index"]] = np.inf
    np.testing.assert_allclose(columns["distance"], apart.min(1))


def test_a_double_is_a_neighbour_at_distance_0(moons, tmp_path, points, monkeypatch) -> None:
    of_trained = nearest_neighbours.as_float

    def doubled(inputs):
        values = of_trained(inputs).clone()
        values[5] = values[3]
        return values

    monkeypatch.setattr(nearest_neighbours, "as_float", doubled)
    columns = found(moons, tmp_path)
    assert (columns["neighbour"][3], columns["neighbour"][5]) == (5, 3)
    assert columns["distance"][3] == columns["distance"][5] == 0
    assert (columns["distance"] > 0).sum() == len(points) - 2

"""Gradient and Hessian of a model's answer at its images, as a measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from measuring import MLP, checkpoint, described, measured
from torch.func import grad, hessian, vmap

from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.logit_functions import FUNCTIONS

COUNT = 7
COLUMNS = [
    "function",
    "index",
    "label",
    "prediction",
    "value",
    "gradient_l1",
    "gradient_zeros",
    "hessian_l1",
    "eigenvalues_l1",
    "eigenvalue_zeros",
]


def geometry(moons: Path, folder: Path, **options: object):
    weights, model = checkpoint(folder / "weights", MLP, seed=1)
    declared = {"input_geometry": {"functions": list(FUNCTIONS), **options}, "examples": COUNT}
    columns, _ = measured(
        folder / "geometry/m/seed1.parquet", moons, declared, [described(weights, seed=1, network=MLP)]
    )
    return columns, model.double()


def test_each_function_has_the_derivatives_of_another_differentiator(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustrepro.measures.input_geometry.BATCH_SIZE", 3)
    columns, model = geometry(moons, tmp_path)
    assert list(columns) == COLUMNS
    split = load(moons, "test")
    points, labels = split.inputs[:COUNT].double(), split.labels[:COUNT]
    for name, function in FUNCTIONS.items():
        rows = [place for place, of in enumerate(columns["function"]) if of == name]
        assert [columns["index"][row] for row in rows] == list(range(COUNT))

        def of_one(point, label, function=function):
            return function(model(point[None]), label[None])[0]

        gradients = vmap(grad(of_one))(points, labels).detach()
        bends = vmap(hessian(of_one))(points, labels).detach()
        eigenvalues = torch.linalg.eigvalsh(bends).abs()
        expected = {
            "value": function(model(points), labels).detach(),
            "gradient_l1": gradients.abs().sum(1),
            "gradient_zeros": gradients.abs().lt(0.01).double().mean(1),
            "hessian_l1": bends.abs().sum((1, 2)),
            "eigenvalues_l1": eigenvalues.sum(1),
            "eigenvalue_zeros": eigenvalues.lt(1e-9).double().mean(1),
        }
        for column, values in expected.items():
            found = np.array([columns[column][row] for row in rows])
            assert found == pytest.approx(values.numpy(), rel=1e-6, abs=1e-12), (name, column)


def test_what_counts_as_zero_is_declared(moons: Path, tmp_path: Path) -> None:
    columns, _ = geometry(moons, tmp_path, zero_gradient=1e9, zero_eigenvalue=1e9)
    assert set(columns["gradient_zeros"]) == set(columns["eigenvalue_zeros"]) == {1.0}
    columns, _ = geometry(moons, tmp_path, zero_gradient=1e-300)
    curved = [of == "cross_entropy" for of in columns["function"]]
    assert min(np.array(columns["gradient_l1"])[curved]) > 0
    assert set(np.array(columns["gradient_zeros"])[curved]) == {0.0}


def test_a_network_that_bends_everywhere_is_refused(
    moons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustrepro.models.mlp.nn.ReLU", torch.nn.Softplus)
    with pytest.raises(UserError, match="m: its logits bend between kinks; expected linear layers and ReLUs alone"):
        geometry(moons, tmp_path)

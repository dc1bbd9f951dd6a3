"""Surfaces of functions of a model's answer, in planes of input and of parameter space."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measuring import checkpoint, described, measured
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.attacks.losses import classification_margin
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.logit_functions import FUNCTIONS
from robustrepro.losses import cross_entropy
from robustrepro.measures.surface import filter_normalised, input_direction
from robustrepro.models.build import build_network
from robustrepro.seeds import derive_seed
from robustrepro.spec.measurements import measure_of
from robustrepro.spec.networks import Network

STRIDED = {"architecture": {"name": "strided_convnet", "channels": [2, 3], "kernel": 5, "stride": 2, "hidden": [6]}}
INPUTS = {
    "space": "inputs",
    "directions": ["random", "margin"],
    "functions": ["cross_entropy", "margin"],
    "reach": 0.1,
    "resolution": 5,
    "images": [3, 0],
}
PARAMETERS = {
    "space": "parameters",
    "directions": ["filter_normalised", "filter_normalised"],
    "functions": ["cross_entropy"],
    "reach": 1.0,
    "resolution": 3,
    "examples": 40,
}


def surface(digits: Path, folder: Path, declared: dict[str, Any]) -> tuple[dict[str, np.ndarray], nn.Module]:
    weights, model = checkpoint(folder / "weights", STRIDED, seed=1)
    columns, _ = measured(
        folder / "surface/m/seed1.parquet", digits, {"surface": declared}, [described(weights, seed=1, network=STRIDED)]
    )
    return {name: np.array(values) for name, values in columns.items()}, model


@pytest.fixture
def network() -> nn.Module:
    return build_network(Network.model_validate(STRIDED), (1, 28, 28), 10, seed=1).eval()


@pytest.fixture
def image(digits: Path) -> tuple[Tensor, Tensor]:
    split = load(digits, "test")
    return as_float(split.inputs)[3], split.labels[3]


def test_every_point_of_the_grid_has_the_value_of_the_image_moved_there(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustrepro.measures.surface.BATCH_SIZE", 7)
    columns, model = surface(digits, tmp_path, INPUTS)
    split = load(digits, "test")
    assert len(columns["value"]) == 25 * 2 * 2
    assert sorted(set(columns["x"])) == pytest.approx([-0.1, -0.05, 0, 0.05, 0.1])
    for index in (0, 3):
        image, label = as_float(split.inputs)[index], split.labels[index]
        for name in INPUTS["functions"]:
            rows = (columns["index"] == index) & (columns["function"] == name)
            assert rows.sum() == 25
            x, y, value = (columns[column][rows] for column in ("x", "y", "value"))
            middle = (x == 0) & (y == 0)
            with torch.no_grad():
                own = FUNCTIONS[name](model(image[None]).double(), label[None]).item()
            assert value[middle].item() == pytest.approx(own, rel=1e-5)
            beta = input_direction("margin", model, image, label, seed=0)
            along_y = x == 0
            moved = image + torch.tensor(y[along_y]).float().view(-1, 1, 1, 1) * beta
            with torch.no_grad():
                expected = FUNCTIONS[name](model(moved).double(), label.repeat(len(moved)))
            assert value[along_y] == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-6)
            # Along x the direction is another one, and the corner is both.
            assert not np.allclose(value[y == 0], value[along_y])


def test_directions_of_an_image_are_signs_and_go_where_they_say(network, image) -> None:
    point, label = image

    def at(direction: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = network((point + 1e-3 * direction)[None])
        return logits

    before = at(torch.zeros_like(point))
    random = input_direction("random", network, point, label, seed=5)
    assert set(random.flatten().tolist()) == {-1.0, 1.0}
    assert torch.equal(random, input_direction("random", network, point, label, seed=5))
    assert not torch.equal(random, input_direction("random", network, point, label, seed=6))
    labels = label[None]
    least = before.argmin(1)
    falls = {
        "cross_entropy": lambda logits: -cross_entropy(logits, labels),
        "margin": lambda logits: classification_margin(logits, labels),
        "least_likely": lambda logits: cross_entropy(logits, least),
    }
    for name, function in falls.items():
        direction = input_direction(name, network, point, label, seed=0)
        assert set(direction.flatten().tolist()) <= {-1.0, 0.0, 1.0}
        change = function(at(direction)) - function(before)
        assert change < 0
        # No other sign pattern falls further to first order.
        assert change < function(at(random)) - function(before)


def test_a_filter_of_a_random_direction_is_as_long_as_the_networks_own(network) -> None:
    direction = filter_normalised(network, seed=2)
    assert direction.keys() == dict(network.named_parameters()).keys()
    for name, weights in network.named_parameters():
        if weights.ndim < 2:
            assert direction[name].eq(0).all()
        else:
            own, drawn = (each.detach().flatten(1).norm(dim=1) for each in (weights, direction[name]))
            torch.testing.assert_close(drawn, own)
            assert not torch.allclose(direction[name], weights)


def test_the_surface_of_parameters_is_the_mean_loss_of_moved_weights(digits: Path, tmp_path: Path) -> None:
    columns, model = surface(digits, tmp_path, PARAMETERS)
    assert set(columns) == {"function", "x", "y", "value"}
    split = load(digits, "test")
    images, labels = as_float(split.inputs)[:40], split.labels[:40]
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    directions = [filter_normalised(model, seed=derive_seed(1, "parameter surface", place)) for place in range(2)]
    for x, y, value in zip(columns["x"], columns["y"], columns["value"], strict=True):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for name, weight in moved.named_parameters():
                weight += float(x) * directions[0][name] + float(y) * directions[1][name]
            expected = cross_entropy(moved(images).double(), labels).mean().item()
        assert value == pytest.approx(expected, rel=1e-5)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert len(set(columns["value"])) == 9


def test_an_image_that_is_not_there_is_named(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"m: there is no test image 100000, only [0-9]+ of them"):
        surface(digits, tmp_path, {**INPUTS, "images": [0, 100000]})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({**INPUTS, "resolution": 10}, "resolution is 10; expected an odd number, so that the middle is a point"),
        ({**INPUTS, "directions": ["random", "filter_normalised"]}, "no 'filter_normalised' in the space of inputs"),
        ({**PARAMETERS, "directions": ["random"] * 2}, "no 'random' in the space of parameters"),
        ({**INPUTS, "images": []}, "images: this key is missing"),
        ({**INPUTS, "examples": 3}, "examples: this key says nothing in the space of inputs"),
        ({**PARAMETERS, "examples": None}, "examples: this key is missing"),
        ({**PARAMETERS, "images": [1]}, "images: this key says nothing in the space of parameters"),
    ],
)
def test_a_surface_that_is_none_is_refused_when_it_is_declared(declared: dict[str, Any], message: str) -> None:
    with pytest.raises((UserError, ValidationError), match=message):
        measure_of({"surface": declared}, "here")

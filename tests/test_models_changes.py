"""M1 to M3: what is removed from a fully connected layer, what the norms of the rest are, and the lemmas behind it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from torch import Tensor, nn

from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.implementations import made
from robustrepro.models.changes.remove_rarely_active import Activity, activity_on, without_units
from robustrepro.models.fully_connected import from_layer_on, fully_connected, inputs_of
from robustrepro.spec.models import Derivation, WeightChange

Numbers = NDArray[np.float64]

LAYER = "2"
METHODS = ("remove_rarely_active", "truncate_singular_values", "remove_and_truncate")
PERCENTS = (0, 10, 40, 70, 99)


def network(seed: int = 0) -> nn.Sequential:
    """Points of the plane, two hidden layers; the change is of the second."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 2))
    return layers.eval()


def change(method: str, percent: float, **options: Any) -> WeightChange:
    declared = {"name": method, "layer": LAYER, "percent": percent, **options}
    return Derivation.model_validate({"from": "source", "change": declared}).change


def changed(method: str, percent: float, dataset: Path, **options: Any) -> nn.Sequential:
    model = network()
    declared = change(method, percent, **options)
    made(declared, model, *([dataset] if declared.reads_data else []))
    return model


def weight_of(model: nn.Module) -> Tensor:
    return fully_connected(model, LAYER).weight.detach()


# -- properties of all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_zero_percent_changes_not_a_bit(moons, method):
    before, after = network().state_dict(), changed(method, 0, moons).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_layer_is_changed(moons, method):
    before, after = network().state_dict(), changed(method, 70, moons).state_dict()
    touched = {name for name in before if not torch.equal(before[name], after[name])}
    assert {f"{LAYER}.weight"} <= touched <= {f"{LAYER}.weight", f"{LAYER}.bias"}


@pytest.mark.parametrize(
    ("method", "norm"),
    [
        ("remove_rarely_active", lambda weight: weight.abs().sum()),
        ("truncate_singular_values", lambda weight: weight.norm()),
        ("remove_and_truncate", lambda weight: weight.norm()),
    ],
)
def test_a_norm_of_the_layer_falls_as_percent_grows(moons, method, norm):
    norms = [norm(weight_of(changed(method, percent, moons))).item() for percent in PERCENTS]
    assert all(later <= earlier + 1e-5 for earlier, later in pairwise(norms))
    assert norms[-1] < norms[0]


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_is_not_there_is_named_with_those_that_are(moons, method):
    declared = change(method, 10, layer="3")
    with pytest.raises(UserError, match=r"no fully connected layer '3' \(it has: 0, 2, 4\)"):
        made(declared, network(), *([moons] if declared.reads_data else []))


@pytest.mark.parametrize("percent", [-1, 99.5, 100])
@pytest.mark.parametrize("method", METHODS)
def test_percent_is_from_0_to_99(method, percent):
    with pytest.raises(ValueError, match="percent"):
        change(method, percent)


# -- M1 ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def known() -> tuple[nn.Sequential, Tensor]:
    """A layer whose four units are active on 0, 1, 2 and 4 of four images."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[-1.0] * 4, [1, 0, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1]]))
        model[1].bias.zero_()
    return model, torch.eye(4)


def test_units_are_active_where_a_relu_lets_them_through(known):
    model, images = known
    activity = activity_on(model, "1", images, "outputs")
    assert activity.counts.tolist() == [0, 1, 2, 4]
    assert activity.images == 4


@pytest.mark.parametrize(
    ("percent", "removed"), [(0, []), (1, [0]), (25, [0]), (26, [0, 1]), (50, [0, 1]), (99, [0, 1, 2])]
)
def test_units_active_on_less_than_percent_of_the_images_are_removed(known, percent, removed):
    units = activity_on(*known[:1], "1", known[1], "outputs").rarely(percent)
    assert units.nonzero().flatten().tolist() == removed


def test_a_removed_output_gives_0_whatever_the_image(known):
    model, images = known
    layer = model[1]
    weight, bias = without_units(layer.weight, layer.bias + 1, torch.tensor([False, True, False, True]), "outputs")
    outputs = images @ weight.T + bias
    assert (outputs[:, [1, 3]] == 0).all()
    assert (outputs[:, [0, 2]] == (images @ layer.weight.T + layer.bias + 1)[:, [0, 2]]).all()


def test_a_removed_input_no_longer_matters_and_the_bias_stays(known):
    model, _ = known
    units = torch.tensor([True, False, False, False])
    weight, bias = without_units(model[1].weight, model[1].bias, units, "inputs")
    assert (weight[:, 0] == 0).all()
    assert torch.equal(weight[:, 1:], model[1].weight[:, 1:])
    assert bias is model[1].bias


def test_inputs_are_active_where_they_are_not_0(known):
    images = torch.tensor([[1.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert activity_on(known[0], "1", images, "inputs").counts.tolist() == [2, 0, 1, 0]


@given(
    counts=st.lists(st.integers(0, 200), min_size=1, max_size=20),
    percents=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_what_a_smaller_percent_removes_a_larger_one_removes_too(counts, percents):
    activity = Activity(torch.tensor(counts), 200, "outputs")
    fewer, more = (activity.rarely(percent) for percent in sorted(percents))
    assert not (fewer & ~more).any()
    assert not activity.rarely(0).any()


def test_the_removed_units_are_those_of_the_training_images(moons):
    model = network()
    images = load(moons, "train").inputs
    shares = (next(iter(inputs_of(model, LAYER, images))) @ weight_of(model).T + model[2].bias > 0).double().mean(0)
    weight = weight_of(changed("remove_rarely_active", 40, moons))
    assert ((weight == 0).all(1) == (shares < 0.4)).all()
    assert 0 < (shares < 0.4).sum() < 10
    on_test = weight_of(changed("remove_rarely_active", 40, moons, split="test"))
    tested = load(moons, "test").inputs
    theirs = (next(iter(inputs_of(model, LAYER, tested))) @ weight_of(model).T + model[2].bias > 0).double().mean(0)
    assert ((on_test == 0).all(1) == (theirs < 0.4)).all()


# -- M3 ----------------------------------------------------------------------------------------------------------


def test_both_at_once_are_the_truncated_layer_without_the_rarely_active_units(moons):
    removed, truncated, both = (changed(method, 40, moons) for method in METHODS)
    gone = (weight_of(removed) == 0).all(1)
    assert gone.any()
    expected = weight_of(truncated).masked_fill(gone[:, None], 0)
    assert torch.equal(weight_of(both), expected)
    assert torch.equal(fully_connected(both, LAYER).bias, fully_connected(removed, LAYER).bias)


# -- Lemmas 1 and 2 on a linear model ----------------------------------------------------------------------------


def least_squares(inputs: Numbers, targets: Numbers) -> float:
    """Return the Frobenius norm of the linear model of the least squared error, of several the smallest."""
    return float(np.linalg.norm(np.linalg.lstsq(inputs, targets, rcond=None)[0]))


def least_absolute(inputs: Numbers, targets: Numbers) -> float:
    """Return the element-wise l1 norm of the linear model of the least absolute error, by linear programming."""
    count, features = inputs.shape
    cost = np.concatenate([np.zeros(2 * features), np.ones(2 * count)])
    equations = np.hstack([inputs, -inputs, np.eye(count), -np.eye(count)])
    weights = linprog(cost, A_eq=equations, b_eq=targets).x[: 2 * features]
    return float(np.abs(weights[:features] - weights[features:]).sum())


@pytest.mark.parametrize("norm_of_fit", [least_absolute, least_squares], ids=["Lemma 1", "Lemma 2"])
def test_the_lemmas_hold_where_the_idiosyncrasy_is_associated_with_the_label(norm_of_fit):
    generator = np.random.default_rng(0)
    targets = generator.choice([-1.0, 1.0], 200)
    semantic = np.stack([targets + generator.normal(size=200), np.zeros(200)], axis=1)
    idiosyncrasy = np.stack([np.zeros(200), 0.01 * targets], axis=1)
    assert norm_of_fit(semantic + idiosyncrasy, targets) > 50 * norm_of_fit(semantic, targets)


@pytest.mark.parametrize("norm_of_fit", [least_absolute, least_squares], ids=["Lemma 1", "Lemma 2"])
def test_the_lemmas_fail_where_it_is_independent_of_the_label_as_the_proof_of_lemma_2_has_it(norm_of_fit):
    # The integral in the proof is that of Bishop (1995): noise in the inputs is a penalty on the norm of the weights.
    generator = np.random.default_rng(0)
    targets = generator.normal(size=200)
    semantic, idiosyncrasy = targets[:, None], 0.5 * generator.normal(size=(200, 1))
    assert norm_of_fit(semantic, targets) == pytest.approx(1)
    assert norm_of_fit(semantic + idiosyncrasy, targets) < 0.9


# -- the rest of a network ---------------------------------------------------------------------------------------


def test_the_rest_of_a_network_gives_its_answers_from_a_layers_outputs():
    model, points = network(), torch.randn(7, 2)
    rest = from_layer_on(model, LAYER, points[:1])
    features = torch.cat([*inputs_of(model, LAYER, points)])
    with torch.no_grad():
        torch.testing.assert_close(rest(model[2](features)), model(points), rtol=0, atol=0)
    assert not model[2]._forward_hooks


class Mixed(nn.Module):
    """A network that uses its input after the layer once more."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last = nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, points: Tensor) -> Tensor:
        hidden = self.layer(points)
        return self.last(hidden.reshape(len(points), -1, 4).sum(1))


def test_a_rest_that_is_not_row_by_row_is_refused():
    rest = from_layer_on(Mixed().eval(), "layer", torch.zeros(1, 2))
    with pytest.raises(UserError, match="'layer': what the network computes of it is not row by row"):
        rest(torch.zeros(3, 4))

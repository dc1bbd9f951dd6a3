"""Hamming and stability regularisation: its equations by hand, its limits, and the lemmas that it rests on."""

from __future__ import annotations

import itertools

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.func import functional_call

from robustrepro.errors import UserError
from robustrepro.models.preact_resnet import PreActResNet18
from robustrepro.models.rectifiers import pre_activations, rectifiers_of
from robustrepro.objectives.base import Step
from robustrepro.objectives.dense_hamming import DenseHammingRisk
from robustrepro.objectives.hamming import HammingRegularisedRisk, corners, watched
from robustrepro.spec.objectives import objective_adapter
from robustrepro.spec.schedules import Ramp

CHOICES = {
    "sharpness": 8.0,
    "outputs": "logits",
    "stability_over_batch": "sum",
    "squared": "mean",
    "clipped": False,
}
LABELS = torch.tensor([0, 2, 1, 1])


def small_network(*, normalised: bool = False) -> nn.Sequential:
    """Two layers of ReLU of 6 and 5 units on 2x2 images of one channel."""
    torch.manual_seed(0)
    normalisation = [nn.BatchNorm1d(6)] if normalised else []
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4, 6), *normalisation, nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)
    ).double()


def a_step(epoch: float = 0.0) -> Step:
    images = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Step(images, LABELS, torch.arange(4), epoch, torch.Generator().manual_seed(2))


def risk(stability: object = 0.5, hamming: object = 2.0, epsilon: object = 0.3, **changed: object):
    return HammingRegularisedRisk(epsilon, stability, hamming, **{**CHOICES, **changed})  # type: ignore[arg-type]


def layers_given(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    with pre_activations(model) as given:
        model(inputs)
    return given


def by_hand(model: nn.Sequential, epsilon: float, **changed: object) -> tuple[Tensor, Tensor]:
    """Return the terms of Equations 16 and 17, pair by pair and unit by unit."""
    chosen = {**CHOICES, **changed}
    step = a_step()
    moved = corners(a_step(), epsilon)
    answers, distances = [], []
    for image, corner in zip(step.inputs, moved, strict=True):
        pair = [image + corner, image - corner]
        if chosen["clipped"]:
            pair = [point.clamp(0, 1) for point in pair]
        (plus, minus), (high, low) = (
            [model(point[None])[0] for point in pair],
            [layers_given(model, point[None]) for point in pair],
        )
        if chosen["outputs"] == "softmax":
            plus, minus = plus.softmax(0), minus.softmax(0)
        answers.append(sum((a - b) ** 2 for a, b in zip(plus, minus, strict=True)))
        of_layers = []
        for above, below in zip(high, low, strict=True):
            relaxed = [
                (torch.tanh(chosen["sharpness"] * a) - torch.tanh(chosen["sharpness"] * b)).abs() / 2
                for a, b in zip(above[0], below[0], strict=True)
            ]
            of_layers.append(sum(relaxed) / len(relaxed))
        mean = sum(of_layers) / len(of_layers)
        distances.append(
            {"nothing": mean, "mean": mean**2, "layer": sum(d**2 for d in of_layers) / len(of_layers)}[
                str(chosen["squared"])
            ]
        )
    stability = sum(answers) / (1 if chosen["stability_over_batch"] == "sum" else len(answers))
    return stability, sum(distances) / len(distances)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"squared": "layer"},
        {"squared": "nothing"},
        {"outputs": "softmax"},
        {"stability_over_batch": "mean"},
        {"clipped": True},
        {"sharpness": 1.5},
    ],
    ids=str,
)
def test_the_regularisers_are_those_of_equations_16_and_17(changed) -> None:
    model = small_network()
    found = risk(**changed)(model, a_step())
    stability, hamming = by_hand(model, 0.3, **changed)
    torch.testing.assert_close(found.terms["stability"], stability)
    torch.testing.assert_close(found.terms["hamming"], hamming)
    assert hamming > 0
    loss = nn.functional.cross_entropy(model(a_step().inputs), LABELS)
    torch.testing.assert_close(found.terms["loss_on_images"], loss)
    torch.testing.assert_close(found.value, loss + 0.5 * stability + 2.0 * hamming)
    torch.testing.assert_close(found.logits, model(a_step().inputs))


def test_their_gradient_is_that_of_the_equations() -> None:
    model = small_network()
    weights = list(model.parameters())
    found = torch.autograd.grad(risk()(model, a_step()).value, weights)
    stability, hamming = by_hand(model, 0.3)
    loss = nn.functional.cross_entropy(model(a_step().inputs), LABELS)
    expected = torch.autograd.grad(loss + 0.5 * stability + 2.0 * hamming, weights)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_both_gradients_flow_back_into_a_layer_whatever_its_memory_layout(layout) -> None:
    generator = torch.Generator().manual_seed(0)
    given = torch.randn(4, 2, 3, 2, generator=generator, dtype=torch.float64).to(memory_format=layout)
    further, of_pairs = torch.randn(4, 2, 3, 2).double(), torch.tensor([0.3, -2.0]).double()

    def gradient(layer: Tensor, distances: Tensor, leaf: Tensor) -> Tensor:
        return torch.autograd.grad((layer * further).sum() + (distances * of_pairs).sum(), leaf)[0]

    leaf = given.clone().requires_grad_()
    relaxed = torch.tanh(1.5 * leaf)
    expected = gradient(leaf, (relaxed[:2] - relaxed[2:]).abs().flatten(1).mean(1) / 2, leaf)
    leaf = given.clone().requires_grad_()
    torch.testing.assert_close(gradient(*watched(leaf, 1.5), leaf), expected)


def test_a_layer_goes_on_with_what_it_was_given() -> None:
    given = torch.randn(4, 2, 3, 2)
    same, _ = watched(given, 1.5)
    assert torch.equal(same, given)


def test_very_sharp_distances_are_the_hamming_distances_of_the_activation_patterns() -> None:
    given = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    patterns = given > 0
    exact = (patterns[:4] != patterns[4:]).flatten(1).double().mean(1)
    assert exact.min() > 0.2
    torch.testing.assert_close(watched(given, 1e6)[1].double(), exact, atol=1e-6, rtol=0)


def test_a_pair_that_a_network_cannot_tell_apart_costs_nothing_and_has_no_gradient() -> None:
    given = torch.randn(1, 5).repeat(2, 1).requires_grad_()
    _, distances = watched(given, 8.0)
    distances.sum().backward()
    assert distances.item() == 0
    assert torch.equal(given.grad, torch.zeros(2, 5))


def test_a_corner_has_one_of_two_signs_for_each_pixel_drawn_anew_for_each_image() -> None:
    inputs = torch.zeros(40, 3, 7, 5)
    step = Step(inputs, torch.zeros(40), torch.arange(40), 0.0, torch.Generator().manual_seed(0))
    drawn = corners(step, 0.25)
    assert drawn.shape == inputs.shape
    assert set(drawn.unique().tolist()) == {-0.25, 0.25}
    assert abs(drawn.mean().item()) < 0.02
    assert len({tuple(corner.flatten().tolist()) for corner in drawn}) == 40
    assert not torch.equal(drawn, corners(step, 0.25))
    again = Step(inputs, torch.zeros(40), torch.arange(40), 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, corners(again, 0.25))


def test_the_weights_and_the_cube_follow_their_schedules() -> None:
    ramp = {"name": "ramp", "begin": 2.0, "epochs": 2.0}
    of_weight = Ramp.model_validate({**ramp, "initial": 1.0, "final": 3.0})
    of_cube = Ramp.model_validate({**ramp, "initial": 0.1, "final": 0.3})
    model = small_network()
    found = risk(stability=of_weight, hamming=0, epsilon=of_cube)(model, a_step(3.0))
    stability, _ = by_hand(model, 0.2)
    torch.testing.assert_close(found.terms["stability"], stability)
    torch.testing.assert_close(found.value, found.terms["loss_on_images"] + 2.0 * stability)


@pytest.mark.parametrize("left_out", ["stability", "hamming"])
def test_a_term_without_weight_is_not_computed(left_out) -> None:
    found = risk(**{left_out: 0.0})(small_network(), a_step())
    assert {*found.terms} == {"loss_on_images", "stability", "hamming"} - {left_out}


def test_batch_normalisation_normalises_images_by_images_and_pairs_by_pairs() -> None:
    model = small_network(normalised=True).train()
    found = risk()(model, a_step())
    moved = corners(a_step(), 0.3)
    pairs = torch.cat([a_step().inputs + moved, a_step().inputs - moved])
    torch.testing.assert_close(found.logits, model(a_step().inputs))
    answers = model(pairs)
    torch.testing.assert_close(found.terms["stability"], (answers[:4] - answers[4:]).square().sum())


# -- between all perturbed images (Equation 14) --------------------------------------------------------------------


def dense(epsilon: float, **changed: object) -> DenseHammingRisk:
    return DenseHammingRisk(epsilon, 0.5, 2.0, **{**CHOICES, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize("squared", ["mean", "layer", "nothing"])
@pytest.mark.parametrize("over_batch", ["sum", "mean"])
def test_the_dense_terms_are_sums_over_all_pairs_weighted_by_the_heat_kernel(squared, over_batch) -> None:
    model, step, epsilon = small_network(), a_step(), 0.3
    found = dense(epsilon, squared=squared, stability_over_batch=over_batch)(model, step)
    moved = corners(a_step(), epsilon)
    points = torch.cat([step.inputs + moved, step.inputs - moved])
    answers, layers = model(points), layers_given(model, points)
    stability = hamming = torch.zeros((), dtype=torch.float64)
    for first, second in itertools.combinations(range(8), 2):
        apart = (points[first] - points[second]).square().sum()
        weight = torch.exp(1 - apart / (4 * (2 * epsilon) ** 2))
        stability = stability + weight * (answers[first] - answers[second]).square().sum()
        of_layers = torch.stack(
            [(torch.tanh(8 * layer[first]) - torch.tanh(8 * layer[second])).square().mean() / 4 for layer in layers]
        )
        together = {"nothing": of_layers.mean(), "mean": of_layers.mean() ** 2, "layer": of_layers.square().mean()}
        hamming = hamming + weight * together[squared]
    torch.testing.assert_close(found.terms["stability"], stability if over_batch == "sum" else stability / 4)
    torch.testing.assert_close(found.terms["hamming"], hamming / 4)


def test_a_dense_objective_whose_pairs_begin_as_one_point_is_refused() -> None:
    ramp = {"name": "ramp", "initial": 0, "final": 0.1, "epochs": 2}
    declared = {"name": "dense_hamming", "epsilon": ramp, "stability": 1, "hamming": 1}
    with pytest.raises(ValidationError, match="epsilon is 0 at some epoch"):
        objective_adapter.validate_python(declared)
    assert objective_adapter.validate_python({**declared, "name": "hamming"})


def test_an_objective_without_any_weight_or_with_a_negative_one_is_refused() -> None:
    declared = {"name": "hamming", "epsilon": 0.1, "stability": 0, "hamming": 0}
    with pytest.raises(ValidationError, match="stability and hamming are both 0"):
        objective_adapter.validate_python(declared)
    falling = {"name": "ramp", "initial": 1, "final": -1, "epochs": 2}
    with pytest.raises(ValidationError, match="its lowest value is -1; expected a weight of 0 or above"):
        objective_adapter.validate_python({**declared, "stability": falling})


def test_the_dense_terms_are_the_sparse_ones_where_images_are_far_apart() -> None:
    """With patterns so sharp that both relaxations are exact."""
    model, epsilon = small_network(), 0.01
    chosen = {"sharpness": 1e5}
    sparse, all_pairs = risk(epsilon=epsilon, **chosen)(model, a_step()), dense(epsilon, **chosen)(model, a_step())
    moved_far = risk(epsilon=0.3, **chosen)(model, a_step())
    torch.testing.assert_close(all_pairs.terms["stability"], sparse.terms["stability"])
    torch.testing.assert_close(all_pairs.terms["hamming"], sparse.terms["hamming"])
    assert moved_far.terms["hamming"] > 0
    assert not torch.isclose(dense(0.3, **chosen)(model, a_step()).terms["hamming"], moved_far.terms["hamming"])


# -- what a network's ReLUs are given ------------------------------------------------------------------------------


def test_a_relu_in_place_does_not_overwrite_what_it_was_given() -> None:
    model = small_network()
    expected = layers_given(model, a_step().inputs)
    for rectifier in rectifiers_of(model).values():
        rectifier.inplace = True
    for ours, theirs in zip(layers_given(model, a_step().inputs), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert ours.min() < 0


def test_all_layers_of_a_residual_network_are_read_in_order() -> None:
    model = PreActResNet18((3, 16, 16), 10, width=2)
    shapes = [tuple(layer.shape[1:]) for layer in layers_given(model, torch.rand(2, 3, 16, 16))]
    assert len(shapes) == 17
    assert shapes[0] == shapes[1] == (2, 16, 16)
    assert shapes[-1] == (16, 2, 2)


def test_nothing_is_read_behind_the_block() -> None:
    model = small_network()
    given = layers_given(model, a_step().inputs)
    model(a_step().inputs)
    assert len(given) == 2


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.GELU()], "layer 3 is a GELU"),
        ([nn.Linear(4, 4), nn.LeakyReLU()], "layer 1 is a LeakyReLU"),
        ([nn.Linear(4, 4)], "no activation pattern"),
    ],
    ids=["GELU", "leaky", "linear"],
)
def test_a_network_with_other_activations_is_refused_by_the_name_of_the_layer(layers, message) -> None:
    with pytest.raises(UserError, match=message):
        rectifiers_of(nn.Sequential(*layers))


# -- the lemmas ----------------------------------------------------------------------------------------------------


def patterns_at(model: nn.Module, points: Tensor) -> Tensor:
    """Return the activation patterns at points, shape (N, units)."""
    return torch.cat([(layer > 0).flatten(1) for layer in layers_given(model, points)], 1)


def cube_without_kinks(model: nn.Sequential) -> tuple[Tensor, Tensor, float]:
    """Return the corners of a cube where the activation patterns are all alike, its centre, and its half-width."""
    generator = torch.Generator().manual_seed(3)
    for half_width in (0.2, 0.1, 0.05, 0.02, 0.01):
        for _ in range(20):
            centre = torch.rand(4, generator=generator, dtype=torch.float64)
            signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4)), dtype=torch.float64)
            vertices = centre + half_width * signs
            if (patterns_at(model, vertices) == patterns_at(model, vertices[:1])).all():
                return vertices, centre, half_width
    raise AssertionError("no such cube")


def test_equal_patterns_at_all_corners_are_equal_patterns_everywhere_between_them() -> None:
    """Lemma 5.1."""
    model = small_network()
    vertices, _, _ = cube_without_kinks(model)
    shares = torch.rand(2000, 16, generator=torch.Generator().manual_seed(4), dtype=torch.float64) ** 8
    inside = shares / shares.sum(1, keepdim=True) @ vertices
    assert (patterns_at(model, inside) == patterns_at(model, vertices[:1])).all()


def test_answers_differ_most_between_two_corners_where_the_patterns_are_equal() -> None:
    """Lemma 5.2."""
    model = small_network()
    vertices, centre, half_width = cube_without_kinks(model)
    at_corners = model(vertices)
    furthest = torch.cdist(at_corners, at_corners).max()
    inside = centre + half_width * (2 * torch.rand(2000, 4, dtype=torch.float64) - 1)
    changes = torch.linalg.vector_norm(model(inside) - model(centre[None]), dim=1)
    assert 0 < changes.max() <= furthest


def test_the_opposite_corners_alone_do_not_suffice_for_the_first_lemma() -> None:
    """One pair of opposite corners may share a pattern that a third corner has not: training draws a new pair."""
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)).double()
    weights = {"0.weight": torch.tensor([[1.0, 1.0]]).double(), "0.bias": torch.tensor([-0.5]).double()}
    square = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    hidden = functional_call(model[0], {"weight": weights["0.weight"], "bias": weights["0.bias"]}, (square,))
    assert (hidden[0] > 0) == (hidden[1] > 0) != (hidden[2] > 0)

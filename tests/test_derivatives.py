"""Derivatives with respect to images in closed form, against differentiation by torch.func."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import grad, hessian, vmap

from robustrepro.derivatives import derivatives_of, is_piecewise_linear, logit_jacobians
from robustrepro.logit_functions import FUNCTIONS
from robustrepro.models.build import build_network
from robustrepro.spec.networks import Network

NETWORKS = {
    "strided": {"name": "strided_convnet", "channels": [3, 4], "kernel": 5, "stride": 2, "hidden": [9]},
    "pooled": {"name": "pooled_convnet", "channels": [2, 3], "kernel": 3, "pools": [2, 2], "hidden": [8]},
    "averaged": {"name": "averaged_convnet", "channels": [4, 6], "strides": [2, 1]},
}
SHAPE, CLASSES = (1, 12, 12), 5


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    declared = Network.model_validate({"architecture": NETWORKS[request.param]})
    return build_network(declared, SHAPE, CLASSES, seed=3).double().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


LABELS = torch.arange(6) % CLASSES


def value_of(network: nn.Module, function: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function of one image and its label."""

    def of_one(image: Tensor, label: Tensor) -> Tensor:
        return FUNCTIONS[function](network(image[None]), label[None])[0]

    return of_one


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradient_and_hessian_are_those_of_another_differentiator(network, images, function) -> None:
    logits, jacobians = logit_jacobians(network, images)
    found = derivatives_of(function, logits, jacobians, LABELS)
    gradients = vmap(grad(value_of(network, function)))(images, LABELS).flatten(1)
    torch.testing.assert_close(found.gradient, gradients)
    bends = vmap(hessian(value_of(network, function)))(images, LABELS).reshape(6, 144, 144)
    torch.testing.assert_close(found.hessian, bends)


@pytest.mark.parametrize("function", ["confidence", "cross_entropy"])
def test_the_eigenvalues_are_those_of_the_whole_hessian_and_the_others_are_zero(network, images, function) -> None:
    found = derivatives_of(function, *logit_jacobians(network, images), LABELS)
    of_whole = torch.linalg.eigvalsh(found.hessian)
    largest_first = of_whole.gather(1, of_whole.abs().argsort(1, descending=True))
    kept = largest_first[:, :CLASSES].sort(1).values
    torch.testing.assert_close(found.eigenvalues, kept, atol=1e-12, rtol=1e-6)
    assert largest_first[:, CLASSES:].abs().max() < 1e-12
    # Adding a number to all logits changes neither function.
    assert found.eigenvalues.abs().amin(1).max() < 1e-12 < found.eigenvalues.abs().amax(1).min()


@pytest.mark.parametrize("block", [1, 7, 144, 1000])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_sum_of_a_hessians_magnitudes_is_that_of_all_its_entries(
    network, images, function, block, monkeypatch
) -> None:
    monkeypatch.setattr("robustrepro.derivatives.BLOCK", block)
    found = derivatives_of(function, *logit_jacobians(network, images), LABELS)
    torch.testing.assert_close(found.hessian_l1(), found.hessian.abs().sum((1, 2)))


def test_the_margin_of_a_network_of_relus_is_not_curved_anywhere(network, images) -> None:
    found = derivatives_of("margin", *logit_jacobians(network, images), LABELS)
    assert found.eigenvalues.eq(0).all()
    assert found.hessian.eq(0).all()
    assert found.gradient.abs().sum() > 0


def test_the_cross_entropy_curves_as_the_covariance_of_the_answers(network, images) -> None:
    logits, jacobians = logit_jacobians(network, images)
    p = logits.softmax(1)
    middle = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    by_hand = jacobians.transpose(1, 2) @ middle @ jacobians
    torch.testing.assert_close(derivatives_of("cross_entropy", logits, jacobians, LABELS).hessian, by_hand)


def test_fewer_pixels_than_classes_have_as_many_eigenvalues_as_pixels() -> None:
    plane = nn.Linear(2, CLASSES).double()
    points = torch.rand(6, 2, dtype=torch.float64)
    found = derivatives_of("cross_entropy", *logit_jacobians(plane, points), LABELS)
    torch.testing.assert_close(found.eigenvalues, torch.linalg.eigvalsh(found.hessian))


def test_networks_of_relus_are_piecewise_linear_and_smooth_ones_are_not(network, images) -> None:
    assert is_piecewise_linear(network, images)
    assert is_piecewise_linear(nn.Sequential(nn.Flatten(), nn.Linear(144, CLASSES)).double(), images)
    assert not is_piecewise_linear(nn.Sequential(network, nn.Softplus()), images)

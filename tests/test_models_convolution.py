"""The convolution of grey images: PyTorch's own, with a gradient with respect to the images of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from robustrepro.models import convolution
from robustrepro.models.convolution import ImageConvolution, gradients_of
from robustrepro.models.pooled_convnet import PooledConvNet
from robustrepro.models.strided_convnet import StridedConvNet

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")


def _twins(filters: int = 4, kernel: int = 3, stride: int = 1, padding: int = 0) -> tuple[ImageConvolution, nn.Conv2d]:
    """Return our convolution and PyTorch's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = ImageConvolution(filters, kernel, stride, padding), nn.Conv2d(1, filters, kernel, stride, padding)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def _call(convolution: nn.Module) -> object:
    def responses(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        called: Tensor = torch.func.functional_call(convolution, {"weight": weight, "bias": bias}, inputs)
        return called

    return responses


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(1, 1, 0), (2, 1, 0), (5, 1, 0), (5, 2, 2), (4, 3, 1), (3, 1, 1), (2, 3, 0)]
)
def test_its_responses_and_its_gradients_are_those_of_pytorch(
    kernel: int, stride: int, padding: int, memory_format: torch.memory_format
) -> None:
    ours, theirs = _twins(kernel=kernel, stride=stride, padding=padding)
    images = torch.randn(3, 1, 9, 7).to(memory_format=memory_format)
    weights = torch.randn(theirs(images).shape)
    gradients = []
    for layer in (ours, theirs):
        variable = images.clone().requires_grad_(True)
        responses = layer(variable)
        inputs = (variable, layer.weight, layer.bias)
        gradients.append((responses, *torch.autograd.grad((responses * weights).sum(), inputs)))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_the_gradient_with_respect_to_the_images_alone_needs_none_of_the_weights() -> None:
    ours, theirs = _twins()
    images = torch.randn(2, 1, 6, 6, requires_grad=True)
    for layer in (ours, theirs):
        layer.requires_grad_(False)
    (one,) = torch.autograd.grad(ours(images).square().sum(), images)
    (other,) = torch.autograd.grad(theirs(images).square().sum(), images)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_its_gradients_can_be_differentiated_forward_and_backward(stride: int, padding: int) -> None:
    ours = _twins(stride=stride, padding=padding)[0].double()
    images = torch.randn(2, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    inputs = (images, ours.weight, ours.bias)
    assert gradcheck(_call(ours), inputs, check_forward_ad=True)
    assert gradgradcheck(_call(ours), inputs)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_it_can_be_mapped_over_examples_and_has_a_hessian(stride: int, padding: int) -> None:
    ours, theirs = _twins(stride=stride, padding=padding)
    image = torch.randn(1, 5, 5)
    hessians = [torch.func.hessian(lambda x, of=one: of(x[None]).tanh().sum())(image) for one in (ours, theirs)]
    torch.testing.assert_close(*hessians)
    per_image = torch.func.vmap(torch.func.grad(lambda x: ours(x[None]).tanh().sum()))(torch.stack([image, -image]))
    torch.testing.assert_close(per_image[1], torch.func.grad(lambda x: theirs(x[None]).tanh().sum())(-image))


def test_it_searches_in_lower_precision_and_returns_gradients_in_that_of_the_images() -> None:
    ours, theirs = _twins()
    images = torch.randn(2, 1, 6, 6, requires_grad=True)
    gradients = []
    for layer in (ours, theirs):
        with torch.autocast("cpu", torch.bfloat16):
            responses = layer(images)
        gradients.append(torch.autograd.grad(responses.float().sum(), (images, layer.weight)))
    for one, other in zip(*gradients, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_networks_begin_with_it_on_grey_images_alone() -> None:
    for depth, expected in ((1, ImageConvolution), (3, nn.Conv2d)):
        shape = (depth, 28, 28)
        pooled = PooledConvNet(shape, 10, channels=[2], kernel=5, pools=[3], hidden=[4])
        strided = StridedConvNet(shape, 10, channels=[1, 2], kernel=5, stride=2, hidden=[4])
        assert type(pooled.features[0]) is type(strided.features[0]) is expected
        assert type(strided.features[2]) is nn.Conv2d


def test_what_is_not_asked_for_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(what: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*arguments: Any) -> Tensor:
            calls.append(what)
            return function(*arguments)

        return call

    ours, theirs = _twins()
    images = torch.randn(2, 1, 6, 6, requires_grad=True)
    (expected,) = torch.autograd.grad(theirs(images).square().sum(), images, create_graph=True)
    mixed = torch.autograd.grad(expected.square().sum(), (theirs.weight, theirs.bias))
    monkeypatch.setattr(convolution, "_of_images", counted("images", convolution._of_images))
    monkeypatch.setattr(convolution, "conv2d_weight", counted("weights", convolution.conv2d_weight))
    with gradients_of("images"):
        (gradient,) = torch.autograd.grad(ours(images).square().sum(), images, create_graph=True)
    assert calls == ["images"]
    torch.testing.assert_close(gradient, expected)
    with gradients_of("weights"):
        gradients = torch.autograd.grad(gradient.square().sum(), (ours.weight, ours.bias))
    # Those of the images' gradient, which holds the weights, and of the responses that it is of.
    assert calls == ["images", "weights", "weights"]
    for one, other in zip(gradients, mixed, strict=True):
        torch.testing.assert_close(one, other)


def test_outside_such_a_block_all_gradients_are_computed_also_after_an_error() -> None:
    ours, _ = _twins()
    images = torch.randn(2, 1, 6, 6, requires_grad=True)
    with pytest.raises(KeyError), gradients_of("images"):
        raise KeyError
    assert all(gradient.any() for gradient in torch.autograd.grad(ours(images).sum(), (images, ours.weight, ours.bias)))

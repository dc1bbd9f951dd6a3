"""A convolution whose gradient with respect to the image is as cheap as the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_weight

_asked_for: ContextVar[Literal["images", "weights", "both"]] = ContextVar("asked_for", default="both")


@contextmanager
def gradients_of(what: Literal["images", "weights"]) -> Iterator[None]:
    """Let the backward passes of image convolutions compute these gradients alone, in a block that asks for no others.

    PyTorch's own functions know which gradients a pass is for; those that are written in Python do not.
    """
    before = _asked_for.set(what)
    try:
        yield
    finally:
        _asked_for.reset(before)


class ImageConvolution(nn.Conv2d):
    """A convolution of images of one channel: the first layer of a network on grey images.

    It is `torch.nn.Conv2d` but for how a processor computes the gradient with respect to the images, which attacks and
    adversarial training ask for: as one matrix product, whose rows are added up where patches overlap. The convolution
    of PyTorch's own backward pass writes a single channel there, which wastes most of the processor's vector units.

    Parameters
    ----------
    filters
        Number of filters.
    kernel
        Height and width of every filter, in pixels.
    stride
        By how many pixels it moves.
    padding
        Zeros around the images on every side, in pixels.
    """

    def __init__(self, filters: int, kernel: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__(1, filters, kernel, stride, padding)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the filters' responses, shape (N, filters, H', W') with H' = (H + 2 padding − kernel) // stride + 1.

        Parameters
        ----------
        inputs
            Shape (N, 1, H, W).
        """
        if not inputs.requires_grad or inputs.device.type != "cpu":
            return super().forward(inputs)
        responses: Tensor = _Convolution.apply(inputs, self.weight, self.bias, self.stride[0], int(self.padding[0]))
        return responses


class _Convolution(torch.autograd.Function):
    """The convolution, with a backward pass of its own that can itself be differentiated and mapped over a batch."""

    generate_vmap_rule = True

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
        return conv2d(inputs, weight, bias, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int, int], output: Tensor) -> None:  # noqa: ARG004
        images, weight, _, ctx.stride, ctx.padding = inputs
        ctx.save_for_backward(images, weight)
        ctx.save_for_forward(images, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        images, weight = ctx.saved_tensors
        stride, padding = ctx.stride, ctx.padding
        of_images = of_weight = of_bias = None
        asked_for = _asked_for.get()
        if ctx.needs_input_grad[0] and asked_for != "weights":
            height, width = map(int, images.shape[2:])
            weight_there = weight.to(gradient.dtype)
            of_images = _ImageGradient.apply(gradient, weight_there, height, width, stride, padding).to(images.dtype)
        if ctx.needs_input_grad[1] and asked_for != "images":
            exact = images.to(gradient.dtype)
            of_weight = conv2d_weight(exact, weight.shape, gradient, stride, padding)  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[2] and asked_for != "images":
            of_bias = gradient.sum((0, 2, 3))
        return of_images, of_weight, of_bias, None, None

    @staticmethod
    def jvp(ctx: Any, of_images: Tensor, of_weight: Tensor, of_bias: Tensor, *_: None) -> Tensor:
        images, weight = ctx.saved_tensors
        moved = {"stride": ctx.stride, "padding": ctx.padding}
        change = conv2d(of_images, weight, **moved) if of_images is not None else 0
        change = change + (conv2d(images, of_weight, **moved) if of_weight is not None else 0)
        return change + (of_bias[:, None, None] if of_bias is not None else 0)


class _ImageGradient(torch.autograd.Function):
    """The gradient with respect to the images: linear in that of the responses and in the weights, as a convolution is.

    Its own backward pass, which gradient regularisation asks for, is the convolution again.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient: Tensor, weight: Tensor, height: int, width: int, stride: int, padding: int) -> Tensor:
        return _of_images(gradient, weight, (height, width), stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        gradient, weight, height, width, ctx.stride, ctx.padding = inputs
        ctx.size = (height, width)
        ctx.save_for_backward(gradient, weight)
        ctx.save_for_forward(gradient, weight)

    @staticmethod
    def backward(ctx: Any, images: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        gradient, weight = ctx.saved_tensors
        stride, padding = ctx.stride, ctx.padding
        of_gradient = conv2d(images, weight, None, stride, padding) if ctx.needs_input_grad[0] else None
        of_weight = (
            conv2d_weight(images, weight.shape, gradient, stride, padding)  # type: ignore[no-untyped-call]
            if ctx.needs_input_grad[1]
            else None
        )
        return of_gradient, of_weight, None, None, None, None

    @staticmethod
    def jvp(ctx: Any, of_gradient: Tensor, of_weight: Tensor, *_: None) -> Tensor | int:
        gradient, weight = ctx.saved_tensors
        moved = (ctx.size, ctx.stride, ctx.padding)
        change: Tensor | int = _of_images(of_gradient, weight, *moved) if of_gradient is not None else 0
        return change + (_of_images(gradient, of_weight, *moved) if of_weight is not None else 0)


def _of_images(gradient: Tensor, weight: Tensor, size: tuple[int, int], stride: int, padding: int) -> Tensor:
    """Return the gradient with respect to images of a size, shape (N, 1, H, W), from that of the responses."""
    filters, _, kernel, _ = weight.shape
    count, _, height, width = gradient.shape
    by_filter = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    shares = (weight.flatten(1).T @ by_filter.T).view(kernel, kernel, count, height, width)
    padded = gradient.new_zeros(count, *(side + 2 * padding for side in size))
    for row in range(kernel):
        for column in range(kernel):
            rows = slice(row, row + stride * (height - 1) + 1, stride)
            columns = slice(column, column + stride * (width - 1) + 1, stride)
            padded[:, rows, columns] += shares[row, column]
    inside = padded[:, padding : padding + size[0], padding : padding + size[1]]
    return inside.unsqueeze(1)

"""A convolution whose gradient with respect to the image is as cheap as the others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_weight


class ImageConvolution(nn.Conv2d):
    """A valid convolution of images of one channel, with stride 1: the first layer of a network on grey images.

    It is `torch.nn.Conv2d` but for how a processor computes the gradient with respect to the images, which attacks and
    adversarial training ask for: as one matrix product, whose rows are added up where patches overlap. The convolution
    of PyTorch's own backward pass writes a single channel there, which wastes most of the processor's vector units.

    Parameters
    ----------
    filters
        Number of filters.
    kernel
        Height and width of every filter, in pixels.
    """

    def __init__(self, filters: int, kernel: int) -> None:
        super().__init__(1, filters, kernel)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the filters' responses, shape (N, filters, H − kernel + 1, W − kernel + 1), to (N, 1, H, W)."""
        if not inputs.requires_grad or inputs.device.type != "cpu":
            return super().forward(inputs)
        responses: Tensor = _Convolution.apply(inputs, self.weight, self.bias)
        return responses


class _Convolution(torch.autograd.Function):
    """The convolution, with a backward pass of its own that can itself be differentiated and mapped over a batch."""

    generate_vmap_rule = True

    @staticmethod
    def forward(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return conv2d(inputs, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        images, weight, _ = inputs
        ctx.save_for_backward(images, weight)
        ctx.save_for_forward(images, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        images, weight = ctx.saved_tensors
        of_images = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_images = _of_images(gradient, weight.to(gradient.dtype)).to(images.dtype)
        if ctx.needs_input_grad[1]:
            of_weight = conv2d_weight(images.to(gradient.dtype), weight.shape, gradient)  # type: ignore[no-untyped-call]
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_images, of_weight, of_bias

    @staticmethod
    def jvp(ctx: Any, of_images: Tensor, of_weight: Tensor, of_bias: Tensor) -> Tensor:
        images, weight = ctx.saved_tensors
        change = conv2d(of_images, weight) if of_images is not None else 0
        change = change + (conv2d(images, of_weight) if of_weight is not None else 0)
        return change + (of_bias[:, None, None] if of_bias is not None else 0)


def _of_images(gradient: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient with respect to the images, shape (N, 1, H, W), from that of the responses."""
    filters, _, kernel, _ = weight.shape
    count, _, height, width = gradient.shape
    by_filter = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    shares = (weight.flatten(1).T @ by_filter.T).view(kernel, kernel, count, height, width)
    images = gradient.new_zeros(count, height + kernel - 1, width + kernel - 1)
    for row in range(kernel):
        for column in range(kernel):
            images[:, row : row + height, column : column + width] += shares[row, column]
    return images.unsqueeze(1)

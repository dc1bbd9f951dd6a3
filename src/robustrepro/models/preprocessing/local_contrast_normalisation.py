"""Local contrast normalisation: every pixel in units of the contrast around it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTH = 0.25
"""Standard deviation of the window, as a share of its size, as Torch7's ``image.gaussian1D`` has it."""

FLATTEST = 1e-4 / 255
"""The least contrast that is divided by. Torch7's 1e-4 is in units of a pixel range of 255."""


class LocalContrastNormalisation(nn.Module):
    """Each pixel less the mean around it, divided by the root of the mean square that this leaves around it.

    Both means have Gaussian weights, and next to the border count what lies inside the image alone. As in Torch7's
    ``SpatialContrastiveNormalization``, the root of a sum next to the border is divided by the sum of the weights
    inside, not by its root.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    channels
        Which channels are normalised, each by itself; the others stay as they are.
    size
        Height and width of the window, in pixels; odd.

    Raises
    ------
    ValueError
        If the examples are no images, or have no such channel.

    References
    ----------
    Jarrett, Kavukcuoglu, Ranzato & LeCun, "What is the Best Multi-Stage Architecture for Object Recognition?", 2009,
    Section 2.1.
    """

    down: Tensor
    across: Tensor
    inside: Tensor

    def __init__(self, input_shape: tuple[int, ...], channels: Sequence[int], size: int) -> None:
        super().__init__()
        if len(input_shape) != 3:
            raise ValueError(f"images (channels, height, width) have a local contrast, not {input_shape}")
        if beyond := [channel for channel in channels if channel >= input_shape[0]]:
            raise ValueError(
                f"channel {beyond[0]} is not one of the {input_shape[0]} of the images, which count from 0"
            )
        self.channels = sorted(channels)
        # Constants of the declaration: a checkpoint does not repeat them.
        self.register_buffer("down", weights_around(input_shape[1], size), persistent=False)
        self.register_buffer("across", weights_around(input_shape[2], size), persistent=False)
        self.register_buffer("inside", self._sum_around(torch.ones(1, 1, *input_shape[1:])), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return images of the same shape, (N, channels, height, width)."""
        pixels = inputs[:, self.channels]
        centred = pixels - self._sum_around(pixels) / self.inside
        least = (FLATTEST * self.inside).square()
        # Clamped under the root, whose slope at 0 would be infinite.
        contrast = torch.maximum(self._sum_around(centred.square()), least).sqrt() / self.inside
        by_channel = list(inputs.unbind(1))
        for number, normalised in zip(self.channels, (centred / contrast).unbind(1), strict=True):
            by_channel[number] = normalised
        return torch.stack(by_channel, dim=1)

    def _sum_around(self, pixels: Tensor) -> Tensor:
        """Return the weighted sum of the window around each pixel, zeros around the image, shape of the pixels."""
        return self.down @ pixels @ self.across.T


def weights_around(length: int, size: int) -> Tensor:
    """Return the weight of each pixel of a row (or column) in the window around each other one, (length, length).

    Products with these matrices are several times as fast as convolutions of one channel, and so is their gradient.
    """
    distance = torch.arange(length)[:, None] - torch.arange(length)
    weights = (-(distance / (WIDTH * size)).square() / 2).exp() * (distance.abs() <= size // 2)
    window = (-((torch.arange(size) - size // 2) / (WIDTH * size)).square() / 2).exp()
    return weights / window.sum()

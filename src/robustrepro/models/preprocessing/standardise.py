"""Standardisation of the inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """(x − mean) / std.

    Parameters
    ----------
    input_shape
        Shape of one example; its first axis is the channels.
    mean, std
        One number for all channels, or one per channel, in units of the inputs; std > 0.

    Raises
    ------
    ValueError
        If there are more numbers than one, but not one per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, input_shape: tuple[int, ...], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Constants of the declaration: a checkpoint does not repeat them.
        self.register_buffer("mean", _per_channel("mean", mean, input_shape), persistent=False)
        self.register_buffer("std", _per_channel("std", std, input_shape), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return standardised examples, shape (N, *input_shape)."""
        return (inputs - self.mean) / self.std


def _per_channel(name: str, values: Sequence[float], input_shape: tuple[int, ...]) -> Tensor:
    """Return the values in a shape that broadcasts over a batch."""
    channels = input_shape[0]
    if len(values) not in {1, channels}:
        raise ValueError(f"{name} has {len(values)} values; expected one, or one for each of {channels} channels")
    return torch.tensor(values).reshape(-1, *(1 for _ in input_shape[1:]))

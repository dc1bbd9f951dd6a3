"""Batch normalisation of the input."""

from __future__ import annotations

from torch import Tensor, nn


class InputNormalisation(nn.Module):
    """Batch normalisation per channel, without affine parameters.

    In training each channel is normalised by the mean and variance of its batch; in evaluation by their running means,
    which belong to the checkpoint.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image, or (features,) of a point.

    References
    ----------
    Ioffe & Szegedy, "Batch Normalization", 2015.
    """

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        layer = nn.BatchNorm2d if len(input_shape) == 3 else nn.BatchNorm1d
        self.normalisation = layer(input_shape[0], affine=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return normalised examples, shape (N, *input_shape)."""
        normalised: Tensor = self.normalisation(inputs)
        return normalised

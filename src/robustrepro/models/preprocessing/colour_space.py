"""Change of an image's colour space."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

YUV = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
"""Rows Y, U and V of the analogue ITU-R BT.601, as Torch7's ``image.rgb2yuv`` has them. Y is in [0, 1], U in
[−0.436, 0.436], V in [−0.615, 0.615]."""


class ColourSpace(nn.Module):
    """Linear change of the colour space of RGB images.

    Parameters
    ----------
    input_shape
        (3, height, width) of an image.
    to
        ``yuv``: the analogue YUV of ITU-R BT.601, :data:`YUV`.

    Raises
    ------
    ValueError
        If the examples are no colour images.
    """

    matrix: Tensor

    def __init__(self, input_shape: tuple[int, ...], to: Literal["yuv"]) -> None:
        super().__init__()
        if len(input_shape) != 3 or input_shape[0] != 3:
            raise ValueError(f"RGB images (3, height, width) have a form in {to}, not {input_shape}")
        self.register_buffer("matrix", torch.tensor(YUV), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return images in the other colour space, shape (N, 3, height, width)."""
        return torch.einsum("dc,nchw->ndhw", self.matrix, inputs)

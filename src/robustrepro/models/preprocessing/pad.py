"""Zero padding of images to a size."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor, nn


class Pad(nn.Module):
    """Zeros around the image until it is ``size`` x ``size``; of an odd number, one more at the right and bottom.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    size
        Height and width afterwards, in pixels.

    Raises
    ------
    ValueError
        If the examples are no images, or larger than ``size``.
    """

    def __init__(self, input_shape: tuple[int, ...], size: int) -> None:
        super().__init__()
        if len(input_shape) != 3 or max(input_shape[1:]) > size:
            raise ValueError(f"images (channels, height, width) of at most {size}x{size} are padded, not {input_shape}")
        vertical, horizontal = (size - length for length in input_shape[1:])
        self.padding = (horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return images of shape (N, channels, size, size)."""
        return F.pad(inputs, self.padding)

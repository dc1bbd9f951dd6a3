"""What is done to training images, batch by batch, on their device."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor


class CropAndFlip:
    """Random crops of the zero-padded image and horizontal flips, the usual augmentation on CIFAR-10.

    Parameters
    ----------
    padding
        Zero pixels added on each side, so that an image moves by up to as many pixels.

    References
    ----------
    He et al., "Deep Residual Learning for Image Recognition", 2016, Section 4.2.
    """

    def __init__(self, padding: int) -> None:
        self.padding = padding

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return images of the same shape (N, C, H, W), each cropped and flipped by draws of its own."""
        count, channels, height, width = images.shape
        top, left = torch.randint(0, 2 * self.padding + 1, (2, count, 1), generator=generator)
        flipped = torch.rand(count, 1, generator=generator) < 0.5
        along = torch.arange(width)
        rows = (top + torch.arange(height)).to(images.device)
        columns = (left + torch.where(flipped, along.flip(0), along)).to(images.device)
        padded = F.pad(images, (self.padding,) * 4)
        image = torch.arange(count, device=images.device)[:, None, None, None]
        channel = torch.arange(channels, device=images.device)[:, None, None]
        cropped = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
        return cropped.contiguous(memory_format=torch.channels_last)

"""LeNet-5 (LeCun et al. 1998) in the form that today's papers mean: ReLU and max-pooling."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor, nn


class WholeVectors(nn.Conv2d):
    """A convolution that gives its output channels in whole vectors of eight; those added are 0 and have no weights.

    Of an input that was widened in the same way, the added channels are ignored. The same function, a seventh faster in
    training: a processor with AVX2 takes eight channels at a time, and six as slowly as one by one in places.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels rounded up to a multiple of 8, H', W') of (N, at least in_channels, H, W)."""
        added_in, added_out = inputs.shape[1] - self.in_channels, -self.out_channels % 8
        weight = F.pad(self.weight, (0, 0, 0, 0, 0, added_in, 0, added_out))
        bias = None if self.bias is None else F.pad(self.bias, (0, added_out))
        return F.conv2d(inputs, weight, bias, self.stride, self.padding)


class LeNet5(nn.Module):
    """LeNet-5: two 5x5 convolutions with max-pooling, then 120 and 84 hidden units.

    61,706 parameters on a 1x28x28 image with ten classes. The first convolution is padded to keep 28x28, as in the
    original, where the image was padded to 32x32. The `hrm` paper names the network without describing it.
    Pooling comes before the ReLU: the same function, since ReLU is monotone, on a quarter of the values.

    Parameters
    ----------
    input_shape
        (channels, height, width); height and width 28 or 32.
    classes
        Number of logits.

    References
    ----------
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, Section II.B.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        padding = (32 - height) // 2
        if (height, width) not in {(28, 28), (32, 32)}:
            raise ValueError(f"LeNet-5 takes images of 28x28 or 32x32, not {height}x{width}")
        self.features = nn.Sequential(
            WholeVectors(channels, 6, 5, padding=padding),
            nn.MaxPool2d(2),
            nn.ReLU(),
            WholeVectors(6, 16, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

"""Blocks of two normalised convolutions: an accurate network for small images that a processor can train."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.image_shapes import image_shape, require_left

LOGIT_DIVISOR = 4


class BlockConvNet(nn.Module):
    """A 2x2 convolution, blocks of two 3x3 convolutions with pooling in between, and fully connected layers.

    A block is a convolution, 2x2 max-pooling, batch normalisation and ReLU, then a convolution, batch normalisation and
    ReLU: the first one works on the block's larger maps and the second one on a quarter of them. What the last block
    leaves is pooled to a value per filter. With blocks of 32, 96 and 128 filters an epoch of CIFAR-10 takes a processor
    little more than a minute. Logits are divided by 4, so that initial ones are small.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    stem
        Filters of the first convolution.
    channels
        Filters of the convolutions of each block.
    hidden
        Width of each hidden fully connected layer.

    References
    ----------
    After Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, with ReLU in place of GELU, so that units can
    be inactive, and learned filters in the first convolution.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, stem: int, channels: Sequence[int], hidden: Sequence[int]
    ) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape)
        layers: list[nn.Module] = [nn.Conv2d(depth, stem, 2), nn.ReLU()]
        depth, height, width = stem, height - 1, width - 1
        for filters in channels:
            layers += [nn.Conv2d(depth, filters, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(filters)]
            layers += [nn.ReLU(), nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters)]
            layers += [nn.ReLU()]
            depth, height, width = filters, height // 2, width // 2
        require_left(height, width, input_shape, f"{len(channels)} block(s)")
        self.features = nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1))
        fully_connected: list[nn.Module] = [nn.Flatten()]
        for narrow in hidden:
            fully_connected += [nn.Linear(depth, narrow), nn.ReLU()]
            depth = narrow
        self.classifier = nn.Sequential(*fully_connected, nn.Linear(depth, classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits / LOGIT_DIVISOR

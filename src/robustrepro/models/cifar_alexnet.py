"""AlexNet for images of 32x32: the network in whose features images are compared for a perceptual distance."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.image_shapes import image_shape, require_left
from robustrepro.models.mlp import MultiLayerPerceptron

DROPOUT = 0.5
POOLED = (0, 1, 4)
"""The convolutions behind which there is max-pooling."""


class CifarAlexNet(nn.Module):
    """Five padded 3x3 convolutions with ReLU, the first with stride 2, and 2x2 max-pooling behind three of them.

    The convolutions see images of 32x32 pixels, maps of 8x8, and then 4x4 three times; the fully connected layers see
    2x2, with dropout in front. What is compared are the maps behind the ReLUs: ``features.1``, ``features.4``,
    ``features.7``, ``features.9`` and ``features.11``.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    channels
        Filters of the five convolutions.
    hidden
        Width of each hidden fully connected layer.

    References
    ----------
    Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, Section
    3.5; for images of 32x32 in Laidlaw, Singla & Feizi, "Perceptual Adversarial Robustness", 2021.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, channels: Sequence[int], hidden: Sequence[int]
    ) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape)
        features: list[nn.Module] = []
        for number, filters in enumerate(channels):
            stride = 1 if number else 2
            features += [nn.Conv2d(depth, filters, 3, stride, padding=1), nn.ReLU()]
            depth, height, width = filters, -(-height // stride), -(-width // stride)
            if number in POOLED:
                features.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        require_left(height, width, input_shape, "three poolings; expected 15x15 or more")
        self.features = nn.Sequential(*features)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = MultiLayerPerceptron((depth, height, width), classes, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.dropout(self.features(inputs)))
        return logits

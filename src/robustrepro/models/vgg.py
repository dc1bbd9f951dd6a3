"""VGG for CIFAR-10 with batch normalisation and dropout, as it was first trained to 92% in Torch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.image_shapes import image_shape

STABILITY = 1e-3
"""What batch normalisation of convolutions adds to the variance."""


class Vgg(nn.Module):
    """Five groups of 3x3 convolutions, each with batch normalisation and ReLU, and two fully connected layers.

    Max-pooling halves height and width after each group, rounding up. Dropout of 0.3 follows the first convolution and
    of 0.4 every other one, but for the last of a group; dropout of 0.5 stands in front of both fully connected layers.
    Filters start from a normal distribution of variance 2 / (9 · filters), biases of convolutions from 0.

    By default thirteen convolutions and 14,991,946 parameters on a 3x32x32 image with ten classes.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    channels
        Number of filters of each group's convolutions; the last one is the width of the hidden layer, too.
    convolutions
        How many each group has.

    References
    ----------
    Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015. Zagoruyko, "92.45%
    on CIFAR-10 in Torch", 2015, whose network Shaham et al. (2018) train in Section 5.2.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, channels: Sequence[int], convolutions: Sequence[int]
    ) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape, "VGG")
        features: list[nn.Module] = []
        for count, filters in zip(convolutions, channels, strict=True):
            for number in range(count):
                dropout = 0.4 if features else 0.3
                features += [nn.Conv2d(depth, filters, 3, padding=1), nn.BatchNorm2d(filters, STABILITY), nn.ReLU()]
                features += [nn.Dropout(dropout)] if number < count - 1 else []
                depth = filters
            features.append(nn.MaxPool2d(2, ceil_mode=True))
            height, width = (height + 1) // 2, (width + 1) // 2
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(depth * height * width, depth),
            nn.BatchNorm1d(depth),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(depth, classes),
        )
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=(2 / (9 * module.out_channels)) ** 0.5)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

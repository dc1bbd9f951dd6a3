"""The network of Carlini & Wagner for MNIST: four convolutions and three fully connected layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.convolution import ImageConvolution
from robustrepro.models.image_shapes import image_shape, require_left
from robustrepro.models.mlp import MultiLayerPerceptron


class CarliniWagnerNet(nn.Module):
    """Two pairs of valid 3x3 convolutions, each with ReLU, and 2x2 max-pooling behind each pair; then an MLP.

    With 32 and 64 filters and two hidden layers of 200 units it has 312,202 parameters on a 28x28 image with ten
    classes. Their training had dropout between the fully connected layers, which this has not: a pair of perturbed
    images would meet different networks.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    channels
        Filters of both convolutions of each pair.
    hidden
        Width of each hidden fully connected layer.

    References
    ----------
    Carlini & Wagner, "Towards Evaluating the Robustness of Neural Networks", 2017, Table I.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, channels: Sequence[int], hidden: Sequence[int]
    ) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape)
        features: list[nn.Module] = []
        for filters in channels:
            first = ImageConvolution(filters, 3) if depth == 1 else nn.Conv2d(depth, filters, 3)
            features += [first, nn.ReLU(), nn.Conv2d(filters, filters, 3), nn.ReLU(), nn.MaxPool2d(2)]
            depth, height, width = filters, (height - 4) // 2, (width - 4) // 2
            require_left(height, width, input_shape, f"{len(features) // 5} pair(s)")
        self.features = nn.Sequential(*features)
        self.classifier = MultiLayerPerceptron((depth, height, width), classes, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

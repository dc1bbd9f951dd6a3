"""Convolutions with a stride instead of pooling, then fully connected layers: small, and cheap to verify."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.convolution import ImageConvolution
from robustrepro.models.image_shapes import image_shape, require_left
from robustrepro.models.mlp import MultiLayerPerceptron


class StridedConvNet(nn.Module):
    """Convolutions with one stride and ReLU, then fully connected layers with ReLU between them.

    Images are padded so that a convolution of stride s divides height and width by s, rounding up where the kernel is
    odd. With 16 and 32 filters of 5x5 with stride 2 and 100 hidden units it has 171,158 parameters on a 28x28 image of
    one channel with ten classes.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    channels
        Number of filters of each convolution.
    kernel
        Height and width of every filter, in pixels.
    stride
        Of every convolution, in pixels.
    hidden
        Width of each hidden fully connected layer.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        channels: Sequence[int],
        kernel: int,
        stride: int,
        hidden: Sequence[int],
    ) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape)
        padding = (kernel - 1) // 2
        features: list[nn.Module] = []
        for filters in channels:
            on_grey_images = depth == 1 and not features
            features.append(
                ImageConvolution(filters, kernel, stride, padding)
                if on_grey_images
                else nn.Conv2d(depth, filters, kernel, stride, padding)
            )
            features.append(nn.ReLU())
            depth = filters
            height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
            require_left(height, width, input_shape, f"{len(features) // 2} convolution(s)")
        self.features = nn.Sequential(*features)
        self.classifier = MultiLayerPerceptron((depth, height, width), classes, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

"""A small convolutional network for CIFAR-10 where ResNet-50 is too slow: on a processor, in minutes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.image_shapes import image_shape


class ConvNet(nn.Module):
    """3x3 convolutions of stride 2 with ReLU, then one linear layer.

    Each convolution halves height and width, rounding up. With 48, 96 and 192 channels it has 239,722 parameters on a
    3x32x32 image with ten classes, and reaches 67% on CIFAR-10 in eight epochs of ERM without augmentation (Adam with
    learning rate 0.001); with 32, 64 and 128 it takes two thirds of the time and reaches 64%. Strides instead of
    pooling: the same layers before 2x2 max-pooling take three times as long to train.

    There is no batch normalisation, so that an example's loss is a function of that example alone. With it, every loss
    of a training batch would depend on the whole batch, under ERM as well, and it is just this coupling of examples in
    which the objectives are to differ.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    channels
        Number of channels after each convolution.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape)
        layers: list[nn.Module] = []
        for depth_out in channels:
            layers += [nn.Conv2d(depth, depth_out, 3, stride=2, padding=1), nn.ReLU()]
            depth, height, width = depth_out, (height + 1) // 2, (width + 1) // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(depth * height * width, classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

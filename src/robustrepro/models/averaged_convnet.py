"""Convolutions all the way: the logits are the means of the last one's feature maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.image_shapes import image_shape


class AveragedConvNet(nn.Module):
    """3x3 convolutions with ReLU; the last one has a feature map per class, and global average pooling of each.

    Images are padded so that a convolution of stride s divides height and width by s, rounding up. There is no batch
    normalisation, so that an example's loss is a function of that example alone.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    channels
        Number of filters of each convolution in front of the last one.
    strides
        Of these convolutions, in pixels, one for each; the last one has none.

    References
    ----------
    Yu et al., "Interpreting Adversarial Robustness: A View from Decision Surface in Input Space", 2018, Section 8.3
    ("five convolutional layers and one global average pooling layer"); Springenberg et al., "Striving for Simplicity:
    The All Convolutional Net", 2015.
    """

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, channels: Sequence[int], strides: Sequence[int]
    ) -> None:
        super().__init__()
        depth, _, _ = image_shape(input_shape)
        layers: list[nn.Module] = []
        for filters, stride in zip(channels, strides, strict=True):
            layers += [nn.Conv2d(depth, filters, 3, stride, padding=1), nn.ReLU()]
            depth = filters
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Conv2d(depth, classes, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        maps: Tensor = self.classifier(self.features(inputs))
        return maps.mean((2, 3))

"""The pre-activation ResNet-18 (He et al. 2016) for images as small as CIFAR-10's."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.models.image_shapes import image_shape


class PreActResNet18(nn.Module):
    """Eight residual blocks of two 3x3 convolutions, each behind batch normalisation and ReLU; 17 layers of ReLU.

    A block's shortcut leaves from behind its first ReLU, with a 1x1 convolution where the shape changes. The first
    convolution has batch normalisation and ReLU, too, and behind the last block there is neither: so Jin & Rinard
    published their network. With a width of 64 it has 11,171,274 parameters on a 3x32x32 image with ten classes.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    width
        Filters of the first two blocks; each further pair has twice as many and halves height and width.

    References
    ----------
    He, Zhang, Ren & Sun, "Identity Mappings in Deep Residual Networks", 2016. Jin & Rinard, "Manifold Regularization
    for Locally Stable Deep Neural Networks", 2020, the public model.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        channels, _, _ = image_shape(input_shape, "a pre-activation ResNet")
        self.stem = nn.Sequential(_convolution(channels, width), nn.BatchNorm2d(width), nn.ReLU())
        blocks, depth = [], width
        for stage in range(4):
            for stride in (1 if stage == 0 else 2, 1):
                blocks.append(_Block(depth, width * 2**stage, stride))
                depth = width * 2**stage
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(depth, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.pool(self.blocks(self.stem(inputs))).flatten(1))
        return logits


class _Block(nn.Module):
    def __init__(self, depth: int, filters: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(depth), nn.ReLU())
        self.second = nn.Sequential(
            _convolution(depth, filters, stride), nn.BatchNorm2d(filters), nn.ReLU(), _convolution(filters, filters)
        )
        self.stride = stride
        same_shape = stride == 1 and depth == filters
        self.shortcut = nn.Identity() if same_shape else nn.Conv2d(depth, filters, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        rectified = self.first(maps)
        # Not a 1x1 convolution that strides: oneDNN 3.x writes beyond its memory in the backward pass of one with fewer
        # than 8 channels, on processors without AVX-512 (uxlfoundation/oneDNN issue 6035).
        summed: Tensor = self.second(rectified) + self.shortcut(rectified[..., :: self.stride, :: self.stride])
        return summed


def _convolution(depth: int, filters: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(depth, filters, 3, stride, padding=1, bias=False)

"""ResNet-50 (He et al. 2016) for images as small as CIFAR-10's."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import resnet50

from robustrepro.models.image_shapes import image_shape


class ResNet50(nn.Module):
    """ResNet-50 whose stem keeps the resolution: a 3x3 convolution of stride 1 and no max-pooling.

    23,520,842 parameters on a 3x32x32 image with ten classes. The `hrm` paper says "Resnet-50 for CIFAR10" and no more.
    ImageNet's stem would leave 8x8 of the 32x32 pixels to the first block and 1x1 to the last.

    Everything but the stem is torchvision's, initialisation included; the stem's convolution is initialised in the same
    way.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.

    References
    ----------
    He et al., "Deep Residual Learning for Image Recognition", 2016, Table 1 (the blocks), Section 4.2 (the stem, there
    of smaller networks).
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, _, _ = image_shape(input_shape, "ResNet-50")
        network = resnet50(weights=None, num_classes=classes)
        network.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
        for module in network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # measurements and regularisers read what the ReLU was given
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.network(inputs)
        return logits

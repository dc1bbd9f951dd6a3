"""Networks for ImageNet as torchvision has them, so that its weights fit."""

from __future__ import annotations

from torch import nn
from torchvision.models import get_model

SMALLEST = 64
"""Side of the smallest images that every one of them takes, in pixels."""


def torchvision_network(input_shape: tuple[int, ...], classes: int, variant: str) -> nn.Module:
    """Return a network of torchvision's model zoo, freshly initialised; its weights have torchvision's names.

    Parameters
    ----------
    input_shape
        (channels, height, width) of an image.
    classes
        Number of logits.
    variant
        Its name in the zoo. ``vgg11`` and ``vgg19`` are without batch normalisation.

    Raises
    ------
    ValueError
        If it cannot take such images.

    References
    ----------
    AlexNet: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014. ResNet: He et al.,
    2016. SqueezeNet 1.1: Iandola et al., 2016. VGG: Simonyan & Zisserman, 2014.
    """
    if len(input_shape) != 3 or input_shape[0] != 3 or min(input_shape[1:]) < SMALLEST:
        raise ValueError(f"{variant} takes images in colour of {SMALLEST}x{SMALLEST} or more, not {input_shape}")
    network: nn.Module = get_model(variant, weights=None, num_classes=classes)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # measurements and regularisers read what the ReLU was given
    return network

"""Convolutions with max-pooling, then fully connected layers: the networks of many papers on MNIST."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from robustrepro.models.convolution import ImageConvolution
from robustrepro.models.image_shapes import image_shape, require_left


class PooledConvNet(nn.Module):
    """Valid convolutions with ReLU, each followed by max-pooling, then fully connected layers with ReLU between them.

    With 32 and 64 filters of 5x5, pooling of 3x3 and 2x2 and 200 hidden units it is the network of Shaham et al. on
    MNIST, which their scripts pad to 32x32: 256 features in front of the first fully connected layer, and 105,506
    parameters. Pooling is without overlap, and comes before the ReLU: the same function on fewer values.

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
    pools
        Height and width of the pooling after each convolution, in pixels; as many as there are convolutions.
    hidden
        Width of each hidden fully connected layer.

    References
    ----------
    Shaham, Yamada & Negahban, "Understanding Adversarial Training: Increasing Local Stability of Supervised Models
    through Robust Optimization", 2018, Section 5.1.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        channels: Sequence[int],
        kernel: int,
        pools: Sequence[int],
        hidden: Sequence[int],
    ) -> None:
        super().__init__()
        depth, height, width = image_shape(input_shape)
        features: list[nn.Module] = []
        for depth_out, pool in zip(channels, pools, strict=True):
            convolution = ImageConvolution(depth_out, kernel) if depth == 1 else nn.Conv2d(depth, depth_out, kernel)
            features += [convolution, nn.MaxPool2d(pool), nn.ReLU()]
            depth, height, width = depth_out, (height - kernel + 1) // pool, (width - kernel + 1) // pool
            require_left(height, width, input_shape, f"{len(features) // 3} convolution(s)")
        classifier: list[nn.Module] = [nn.Flatten()]
        wide = depth * height * width
        for narrow in hidden:
            classifier += [nn.Linear(wide, narrow), nn.ReLU()]
            wide = narrow
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(*classifier, nn.Linear(wide, classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

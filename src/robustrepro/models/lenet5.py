"""LeNet-5 (LeCun et al. 1998) in the form that today's papers mean: ReLU and max-pooling."""

from __future__ import annotations

from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeNet-5: two 5x5 convolutions with max-pooling, then 120 and 84 hidden units.

    61,706 parameters on a 1x28x28 image with ten classes. The first convolution is padded to keep 28x28, as in the
    original, where the image was padded to 32x32. The `hrm` paper names the network without describing it.
    Pooling comes before the ReLU: the same function, since ReLU is monotone, on a quarter of the values.

    Parameters
    ----------
    input_shape
        (channels, height, width); height and width 28 or 32.
    classes
        Number of logits.

    References
    ----------
    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, Section II.B.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        padding = (32 - height) // 2
        if (height, width) not in {(28, 28), (32, 32)}:
            raise ValueError(f"LeNet-5 takes images of 28x28 or 32x32, not {height}x{width}")
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=padding),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(6, 16, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of images of shape (N, channels, height, width)."""
        logits: Tensor = self.classifier(self.features(inputs))
        return logits

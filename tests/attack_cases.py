"""Models small enough to attack in a test, with images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def random_case(count: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A random convolutional network, images, and its own predictions as labels, every fifth one falsified."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(288, 16),
            nn.ReLU(),
            nn.Linear(16, 4),
        )
        inputs = torch.rand(count, 1, 8, 8)
    model.eval()
    with torch.no_grad():
        model[-1].bias -= model(inputs).mean(0)
        labels = model(inputs).argmax(1)
    labels[::5] = (labels[::5] + 1) % 4
    return model, inputs, labels


def linear_case(shape: tuple[int, ...], count: int = 40) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A linear two-class model in float64, images, labels of which some are wrong, and each image's w_other − w_y."""
    generator = torch.Generator().manual_seed(3)
    features = int(torch.tensor(shape).prod())
    layer = nn.Linear(features, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn((2, features), generator=generator))
    inputs = torch.rand((count, *shape), generator=generator, dtype=torch.float64)
    with torch.no_grad():
        # Centred, so that both classes occur and margins straddle what an attack can move.
        layer.bias.copy_(-(inputs.flatten(1) @ layer.weight.T).mean(0))
    model = nn.Sequential(nn.Flatten(), layer).eval()
    with torch.no_grad():
        labels = model(inputs).argmax(1)
    labels[::7] = 1 - labels[::7]
    uphill = layer.weight.detach()[1 - labels] - layer.weight.detach()[labels]
    return model, inputs, labels, uphill.reshape(inputs.shape)


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return logits * self.factor

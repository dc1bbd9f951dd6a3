"""Models whose gradient is hidden or wrong, one way each: what an audit must find its way through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn

CLASSES = 3


class Negated(torch.autograd.Function):
    """The identity, with a derivative that points the other way."""

    @staticmethod
    def forward(ctx: object, inputs: Tensor) -> Tensor:  # noqa: ARG004
        return inputs.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return -gradient


class Quantisation(nn.Module):
    """Pixels rounded to eight levels."""

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * 7).round() / 7


class Detached(nn.Module):
    """Values handed on without their history."""

    def forward(self, inputs: Tensor) -> Tensor:
        return 2 * inputs.detach()


class InNumpy(nn.Module):
    """Pixels rounded by another library."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.from_numpy(np.round(inputs.detach().numpy() * 7) / 7)


class WithChild(nn.Module):
    """Pixels rounded by a layer that has a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.child = nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.child((inputs * 7).round() / 7)


def network(*first: nn.Module) -> nn.Sequential:
    """Return a network with layers of many kinds behind the first ones, in evaluation mode."""
    torch.manual_seed(0)
    rest = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten()]
    return nn.Sequential(*first, nn.Sequential(*rest), nn.Linear(144, CLASSES)).eval()


def images(count: int = 16) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class InALine(nn.Module):
    """A network with something around it that is written in a line of ``forward``."""

    def __init__(self, line: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.line = network(), line
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.line(self.network, inputs)


def plateau(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits that are −1000 or 1000, but for rounding."""
    logits = network(inputs)
    return 1000 * torch.tanh(2000 * (logits - logits.logsumexp(1, keepdim=True) + 1))


def without_history(network: nn.Module, inputs: Tensor) -> Tensor:
    """A threshold under ``no_grad``."""
    with torch.no_grad():
        inputs = (inputs > 0.5).float()
    return network(inputs)


def in_numpy(network: nn.Module, inputs: Tensor) -> Tensor:
    """Images that are rounded one by one by another library."""
    rounded = [torch.from_numpy(np.round(image.detach().numpy() * 7) / 7) for image in inputs]
    return network(torch.stack(rounded))


def thermometer(inputs: Tensor) -> Tensor:
    """Return for every pixel which of 16 levels it has reached, shape (*, 16)."""
    level = (inputs * 16).round().long().clamp(0, 16)
    return 1 - F.one_hot(level, num_classes=17).cumsum(-1).float()[..., :16]


def sine(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the logits for pixels with an added sine, whose derivative is right and leads nowhere."""
    return network(inputs + 0.01 * torch.sin(1000 * inputs))


LINES: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "rounded pixels": lambda network, inputs: network((inputs * 7).round() / 7),
    "rounded logits": lambda network, inputs: (4 * network(inputs)).round(),
    "whole numbers": lambda network, inputs: network((inputs * 255).byte().float() / 255),
    "a threshold": lambda network, inputs: network((inputs > 0.5).float()),
    "a threshold without history": without_history,
    "a steep sigmoid, rounded": lambda network, inputs: network(torch.sigmoid(500 * (inputs - 0.5)).round()),
    "labels for logits": lambda network, inputs: F.one_hot(network(inputs).argmax(1), CLASSES).float(),
    "rows of a matrix": lambda network, inputs: torch.eye(CLASSES)[network(inputs).argmax(1)],
    "a plateau": plateau,
    "detached": lambda network, inputs: network(inputs.detach()),
    "data": lambda network, inputs: network(inputs.data),
    "a negated derivative": lambda network, inputs: network(Negated.apply(inputs)),
    "another library": in_numpy,
    "rows of a table": lambda network, inputs: network(torch.linspace(0, 1, 17)[(inputs * 16).round().long()]),
    "an embedding": lambda network, inputs: network(
        F.embedding((inputs * 16).round().long(), torch.linspace(0, 1, 17)[:, None])[..., 0]
    ),
    "a thermometer": lambda network, inputs: network(thermometer(inputs).mean(-1)),
}
"""What hides or bends the gradient, by what it is."""

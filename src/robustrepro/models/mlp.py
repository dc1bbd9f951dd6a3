"""The multi-layer perceptron of the toy examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MultiLayerPerceptron(nn.Module):
    """Fully connected layers with ReLU between them.

    With two inputs, four hidden layers of 16 units and two classes it has the 898 parameters of `hrm`'s Table 1. The
    paper states neither the widths (this is the only equal-width five-layer network with 898 parameters on points of
    the plane and two classes) nor the activation.

    Parameters
    ----------
    input_shape
        Shape of one example; it is flattened.
    classes
        Number of logits.
    hidden
        Width of each hidden layer.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [math.prod(input_shape), *hidden, classes]
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of examples of shape (N, *input_shape)."""
        logits: Tensor = self.layers(inputs)
        return logits

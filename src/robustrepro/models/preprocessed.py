"""A network with its preprocessing."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


class Preprocessed(nn.Module):
    """An architecture behind its preprocessing, so that attacks and measurements see images in [0, 1].

    Parameters
    ----------
    steps
        What is done to the inputs, in order.
    architecture
        What turns preprocessed inputs into logits.
    """

    def __init__(self, steps: Iterable[nn.Module], architecture: nn.Module) -> None:
        super().__init__()
        self.preprocessing = nn.Sequential(*steps)
        self.architecture = architecture

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, shape (N, classes), of examples of shape (N, *input_shape)."""
        logits: Tensor = self.architecture(self.preprocessing(inputs))
        return logits

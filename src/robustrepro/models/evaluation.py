"""The accuracy of a model on a split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.datasets.tensors import Split, as_float
from robustrepro.precision import true_float32

BATCH_SIZE = 1000
LARGEST_BATCH = 10_000_000
"""Most numbers that go into a network at once: of photographs a batch of fewer images."""


def batch_size(inputs: Tensor) -> int:
    """Return how many of these inputs, shape (N, ...), are classified at once."""
    return max(1, min(BATCH_SIZE, LARGEST_BATCH // inputs[0].numel()))


@torch.no_grad()
def accuracy_on(split: Split, model: nn.Module, device: torch.device) -> float:
    """Return the share of a split's examples that a model classifies correctly, in evaluation mode and true float32.

    The model returns to the mode it was in; no random number is drawn.
    """
    training = model.training
    model.eval()
    correct = 0
    with true_float32():
        size = batch_size(split.inputs)
        batches = zip(torch.split(split.inputs, size), torch.split(split.labels, size), strict=True)
        for inputs, labels in batches:
            correct += int((model(as_float(inputs).to(device)).argmax(1).cpu() == labels).sum())
    model.train(training)
    return correct / len(split.labels)

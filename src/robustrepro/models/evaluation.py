"""The accuracy of a model on a split."""

from __future__ import annotations

import torch
from torch import nn

from robustrepro.datasets.tensors import Split, as_float
from robustrepro.precision import true_float32

BATCH_SIZE = 1000


@torch.no_grad()
def accuracy_on(split: Split, model: nn.Module, device: torch.device) -> float:
    """Return the share of a split's examples that a model classifies correctly, in evaluation mode and true float32.

    The model returns to the mode it was in; no random number is drawn.
    """
    training = model.training
    model.eval()
    correct = 0
    with true_float32():
        batches = zip(torch.split(split.inputs, BATCH_SIZE), torch.split(split.labels, BATCH_SIZE), strict=True)
        for inputs, labels in batches:
            correct += int((model(as_float(inputs).to(device)).argmax(1).cpu() == labels).sum())
    model.train(training)
    return correct / len(split.labels)

"""Steps for tests that call an objective outside the training loop."""

from __future__ import annotations

import torch
from torch import Tensor

from robustrepro.objectives.base import Step


def step_of(inputs: Tensor, labels: Tensor, *, epoch: float = 0.0, seed: int = 0) -> Step:
    """Return one update on a batch that is the whole training set."""
    generator = torch.Generator().manual_seed(seed)
    return Step(inputs, labels, torch.arange(len(labels)), epoch, generator)

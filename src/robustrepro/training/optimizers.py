"""Optimisers, as the loop uses them: fused, with the learning rate of the start of training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from robustrepro.schedules import value_at
from robustrepro.spec.schedules import Schedule


def adam(parameters: Iterable[nn.Parameter], learning_rate: Schedule) -> torch.optim.Optimizer:
    """Return Adam with PyTorch's default moments.

    The fused kernel is bit for bit reproducible and leaves most of a small network's optimiser overhead out.
    """
    return torch.optim.Adam(parameters, lr=value_at(learning_rate, 0), fused=True)


def sgd(
    parameters: Iterable[nn.Parameter], learning_rate: Schedule, momentum: float, nesterov: bool, weight_decay: float
) -> torch.optim.Optimizer:
    """Return stochastic gradient descent, with momentum as PyTorch has it: v ← μv + g, θ ← θ − ηv."""
    return torch.optim.SGD(
        parameters,
        lr=value_at(learning_rate, 0),
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        fused=True,
    )

"""Stochastic gradient descent with the momentum of Torch7."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from robustrepro.schedules import value_at
from robustrepro.spec.schedules import Schedule


def torch7_sgd(
    parameters: Iterable[nn.Parameter], learning_rate: Schedule, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return stochastic gradient descent, with momentum as Torch7 has it: v ← μv + (1 − μ)g, θ ← θ − ηv.

    So μ does not lengthen the steps: at μ = 0.9 they are a tenth of PyTorch's. v begins as the first gradient.

    References
    ----------
    Torch7's package ``optim``, ``sgd.lua``, whose dampening of the gradient is the momentum unless told otherwise.
    """
    return torch.optim.SGD(
        parameters,
        lr=value_at(learning_rate, 0),
        momentum=momentum,
        dampening=momentum,
        weight_decay=weight_decay,
        fused=True,
    )

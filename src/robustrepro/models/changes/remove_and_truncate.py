"""Removal of rarely active units and truncation of singular values, at once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from robustrepro.datasets.tensors import load
from robustrepro.models.changes.remove_rarely_active import Side, activity_on, without_units
from robustrepro.models.changes.truncate_singular_values import Truncation
from robustrepro.models.fully_connected import fully_connected, replace_weights


@torch.no_grad()
def remove_and_truncate(
    model: nn.Module, dataset: Path, layer: str, percent: float, side: Side, split: Literal["train", "test"]
) -> None:
    """Remove what is rarely active from one fully connected layer, and truncate what is left of it, in place.

    Both are told from the layer as it was trained: its singular values are truncated, and then the units are removed
    that were rarely active before.

    Parameters
    ----------
    model, dataset, layer, percent, side, split
        As for `robustrepro.models.changes.remove_rarely_active.remove_rarely_active`; ``percent`` is of both.

    Raises
    ------
    UserError
        If the network has no fully connected layer of this name.

    References
    ----------
    M3 of Wu et al., "Reducing Exploitation of Data Idiosyncrasy Helps Robustify Trained Models".
    """
    linear = fully_connected(model, layer)
    activity = activity_on(model, layer, load(dataset, split).inputs, side)
    truncated = Truncation(linear.weight).at(percent)
    replace_weights(linear, *without_units(truncated, linear.bias, activity.rarely(percent), side))

"""Removal of the units of a layer that are rarely active on training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from robustrepro.datasets.tensors import load
from robustrepro.models.fully_connected import fully_connected, inputs_of, replace_weights

Side = Literal["outputs", "inputs"]


@dataclass(frozen=True, eq=False)
class Activity:
    """How often the units of a fully connected layer are active.

    Attributes
    ----------
    counts
        On how many images each unit is, int64, shape (outputs,) or (inputs,).
    images
        On how many it was looked at.
    side
        Which units these are.
    """

    counts: Tensor
    images: int
    side: Side

    def rarely(self, percent: float) -> Tensor:
        """Return which units are active on less than ``percent`` of the images, bool, shape of the counts."""
        return 100 * self.counts < percent * self.images


@torch.no_grad()
def activity_on(model: nn.Module, layer: str, images: Tensor, side: Side) -> Activity:
    """Count on how many images each unit of a fully connected layer is active.

    Parameters
    ----------
    model
        The network, in evaluation mode.
    layer
        The layer's name.
    images
        As stored, shape (N, ...).
    side
        An output is active where it is above 0, so that a ReLU behind the layer lets it through; an input where it is
        not 0.

    Raises
    ------
    UserError
        If the network has no fully connected layer of this name.
    """
    linear = fully_connected(model, layer)
    units = linear.out_features if side == "outputs" else linear.in_features
    counts = torch.zeros(units, dtype=torch.int64)
    for features in inputs_of(model, layer, images):
        active = linear(features) > 0 if side == "outputs" else features != 0
        counts += active.sum(0).cpu()
    return Activity(counts, len(images), side)


def without_units(weight: Tensor, bias: Tensor | None, units: Tensor, side: Side) -> tuple[Tensor, Tensor | None]:
    """Return weight and bias of a layer without some of its units: what comes out of them, or goes in, is 0.

    Parameters
    ----------
    weight, bias
        Shapes (outputs, inputs) and (outputs,).
    units
        Which of the outputs or inputs are removed, bool.
    side
        Which of both these are.
    """
    units = units.to(weight.device)
    if side == "inputs":
        return weight.masked_fill(units, 0), bias
    return weight.masked_fill(units[:, None], 0), None if bias is None else bias.masked_fill(units, 0)


@torch.no_grad()
def remove_rarely_active(
    model: nn.Module, dataset: Path, layer: str, percent: float, side: Side, split: Literal["train", "test"]
) -> None:
    """Remove the units of one fully connected layer that are active on less than ``percent`` of images, in place.

    Parameters
    ----------
    model
        The network, in evaluation mode.
    dataset
        The folder of its data set.
    layer
        The layer's name in the network, such as ``classifier.3``.
    percent
        With 0 nothing is removed.
    side
        See :func:`activity_on`.
    split
        Of which images.

    Raises
    ------
    UserError
        If the network has no fully connected layer of this name.

    References
    ----------
    M1 of Wu et al., "Reducing Exploitation of Data Idiosyncrasy Helps Robustify Trained Models".
    """
    linear = fully_connected(model, layer)
    activity = activity_on(model, layer, load(dataset, split).inputs, side)
    replace_weights(linear, *without_units(linear.weight, linear.bias, activity.rarely(percent), side))

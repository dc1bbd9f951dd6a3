"""Alarms: what goes off when an attack, rather than the model, is to blame for a high accuracy.

They accuse the attack and decide nothing: a truly robust model on quantised inputs triggers three of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.losses import cross_entropy
from robustrepro.precision import true_float32

MOST_ZERO_GRADIENTS = 0.01
"""A share above this is an alarm. A network that trains has none at all in float32 unless its logits are large."""


@dataclass(frozen=True)
class Alarm:
    """One check of the attacks on a model.

    Attributes
    ----------
    name
        Which check.
    value, bound
        The alarm goes off where the value is above the bound; both are shares of the images.
    says
        What is compared, in words.
    """

    name: str
    value: float
    bound: float
    says: str

    @property
    def goes_off(self) -> bool:
        """Whether the value is above the bound."""
        return self.value > self.bound

    def as_data(self) -> dict[str, Any]:
        """Return the alarm as plain data."""
        return {**asdict(self), "goes_off": self.goes_off}


@true_float32()
def zero_gradient_share(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Return the share of images whose cross-entropy has a gradient of exactly zero in float32.

    Parameters
    ----------
    model
        In evaluation mode.
    images, labels
        Shapes (N, ...) and (N,), on the model's device, N ≥ 1.
    batch_size
        Most images at once.
    """
    zero = 0
    for batch, batch_labels in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
        _, gradient = input_gradient(model, batch, batch_labels, cross_entropy)
        zero += int((gradient.flatten(1) == 0).all(1).sum())
    return zero / len(labels)


def alarms(
    accuracy: Mapping[str, float], *, zero_gradients: float, noise: float, far: float, largest_class: float
) -> list[Alarm]:
    """Return every alarm, whether it goes off or not.

    Parameters
    ----------
    accuracy
        Share of images that resist, by attack; ``fgsm`` and ``pgd``, both on the cross-entropy, are compared.
    zero_gradients
        Share of the correctly classified images without a gradient.
    noise
        Share that resists uniform noise.
    far
        Share that resists the same PGD where the ball holds a point that all images share.
    largest_class
        Share of the most frequent class: no classifier resists more often there.
    """
    return [
        Alarm("zero gradients", zero_gradients, MOST_ZERO_GRADIENTS, "share of images without any gradient"),
        Alarm("one step beats many", accuracy["pgd"], accuracy["fgsm"], "accuracy under PGD against that under FGSM"),
        Alarm("noise beats gradients", accuracy["pgd"], noise, "accuracy under PGD against that under uniform noise"),
        Alarm("robust beyond reason", far, largest_class, "accuracy where every image can be made the same grey"),
    ]

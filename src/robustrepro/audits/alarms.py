"""Alarms: what goes off when an attack, rather than the model, is to blame for a high accuracy.

They accuse the attack and decide nothing: a truly robust model on quantised inputs triggers three of them. What still
goes off after stronger attacks leaves the question open.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.losses import margin
from robustrepro.attacks.precision import in_float64
from robustrepro.attacks.threat_models import unit_ball_noise
from robustrepro.losses import cross_entropy
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import Norm

ZERO_GRADIENTS = "zero gradients"
WRONG_GRADIENTS = "wrong gradients"
SHATTERED_GRADIENTS = "shattered gradients"
ONE_STEP = "one step beats many"
NOISE = "noise beats gradients"
BEYOND_REASON = "robust beyond reason"
BLACK_BOX = "black box beats gradients"

MOST_ZERO_GRADIENTS = 0.01
"""A share above this is an alarm. A network that trains has none at all in float32 unless its logits are large."""
MOST_WRONG_GRADIENTS = 0.1
"""A share above this is an alarm: near a kink of a rectifier a few images may differ."""
MOST_SHATTERED_GRADIENTS = 0.1
"""A share above this is an alarm. Networks as they are trained, robust or not, have next to none."""
MOST_BY_BLACK_BOX = 0.1
"""A share above this is an alarm: gradients, where they can be followed, find nearly all that queries find."""

DISAGREEMENT = 0.1
"""How far, relative to the larger, a derivative may be from that by differences."""
DIRECTIONS = 5
"""Random directions per image along which derivatives are checked; their median counts."""
STEP = {torch.float64: 1e-6, torch.float32: 1e-2}
"""Steps of the differences, in units of the pixel range."""

NEARBY = 0.1
"""How far away, in ε, a gradient has to point the same way still: a step of an attack is about as long."""
NEIGHBOURS = 3
"""Random points nearby at which the gradient is compared; the median of their cosines counts."""
UNRELATED = 0.2
"""A cosine of two gradients below this is as good as none."""


@dataclass(frozen=True)
class Alarm:
    """One check of the attacks on a model.

    Attributes
    ----------
    name
        Which check.
    value
        A share of the images, between 0 and 1.
    bound
        The alarm goes off where the value is above it.
    says
        What is compared, in words.
    after
        The value after everything that the alarms have added; None where no alarm went off.
    """

    name: str
    value: float
    bound: float
    says: str
    after: float | None = None

    @property
    def goes_off(self) -> bool:
        """Whether the value is above the bound."""
        return self.value > self.bound

    @property
    def still_goes_off(self) -> bool:
        """Whether it went off, and what was added has not silenced it."""
        return self.goes_off and (self.after is None or self.after > self.bound)

    def as_data(self) -> dict[str, Any]:
        """Return the alarm as plain data."""
        return {**asdict(self), "goes_off": self.goes_off, "still_goes_off": self.still_goes_off}


@true_float32()
def has_no_gradient(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 256) -> Tensor:
    """Return which images' cross-entropy has a gradient of exactly zero in float32, bool on the CPU, shape (N,).

    Parameters
    ----------
    model
        In evaluation mode.
    images, labels
        Shapes (N, ...) and (N,), on the model's device, N ≥ 1.
    batch_size
        Most images at once.
    """
    zero = []
    for batch, batch_labels in _batches(images, labels, batch_size):
        _, gradient = input_gradient(model, batch, batch_labels, cross_entropy)
        zero.append((gradient.flatten(1) == 0).all(1).cpu())
    return torch.cat(zero)


@true_float32()
def wrong_gradient_share(model: nn.Module, images: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Return the share of images where differences contradict the gradient of the margin.

    Along random signs the derivative that the gradient claims is set beside a central difference; an image counts where
    the median of their relative differences is large. Both are in float64, or in float32 where the model has no other.

    Parameters
    ----------
    model
        In evaluation mode.
    images, labels
        Shapes (N, ...) and (N,), on the model's device, N ≥ 1.
    batch_size
        Most images at once.
    """
    wide = in_float64(model, images[:1])
    model, precision = (wide, torch.float64) if wide else (copy.deepcopy(model).float(), torch.float32)
    step, wrong = STEP[precision], 0
    generator = torch.Generator().manual_seed(0)
    for batch, batch_labels in _batches(images.to(precision), labels, batch_size):
        _, gradient = input_gradient(model, batch, batch_labels, margin)
        apart = []
        for _ in range(DIRECTIONS):
            bits = torch.randint(0, 2, batch.shape, generator=generator)
            direction = (bits * 2 - 1).to(batch)
            with torch.no_grad():
                there, back = (
                    margin(model(batch + sign * step * direction).to(precision), batch_labels) for sign in (1, -1)
                )
            found = (there - back) / (2 * step)
            claimed = (gradient * direction).flatten(1).sum(1)
            larger = torch.maximum(found.abs(), claimed.abs()).clamp_min(torch.finfo(precision).tiny)
            apart.append((found - claimed).abs() / larger)
        wrong += int((torch.stack(apart).median(0).values > DISAGREEMENT).sum())
    return wrong / len(labels)


@true_float32()
def has_shattered_gradient(
    model: nn.Module, images: Tensor, labels: Tensor, norm: Norm, epsilon: float, batch_size: int = 256
) -> Tensor:
    """Return which images' gradient has no more to do with that at random points a tenth of ε away.

    Gradients of the margin are compared, by their cosine. A step of an attack is about as long, so that it leads
    nowhere, although every derivative is right ("shattered gradients": Athalye, Carlini & Wagner 2018, Section 3). An
    image without a gradient here or there does not count: it has an alarm of its own.

    Parameters
    ----------
    model
        In evaluation mode.
    images, labels
        Shapes (N, ...) and (N,), on the model's device, N ≥ 1.
    norm, epsilon
        The ball.
    batch_size
        Most images at once.

    Returns
    -------
    bool on the CPU, shape (N,).
    """
    shattered, begin = [], 0
    for batch, batch_labels in _batches(images, labels, batch_size):
        indices, begin = range(begin, begin + len(batch)), begin + len(batch)
        _, here = input_gradient(model, batch, batch_labels, margin)
        cosines, without = [], (here.flatten(1) == 0).all(1)
        for neighbour in range(NEIGHBOURS):
            restarts = [neighbour] * len(batch)
            noise = unit_ball_noise(norm, batch.shape[1:], seed=0, indices=list(indices), restarts=restarts)
            _, there = input_gradient(model, batch + NEARBY * epsilon * noise.to(batch), batch_labels, margin)
            without |= (there.flatten(1) == 0).all(1)
            cosines.append(functional.cosine_similarity(here.flatten(1), there.flatten(1)))
        shattered.append(((torch.stack(cosines).median(0).values < UNRELATED) & ~without).cpu())
    return torch.cat(shattered)


def _batches(images: Tensor, labels: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True)


def alarms(
    accuracy: Mapping[str, float],
    *,
    zero_gradients: float,
    wrong_gradients: float,
    shattered_gradients: float,
    black_box: float,
    noise: float,
    far: float,
    largest_class: float,
) -> list[Alarm]:
    """Return every alarm, whether it goes off or not.

    Parameters
    ----------
    accuracy
        Share of images that resist, by attack; ``fgsm`` and ``pgd``, both on the cross-entropy, are compared.
    zero_gradients
        Share of the correctly classified images without a gradient.
    wrong_gradients
        Share of them whose gradient is contradicted by differences.
    shattered_gradients
        Share of them whose gradient points elsewhere nearby.
    black_box
        Share of images that resist every attack by gradients, and not noise and attacks by queries.
    noise
        Share that resists uniform noise.
    far
        Share that resists the same PGD where the ball holds a point that all images share.
    largest_class
        Share of the most frequent class: no classifier resists more often there.
    """
    grey = "accuracy where every image can be made the same grey"
    return [
        Alarm(ZERO_GRADIENTS, zero_gradients, MOST_ZERO_GRADIENTS, "share of images without any gradient"),
        Alarm(
            WRONG_GRADIENTS, wrong_gradients, MOST_WRONG_GRADIENTS, "share of images where differences contradict it"
        ),
        Alarm(
            SHATTERED_GRADIENTS,
            shattered_gradients,
            MOST_SHATTERED_GRADIENTS,
            "share of images whose gradient has another direction at random points a tenth of ε away",
        ),
        Alarm(ONE_STEP, accuracy["pgd"], accuracy["fgsm"], "accuracy under PGD against that under FGSM"),
        Alarm(NOISE, accuracy["pgd"], noise, "accuracy under PGD against that under uniform noise"),
        Alarm(BEYOND_REASON, far, largest_class, grey),
        Alarm(
            BLACK_BOX,
            black_box,
            MOST_BY_BLACK_BOX,
            "share of images that only attacks without gradients break",
        ),
    ]

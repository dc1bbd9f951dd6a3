"""StAdv: each pixel is taken from a little beside its place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.attacks.perceptual.declared import Batch, DeclaredAttack
from robustrepro.attacks.perceptual.displacements import search, within
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.spec.attacks import Form, StAdv

LEARNING_RATE = 0.01
PENALTY = 0.0025
"""Divided by the bound: 0.05 at the reference's bound of 0.05, which is τ of Xiao et al."""


def stadv(
    model: nn.Module, images: Tensor, labels: Tensor, *, bound: float, steps: int, form: Form = "faithful"
) -> Perturbed:
    """Move the places that pixels are taken from, within a bound, until the image is misclassified.

    The faithful form is the reference. The corrected form has no penalty on the roughness of displacements, which and
    not the bound limits the reference, and keeps each image's best iterate, where the reference ends with the last and
    loses images that it had. In both, what is beyond the image is black, and the places stay in the image; the centres
    of the outermost pixels can move outwards by half a pixel at most.

    Parameters
    ----------
    model
        Maps images to logits (N, classes), each row from its own image only; in evaluation mode.
    images
        Shape (N, channels, H, W), in [0, 1].
    labels
        int64, shape (N,).
    bound
        How far a place may move in x and in y, where the image has sides of length 2: 0.05 are 0.8 of 32 pixels.
    steps
        Of Adam.
    form
        ``"faithful"`` ends with the last iterate, ``"corrected"`` with the first misclassified one, or else with that
        of the largest margin.

    Returns
    -------
    The size is the largest displacement in x or y.

    References
    ----------
    Xiao, Zhu, Li, He, Liu & Song, "Spatially Transformed Adversarial Examples", 2018, Section 3; as in the code of
    Laidlaw & Feizi (recoloradv 0.0.1), with the settings of Laidlaw, Singla & Feizi, "Perceptual Adversarial
    Robustness", 2021.
    """
    displaced = _Displaced.of(images, bound)
    return search(
        model,
        labels,
        images.new_zeros(len(images), *displaced.places.shape),
        displaced,
        steps=steps,
        learning_rate=LEARNING_RATE,
        penalty=PENALTY / bound if bound else 0.0,
        form=form,
    )


@dataclass(frozen=True, eq=False)
class _Displaced:
    """Images whose pixels come from elsewhere.

    Attributes
    ----------
    images
        Shape (N, channels, H, W).
    places
        The centres of the pixels, shape (H, W, 2).
    lowest, highest
        Displacements within the bound that do not leave the image, shape (H, W, 2).
    """

    images: Tensor
    places: Tensor
    lowest: Tensor
    highest: Tensor

    @classmethod
    def of(cls, images: Tensor, bound: float) -> _Displaced:
        places = pixel_centres(images)
        return cls(images, places, *within(places, bound, -1.0, 1.0))

    def project(self, displacements: Tensor) -> Tensor:
        return displacements.clamp(self.lowest, self.highest)

    def render(self, displacements: Tensor, rows: Tensor) -> Tensor:
        return warped(self.images[rows], self.places + displacements)


def pixel_centres(images: Tensor) -> Tensor:
    """Return x and y of the pixels of images (N, channels, H, W), which reach from -1 to 1; shape (H, W, 2)."""
    down, right = (
        (2 * torch.arange(count, device=images.device, dtype=images.dtype) + 1) / count - 1
        for count in images.shape[-2:]
    )
    return torch.stack(torch.meshgrid(right, down, indexing="xy"), -1)


def warped(images: Tensor, places: Tensor) -> Tensor:
    """Return the colours at some places of images, interpolated bilinearly; beyond the image it is black.

    Parameters
    ----------
    images
        Shape (N, channels, H, W).
    places
        x and y, where the image reaches from -1 to 1; shape (N, H, W, 2).
    """
    return functional.grid_sample(images, places, mode="bilinear", padding_mode="zeros", align_corners=False)


def _perturb(spec: StAdv, batch: Batch) -> Perturbed:
    return stadv(batch.model, batch.images, batch.labels, bound=spec.bound, steps=spec.steps, form=spec.form)


declared = DeclaredAttack(_perturb)

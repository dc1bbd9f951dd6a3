"""ReColorAdv: each colour of an image becomes another, the same one wherever it occurs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.attacks.perceptual.declared import Batch, DeclaredAttack
from robustrepro.attacks.perceptual.displacements import search, within
from robustrepro.attacks.perceptual.luv import luv_of, rgb_of
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.spec.attacks import Form, ReColorAdv

VERTICES = (16, 32, 32)
"""Of the grid of colours, along L*, u* and v*."""
LEARNING_RATE = 0.001
PENALTY = 0.0036
"""Divided by the bound: 0.06 at the reference's bound of 0.06."""


def recoloradv(
    model: nn.Module, images: Tensor, labels: Tensor, *, bound: float, steps: int, form: Form = "faithful"
) -> Perturbed:
    """Move the vertices of a grid of colours, within a bound, until the image is misclassified.

    A vertex is a colour, in scaled L*u*v*, and its displacement says what becomes of it. Colours between vertices are
    interpolated.

    The faithful form brings all vertices into sRGB's gamut before each pass, and takes a colour beyond the grid (some
    saturated ones) for the nearest on its border: even without a step, pixels change by up to 0.2, and the size
    is the bound. The corrected form does neither. It gives a colour beyond the grid the displacement of the border, and
    adds to each pixel how much its rendered colour changes, so that no displacement is no change. It has no penalty on
    the roughness of displacements, which and not the bound limits the reference, and keeps each image's best iterate.

    Parameters
    ----------
    model
        Maps images to logits (N, classes), each row from its own image only; in evaluation mode.
    images
        Shape (N, 3, H, W), sRGB in [0, 1].
    labels
        int64, shape (N,).
    bound
        How far a vertex may move in each coordinate of the scaled space: 0.06 are 6 of L*, and 12 of u* and of v*.
    steps
        Of Adam.
    form
        ``"faithful"`` is the reference and ends with the last iterate; ``"corrected"`` is as above, and ends with the
        first misclassified iterate, or else with that of the largest margin.

    Returns
    -------
    The size is the largest displacement of a vertex in any coordinate.

    Raises
    ------
    ValueError
        If the images have not three channels.

    References
    ----------
    Laidlaw & Feizi, "Functional Adversarial Attacks", 2019, and its code (recoloradv 0.0.1), with the settings of
    Laidlaw, Singla & Feizi, "Perceptual Adversarial Robustness", 2021.
    """
    if images.shape[1] != 3:
        raise ValueError(f"ReColorAdv changes colours, of three channels; the images have {images.shape[1]}")
    recoloured = _Mapped.of(images, bound) if form == "faithful" else _Shifted.of(images, bound)
    return search(
        model,
        labels,
        images.new_zeros(len(images), *VERTICES, 3),
        recoloured,
        steps=steps,
        learning_rate=LEARNING_RATE,
        penalty=PENALTY / bound if bound else 0.0,
        form=form,
    )


@dataclass(frozen=True, eq=False)
class _Mapped:
    """Colours are read off the displaced grid: the faithful form.

    Attributes
    ----------
    colours
        Of the pixels, shape (N, H, W, 3).
    vertices
        Shape (*VERTICES, 3).
    bound
        Of the displacements.
    """

    colours: Tensor
    vertices: Tensor
    bound: float

    @classmethod
    def of(cls, images: Tensor, bound: float) -> _Mapped:
        return cls(luv_of(images.movedim(1, -1)), colour_grid(images), bound)

    def project(self, displacements: Tensor) -> Tensor:
        in_gamut = luv_of(rgb_of((self.vertices + displacements).clamp(0, 1)))
        return (in_gamut - self.vertices).clamp(-self.bound, self.bound)

    def render(self, displacements: Tensor, rows: Tensor) -> Tensor:
        return rgb_of(interpolated(self.vertices + displacements, self.colours[rows])).movedim(-1, 1)


@dataclass(frozen=True, eq=False)
class _Shifted:
    """Colours are shifted by displacements read off the grid: the corrected form.

    Attributes
    ----------
    images
        Shape (N, 3, H, W).
    colours, rendered
        Of the pixels, shape (N, H, W, 3): in L*u*v*, and from there to sRGB again.
    lowest, highest
        Displacements within the bound that do not leave the grid, shape (*VERTICES, 3).
    """

    images: Tensor
    colours: Tensor
    rendered: Tensor
    lowest: Tensor
    highest: Tensor

    @classmethod
    def of(cls, images: Tensor, bound: float) -> _Shifted:
        colours = luv_of(images.movedim(1, -1))
        return cls(images, colours, rgb_of(colours), *within(colour_grid(images), bound, 0.0, 1.0))

    def project(self, displacements: Tensor) -> Tensor:
        return displacements.clamp(self.lowest, self.highest)

    def render(self, displacements: Tensor, rows: Tensor) -> Tensor:
        colours = self.colours[rows]
        change = rgb_of(colours + interpolated(displacements, colours)) - self.rendered[rows]
        return (self.images[rows] + change.movedim(-1, 1)).clamp(0, 1)


def colour_grid(images: Tensor) -> Tensor:
    """Return the grid's vertices in the precision and on the device of images, shape (*VERTICES, 3)."""
    axes = [torch.linspace(0, 1, count, device=images.device, dtype=images.dtype) for count in VERTICES]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def interpolated(values: Tensor, colours: Tensor) -> Tensor:
    """Return the values at some colours, interpolated trilinearly; beyond the grid, those on its border.

    Parameters
    ----------
    values
        At the vertices, shape (N, L, U, V, K).
    colours
        In scaled L*u*v*, shape (N, H, W, 3).

    Returns
    -------
    Shape (N, H, W, K).
    """
    # The coordinates of `grid_sample` are in the reverse order of the dimensions, from -1 to 1.
    places = (2 * colours - 1).flip(-1)[:, None]
    sampled = functional.grid_sample(
        values.movedim(-1, 1), places, mode="bilinear", padding_mode="border", align_corners=True
    )
    return sampled[:, :, 0].movedim(1, -1)


def _perturb(spec: ReColorAdv, batch: Batch) -> Perturbed:
    return recoloradv(batch.model, batch.images, batch.labels, bound=spec.bound, steps=spec.steps, form=spec.form)


declared = DeclaredAttack(_perturb)

"""The ε-balls an adversary may move in: projection, steepest direction, random start, and the check of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import Norm

Box = tuple[float, float] | None
"""The range of valid pixels, or None where a paper does not clip."""

UNIT_BOX: Box = (0.0, 1.0)


class OutsideThreatModelError(RuntimeError):
    """An attack returned a point that its adversary may not reach: a fault of the attack, never a result."""


def norm_of(difference: Tensor, norm: Norm) -> Tensor:
    """Return each example's ℓ∞ or ℓ2 norm, shape (N,), of differences of shape (N, ...)."""
    # Over all dimensions at once, since flattening a channels-last batch would copy it.
    own = tuple(range(1, difference.ndim))
    return difference.abs().amax(own) if norm == "linf" else torch.linalg.vector_norm(difference, dim=own)


@overload
def per_example(values: Tensor, like: Tensor) -> Tensor: ...


@overload
def per_example(values: float, like: Tensor) -> float: ...


def per_example(values: float | Tensor, like: Tensor) -> float | Tensor:
    """Reshape one value an example, shape (N,), so that it broadcasts over examples of shape (N, ...).

    A number, the same for all, is returned as it is.
    """
    return values.reshape(-1, *[1] * (like.ndim - 1)) if isinstance(values, Tensor) else values


@dataclass(frozen=True)
class ThreatModel:
    """All points within ``epsilon`` of the image in ``norm``, and inside the box of valid pixels.

    Attributes
    ----------
    norm
        ``"linf"`` or ``"l2"``.
    epsilon
        Radius, in units of the pixel range: one for all examples, or one each, shape (N,).
    box
        Lowest and highest valid pixel; None switches clipping off.
    """

    norm: Norm
    epsilon: float | Tensor
    box: Box = UNIT_BOX

    def project(self, points: Tensor, origins: Tensor) -> Tensor:
        """Return the points moved into the ball around their origins, then into the box.

        For ℓ∞ this is the projection onto the intersection. For ℓ2 it is the usual composition: clipping
        brings a point no farther from an origin inside the box, so the result lies in both sets, but need
        not be the nearest such point. A point already inside is returned bit for bit.

        Parameters
        ----------
        points, origins
            Shape (N, ...); every origin lies inside the box.
        """
        if self.norm == "linf":
            epsilon = per_example(self.epsilon, points)
            inside = torch.clamp(points, origins - epsilon, origins + epsilon)
        else:
            difference = points - origins
            length = norm_of(difference, "l2")
            factor = self.epsilon / length.clamp_min(torch.finfo(points.dtype).tiny)
            shrunk = origins + difference * per_example(factor, points)
            inside = torch.where(per_example(length <= self.epsilon, points), points, shrunk)
        return inside if self.box is None else inside.clamp(*self.box)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the direction of unit norm that ascends fastest: sign for ℓ∞, the normalised gradient for ℓ2.

        An example whose gradient is exactly zero gets a zero direction. Gradients are divided by their
        largest entry before they are squared: those of a confident model are far below 1e-20, and the sum
        of their squares would vanish in float32.
        """
        if self.norm == "linf":
            return gradient.sign()
        tiny = torch.finfo(gradient.dtype).tiny
        scaled = gradient / per_example(norm_of(gradient, "linf"), gradient).clamp_min(tiny)
        return scaled / per_example(norm_of(scaled, "l2"), gradient).clamp_min(tiny)

    def random_start(self, origins: Tensor, noise: Tensor) -> Tensor:
        """Return the starting points for unit-ball noise (see `unit_ball_noise`), clipped to the box."""
        return self.project(origins + per_example(self.epsilon, noise) * noise, origins)

    def check(self, points: Tensor, origins: Tensor, attack: str) -> None:
        """Raise unless every point lies in the ball and in the box.

        Allowed are rounding errors only: each coordinate may be off by four units in the last place of the
        largest coordinate, and an ℓ2 distance by √d times as much. Distances are computed in float64.

        Raises
        ------
        OutsideThreatModelError
            Naming the attack, ε and the worst violation. NaN counts as a violation.
        """
        wide = points.double()
        epsilon = torch.as_tensor(self.epsilon, dtype=torch.float64, device=points.device).expand(len(points))
        rounding = 4 * torch.finfo(points.dtype).eps * (origins.abs().max().clamp_min(1.0).double() + epsilon)
        allowed = rounding * (1.0 if self.norm == "linf" else points[0].numel() ** 0.5)
        beyond = norm_of(wide - origins.double(), self.norm) - epsilon
        if (worst := _worst_violation(beyond, allowed)) is not None:
            found = f"a point {beyond[worst]:.3g} outside the {self.norm} ball of epsilon {epsilon[worst]:g}"
            explained = f"(rounding explains {allowed[worst]:.1g})"
            raise OutsideThreatModelError(f"attack '{attack}' returned {found} {explained}")
        if self.box is None:
            return
        low, high = self.box
        beyond = torch.maximum(low - wide, wide - high).amax(tuple(range(1, wide.ndim)))
        if (worst := _worst_violation(beyond, rounding)) is not None:
            found = f"a pixel {beyond[worst]:.3g} outside the box [{low:g}, {high:g}] at epsilon {epsilon[worst]:g}"
            explained = f"(rounding explains {rounding[worst]:.1g})"
            raise OutsideThreatModelError(f"attack '{attack}' returned {found} {explained}")


def _worst_violation(beyond: Tensor, allowed: Tensor) -> int | None:
    """Return the example that lies farthest beyond what is allowed, both shape (N,); None where none does."""
    worst = int((beyond - allowed).argmax())
    return None if bool(beyond[worst] <= allowed[worst]) else worst


def unit_ball_noise(
    norm: Norm, shape: Sequence[int], *, seed: int, indices: Sequence[int], restarts: Sequence[int]
) -> Tensor:
    """Draw one point uniformly from the unit ball for each (image, restart).

    Each point depends on the seed, the image's index in its data set and the restart only, not on the batch
    it is drawn in; no global random state is read or written.

    Parameters
    ----------
    norm
        ``"linf"`` for the cube [-1, 1]^d, ``"l2"`` for the Euclidean ball.
    shape
        Shape of one image.
    seed
        The seed that the user sees.
    indices, restarts
        Index of each image in its data set, and which restart the noise is for; equally long.

    Returns
    -------
    float32 tensor on the CPU, shape (N, *shape).
    """
    noise = torch.empty((len(indices), *shape))
    for row, index, restart in zip(noise, indices, restarts, strict=True):
        generator = torch.Generator().manual_seed(derive_seed(seed, "attack start", index, restart))
        if norm == "linf":
            row.uniform_(-1.0, 1.0, generator=generator)
        else:
            # A Gaussian's direction is uniform; the volume within radius r grows as r^d.
            radius = torch.rand((), generator=generator) ** (1.0 / row.numel())
            row.normal_(generator=generator)
            row.mul_(radius / row.norm())
    return noise


def box_of(examples: Tensor) -> Box:
    """Return the range of valid pixels of images, shape (N, C, H, W); points of the plane have none."""
    return UNIT_BOX if examples.dim() == 4 else None

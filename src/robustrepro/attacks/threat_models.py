"""The ε-balls an adversary may move in: projection, steepest direction, random start, and the check of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    flat = difference.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


def per_example(values: Tensor, like: Tensor) -> Tensor:
    """Reshape one value an example, shape (N,), so that it broadcasts over examples of shape (N, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class ThreatModel:
    """All points within ``epsilon`` of the image in ``norm``, and inside the box of valid pixels.

    Attributes
    ----------
    norm
        ``"linf"`` or ``"l2"``.
    epsilon
        Radius, in units of the pixel range.
    box
        Lowest and highest valid pixel; None switches clipping off.
    """

    norm: Norm
    epsilon: float
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
            inside = torch.clamp(points, origins - self.epsilon, origins + self.epsilon)
        else:
            difference = points - origins
            length = per_example(norm_of(difference, "l2"), points)
            shrunk = origins + difference * (self.epsilon / length.clamp_min(torch.finfo(points.dtype).tiny))
            inside = torch.where(length <= self.epsilon, points, shrunk)
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
        return self.project(origins + self.epsilon * noise, origins)

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
        scale = max(1.0, float(origins.abs().max()))
        rounding = 4 * torch.finfo(points.dtype).eps * (scale + self.epsilon)
        allowed = rounding * (1.0 if self.norm == "linf" else points[0].numel() ** 0.5)
        excess = float((norm_of(wide - origins.double(), self.norm) - self.epsilon).max())
        if not excess <= allowed:
            found = f"a point {excess:.3g} outside the {self.norm} ball of epsilon {self.epsilon:g}"
            raise OutsideThreatModelError(f"attack '{attack}' returned {found} (rounding explains {allowed:.1g})")
        if self.box is None:
            return
        low, high = self.box
        excess = float(torch.maximum(low - wide, wide - high).max())
        if not excess <= rounding:
            found = f"a pixel {excess:.3g} outside the box [{low:g}, {high:g}] at epsilon {self.epsilon:g}"
            raise OutsideThreatModelError(f"attack '{attack}' returned {found} (rounding explains {rounding:.1g})")


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

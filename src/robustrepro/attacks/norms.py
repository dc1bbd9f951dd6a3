"""The norms of threat models, each of four functions: length, projection, steepest ascent, uniform noise.

Examples stand along the first dimension; a norm is over all others at once, since flattening a channels-last batch
would copy it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, overload

import torch
from torch import Tensor

from robustrepro.spec.attacks import Norm


@overload
def per_example(values: Tensor, like: Tensor) -> Tensor: ...


@overload
def per_example(values: float, like: Tensor) -> float: ...


def per_example(values: float | Tensor, like: Tensor) -> float | Tensor:
    """Reshape one value per example, shape (N,), so that it broadcasts over examples of shape (N, ...).

    A number, the same for all examples, is returned as it is.
    """
    return values.reshape(-1, *[1] * (like.ndim - 1)) if isinstance(values, Tensor) else values


def _features(values: Tensor) -> tuple[int, ...]:
    """Return the dimensions of one example."""
    return tuple(range(1, values.ndim))


class LpNorm(Protocol):
    """A norm, as an attack needs it."""

    order: float
    """p of ℓp."""

    def length(self, difference: Tensor) -> Tensor:
        """Return each example's norm, shape (N,), of differences of shape (N, ...)."""

    def project(self, points: Tensor, origins: Tensor, epsilon: float | Tensor) -> Tensor:
        """Return the point of each ball that is nearest in ℓ2.

        Parameters
        ----------
        points, origins
            Shape (N, ...).
        epsilon
            Radius: one for all examples, or one per example, shape (N,).

        Returns
        -------
        Shape (N, ...); a point already inside comes back bit for bit.
        """

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the direction d of unit norm with the largest ⟨gradient, d⟩; zero where the gradient is zero."""

    def fill_with_noise(self, example: Tensor, generator: torch.Generator) -> None:
        """Overwrite one example, shape (...), with a uniformly random point of the unit ball."""


class LInf:
    """The maximum norm: its ball is a cube, and steepest ascent is along the sign of the gradient."""

    order = float("inf")

    def length(self, difference: Tensor) -> Tensor:
        """Return the largest absolute coordinate."""
        return difference.abs().amax(_features(difference))

    def project(self, points: Tensor, origins: Tensor, epsilon: float | Tensor) -> Tensor:
        """Clamp every coordinate."""
        epsilon = per_example(epsilon, points)
        return torch.clamp(points, origins - epsilon, origins + epsilon)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the sign."""
        return gradient.sign()

    def fill_with_noise(self, example: Tensor, generator: torch.Generator) -> None:
        """Draw every coordinate from [-1, 1]."""
        example.uniform_(-1.0, 1.0, generator=generator)


class L2:
    """The Euclidean norm: steepest ascent is along the gradient."""

    order = 2.0

    def length(self, difference: Tensor) -> Tensor:
        """Return the root of the sum of squares."""
        length: Tensor = torch.linalg.vector_norm(difference, dim=_features(difference))
        return length

    def project(self, points: Tensor, origins: Tensor, epsilon: float | Tensor) -> Tensor:
        """Shorten the difference."""
        difference = points - origins
        length = self.length(difference)
        factor = epsilon / length.clamp_min(torch.finfo(points.dtype).tiny)
        shortened = origins + difference * per_example(factor, points)
        return torch.where(per_example(length <= epsilon, points), points, shortened)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the normalised gradient.

        Gradients are divided by their largest entry before they are squared: those of a confident model are far below
        1e-20, and the sum of their squares would vanish in float32.
        """
        tiny = torch.finfo(gradient.dtype).tiny
        scaled = gradient / per_example(gradient.abs().amax(_features(gradient)), gradient).clamp_min(tiny)
        return scaled / per_example(self.length(scaled), gradient).clamp_min(tiny)

    def fill_with_noise(self, example: Tensor, generator: torch.Generator) -> None:
        """Draw a Gaussian, whose direction is uniform, and a radius: the volume within radius r grows as r^d."""
        radius = torch.rand((), generator=generator) ** (1.0 / example.numel())
        example.normal_(generator=generator)
        example.mul_(radius / example.norm())


class L1:
    """The sum norm: steepest ascent moves a single coordinate."""

    order = 1.0

    def length(self, difference: Tensor) -> Tensor:
        """Return the sum of the absolute coordinates."""
        return difference.abs().sum(_features(difference))

    def project(self, points: Tensor, origins: Tensor, epsilon: float | Tensor) -> Tensor:
        """Move all coordinates of the difference towards 0 by one threshold θ, those below it to 0.

        With the magnitudes in decreasing order, θ = (Σ_{j≤ρ} u_j − ε) / ρ for the largest ρ with u_ρ above that value.

        References
        ----------
        Duchi, Shalev-Shwartz, Singer & Chandra, "Efficient Projections onto the ℓ1-Ball for Learning in High
        Dimensions", 2008, Figure 1.
        """
        difference = points - origins
        magnitude = difference.abs()
        outside = magnitude.sum(_features(points)) > epsilon
        if not bool(outside.any()):
            return points
        radius = torch.as_tensor(epsilon, dtype=points.dtype, device=points.device).reshape(-1, 1)
        decreasing = magnitude.flatten(1).sort(descending=True).values
        counts = torch.arange(1, decreasing.shape[1] + 1, dtype=points.dtype, device=points.device)
        thresholds = (decreasing.cumsum(1) - radius) / counts
        # The condition holds for the first coordinate (ε > 0) and then up to ρ: the last to meet it is as many as do.
        last = (decreasing > thresholds).sum(1, keepdim=True).clamp_min(1) - 1
        threshold = per_example(thresholds.gather(1, last).squeeze(1), points)
        nearest = origins + difference.sign() * (magnitude - threshold).clamp_min(0)
        return torch.where(per_example(outside, points), nearest, points)

    def steepest(self, gradient: Tensor) -> Tensor:
        """Return the sign of the entry of largest magnitude, the first of several, and 0 elsewhere.

        References
        ----------
        Shaham, Yamada & Negahban, "Understanding Adversarial Training: Increasing Local Stability of Supervised Models
        through Robust Optimization", 2018, Section 4.1.
        """
        flat = gradient.flatten(1)
        largest = flat.abs().argmax(1, keepdim=True)
        direction = torch.zeros_like(flat).scatter(1, largest, flat.gather(1, largest).sign())
        return direction.reshape(gradient.shape)

    def fill_with_noise(self, example: Tensor, generator: torch.Generator) -> None:
        """Draw magnitudes uniformly from the solid simplex, as shares of d + 1 exponentials, and fair signs."""
        shares = torch.empty(example.numel() + 1).exponential_(generator=generator)
        signs = torch.randint(0, 2, (example.numel(),), generator=generator) * 2 - 1
        example.copy_((signs * shares[:-1] / shares.sum()).reshape(example.shape))


NORMS: Mapping[Norm, LpNorm] = {"linf": LInf(), "l2": L2(), "l1": L1()}
"""By the names that attacks declare."""

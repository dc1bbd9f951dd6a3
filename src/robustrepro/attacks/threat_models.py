"""The ε-balls an adversary may move in: projection, steepest direction, random start, and the check of a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from robustrepro.attacks.norms import NORMS, per_example
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import Norm

Box = tuple[float, float] | None
"""The range of valid pixels, or None where a paper does not clip."""

UNIT_BOX: Box = (0.0, 1.0)


class OutsideThreatModelError(RuntimeError):
    """An attack returned a point that its adversary may not reach: a fault of the attack, never a result."""


@dataclass(frozen=True)
class ThreatModel:
    """All points within ``epsilon`` of the image in ``norm``, and inside the box of valid pixels.

    Attributes
    ----------
    norm
        ``"linf"``, ``"l2"`` or ``"l1"``.
    epsilon
        Radius, in units of the pixel range: one for all examples, or one per example, shape (N,).
    box
        Lowest and highest valid pixel; None switches clipping off.
    """

    norm: Norm
    epsilon: float | Tensor
    box: Box = UNIT_BOX

    def project(self, points: Tensor, origins: Tensor) -> Tensor:
        """Return the points moved into the ball around their origins, then into the box.

        For ℓ∞ this is the projection onto the intersection. For ℓ2 and ℓ1 it is the usual composition: clipping
        brings no coordinate farther from an origin inside the box, so the result lies in both sets, but need not be
        the nearest such point. A point already inside is returned bit for bit.

        Parameters
        ----------
        points, origins
            Shape (N, ...); every origin lies inside the box.
        """
        inside = NORMS[self.norm].project(points, origins, self.epsilon)
        return inside if self.box is None else inside.clamp(*self.box)

    def direction(self, gradient: Tensor) -> Tensor:
        """Return the direction of unit norm that ascends fastest (see `robustrepro.attacks.norms`)."""
        return NORMS[self.norm].steepest(gradient)

    def random_start(self, origins: Tensor, noise: Tensor) -> Tensor:
        """Return the starting points for unit-ball noise (see `unit_ball_noise`), clipped to the box."""
        return self.project(origins + per_example(self.epsilon, noise) * noise, origins)

    def check(self, points: Tensor, origins: Tensor, attack: str) -> Tensor:
        """Return ``points − origins`` in float64, or raise unless every point lies in the ball and in the box.

        Allowed are rounding errors only: each coordinate may be off by four units in the last place of the
        largest coordinate, and an ℓp distance by d^(1/p) times as much: √d for ℓ2, d for ℓ1.

        Raises
        ------
        OutsideThreatModelError
            Naming the attack, ε and the worst violation. NaN counts as a violation.
        """
        wide, norm = points.double(), NORMS[self.norm]
        difference = wide - origins.double()
        epsilon = torch.as_tensor(self.epsilon, dtype=torch.float64, device=points.device).expand(len(points))
        rounding = 4 * torch.finfo(points.dtype).eps * (origins.abs().max().clamp_min(1.0).double() + epsilon)
        beyond = norm.length(difference) - epsilon
        allowed = rounding * points[0].numel() ** (1.0 / norm.order)
        if not bool((beyond <= allowed).all()):
            where = f"outside the {self.norm} ball of"
            raise _violation(attack, "point", where, beyond, allowed, epsilon)
        if self.box is not None and not inside_box(wide, self.box):
            low, high = self.box
            beyond = torch.maximum(low - wide, wide - high).amax(tuple(range(1, wide.ndim)))
            if not bool((beyond <= rounding).all()):
                where = f"outside the box [{low:g}, {high:g}] at"
                raise _violation(attack, "pixel", where, beyond, rounding, epsilon)
        return difference


def inside_box(points: Tensor, box: tuple[float, float]) -> bool:
    """Return whether every coordinate lies in the box exactly; NaN does not."""
    lowest, highest = points.aminmax()
    return bool((lowest >= box[0]) & (highest <= box[1]))


def _violation(
    attack: str, what: str, where: str, beyond: Tensor, allowed: Tensor, epsilon: Tensor
) -> OutsideThreatModelError:
    """Return the error that names the example farthest beyond what is allowed; tensors of shape (N,)."""
    worst = int((beyond - allowed).argmax())
    return OutsideThreatModelError(
        f"attack '{attack}' returned a {what} {beyond[worst]:.3g} {where} epsilon {epsilon[worst]:g} "
        f"(rounding explains {allowed[worst]:.1g})"
    )


def unit_ball_noise(
    norm: Norm, shape: Sequence[int], *, seed: int, indices: Sequence[int], restarts: Sequence[int]
) -> Tensor:
    """Draw one point uniformly from the unit ball for each (image, restart).

    Each point depends on the seed, the image's index in its data set and the restart only, not on the batch
    it is drawn in; no global random state is read or written.

    Parameters
    ----------
    norm
        Norm of the ball.
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
    noise, generator = torch.empty((len(indices), *shape)), torch.Generator()
    for example, index, restart in zip(noise, indices, restarts, strict=True):
        generator.manual_seed(derive_seed(seed, "attack start", index, restart))
        NORMS[norm].fill_with_noise(example, generator)
    return noise

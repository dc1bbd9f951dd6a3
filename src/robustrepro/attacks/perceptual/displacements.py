"""The search that StAdv and ReColorAdv share: Adam on the displacements of a grid that says what becomes of an image.

The reference of both is the code of Laidlaw & Feizi (2019), as Laidlaw, Singla & Feizi (2021) ran it: the margin is
raised against a penalty for displacements that differ from their neighbours', and the last iterate is returned. That
is the ``faithful`` form. It gives successes away: the penalty can pull an image back that was misclassified before, and
limits the search more than the bound does. The ``corrected`` form has no penalty and keeps each image's best iterate.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import weights_frozen
from robustrepro.attacks.losses import margin
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.spec.attacks import Form

SMOOTHING = 1e-10
"""Added to squared lengths of differences, so that the root has a gradient where neighbours move alike."""
DECAYS, STABILISER = (0.9, 0.999), 1e-8
"""Of Adam."""


class Transformation(Protocol):
    """What displacements, shape (M, *grid, coordinates), do to images; zeros are where the search starts."""

    def project(self, displacements: Tensor) -> Tensor:
        """Return displacements within the bound."""

    def render(self, displacements: Tensor, rows: Tensor) -> Tensor:
        """Return what becomes of the images ``rows``, int64, shape (M,)."""


def search(
    model: nn.Module,
    labels: Tensor,
    start: Tensor,
    transformation: Transformation,
    *,
    steps: int,
    learning_rate: float,
    penalty: float,
    form: Form,
) -> Perturbed:
    """Return the images that a search ends with, and the largest displacement of each in any coordinate.

    Maximised is max_{i≠y} Z_i − Z_y, without a cap. Displacements are projected before they are rendered, and Adam's
    moments do not take notice.

    Parameters
    ----------
    model
        Maps images to logits, each row from its own image only; no gradient of its weights is computed.
    labels
        int64, shape (N,).
    start
        Zeros, shape (N, *grid, coordinates), on the device and in the precision of the search.
    transformation
        What displacements do to the N images.
    steps, learning_rate
        Of Adam.
    penalty
        Weight of the roughness that is subtracted from the margin; of the faithful form only.
    form
        ``"faithful"`` returns the last iterate, ``"corrected"`` the first that is misclassified, or else that of the
        largest margin.
    """
    everyone = torch.arange(len(labels), device=start.device)
    ascent = _Ascent(model, labels, transformation, learning_rate, penalty if form == "faithful" else 0.0)
    with weights_frozen(model):
        ends = ascent.last(start, everyone, steps) if form == "faithful" else ascent.best(start, everyone, steps)
    with torch.no_grad():
        images = transformation.render(ends, everyone)
    return Perturbed(images, ends.abs().flatten(1).amax(1))


class _Ascent:
    """Adam on displacements of some images, which do not interact."""

    def __init__(
        self, model: nn.Module, labels: Tensor, transformation: Transformation, learning_rate: float, penalty: float
    ) -> None:
        self._model, self._labels, self._transformation = model, labels, transformation
        self._learning_rate, self._penalty = learning_rate, penalty

    def last(self, start: Tensor, rows: Tensor, steps: int) -> Tensor:
        """Return the displacements after all steps, projected."""
        displacements, adam = start, _Adam(start, self._learning_rate)
        for _ in range(steps):
            displacements = self._transformation.project(displacements)
            _, gradients = self._margins_with_gradients(displacements, rows)
            displacements = adam.ascended(displacements, gradients)
        return self._transformation.project(displacements)

    def best(self, start: Tensor, rows: Tensor, steps: int) -> Tensor:
        """Return each image's projected displacements of the largest margin; none is misclassified before its last.

        Images that are done leave the batch, unless the model is in training mode: batch normalisation would see
        others without them.
        """
        displacements, adam = start, _Adam(start, self._learning_rate)
        best, largest = start.clone(), start.new_full((len(rows),), -torch.inf)
        resisting = torch.ones_like(rows, dtype=torch.bool)
        for _ in range(steps + 1):
            displacements = self._transformation.project(displacements)
            margins, gradients = self._margins_with_gradients(displacements, rows)
            better = resisting & (margins > largest[rows])
            best[rows[better]], largest[rows[better]] = displacements[better], margins[better]
            resisting &= ~(margins > 0)
            if not bool(resisting.any()):
                break
            if not self._model.training:
                rows, displacements, gradients = rows[resisting], displacements[resisting], gradients[resisting]
                adam.keep(resisting)
                resisting = resisting[resisting]
            displacements = adam.ascended(displacements, gradients)
        return best

    def _margins_with_gradients(self, displacements: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return each image's margin, shape (M,), and the gradient of its objective, shaped as the displacements."""
        with torch.enable_grad():
            variable = displacements.detach().requires_grad_(True)
            margins = margin(self._model(self._transformation.render(variable, rows)), self._labels[rows])
            objective = margins.sum()
            if self._penalty:
                objective = objective - self._penalty * roughness(variable).sum()
            (gradients,) = torch.autograd.grad(objective, variable)
        return margins.detach(), gradients


class _Adam:
    """Adam without its own copy of the variable, so that rows can leave.

    References
    ----------
    Kingma & Ba, "Adam: a Method for Stochastic Optimization", 2015, Algorithm 1.
    """

    def __init__(self, like: Tensor, learning_rate: float) -> None:
        self._first, self._second = torch.zeros_like(like), torch.zeros_like(like)
        self._learning_rate, self._steps = learning_rate, 0

    def ascended(self, variable: Tensor, gradients: Tensor) -> Tensor:
        """Return the variable one step up the gradients."""
        self._steps += 1
        self._first.lerp_(gradients, 1 - DECAYS[0])
        self._second.mul_(DECAYS[1]).addcmul_(gradients, gradients, value=1 - DECAYS[1])
        first_share, second_share = (1 - decay**self._steps for decay in DECAYS)
        length = (self._second.sqrt() / second_share**0.5).add_(STABILISER)
        return variable.addcdiv(self._first, length, value=self._learning_rate / first_share)

    def keep(self, rows: Tensor) -> None:
        """Forget the rows that a mask leaves out."""
        self._first, self._second = self._first[rows], self._second[rows]


def within(points: Tensor, bound: float, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return the lowest and the highest displacements within the bound that keep points in [low, high]."""
    return (low - points).clamp(min=-bound), (high - points).clamp(max=bound)


def roughness(displacements: Tensor) -> Tensor:
    """Return how much displacements differ from their neighbours', shape (N,).

    It is the sum, over all points of the grid and the neighbours of each, of √(‖Δ‖² + 1e-10); so a pair of neighbours
    counts twice.

    Parameters
    ----------
    displacements
        Shape (N, *grid, coordinates).

    References
    ----------
    Xiao, Zhu, Li, He, Liu & Song, "Spatially Transformed Adversarial Examples", 2018, Section 3, the flow loss; Laidlaw
    & Feizi, "Functional Adversarial Attacks", 2019, for any grid.
    """
    total = displacements.new_zeros(len(displacements))
    for axis in range(1, displacements.ndim - 1):
        lengths = (displacements.diff(dim=axis).square().sum(-1) + SMOOTHING).sqrt()
        total = total + 2 * lengths.flatten(1).sum(1)
    return total

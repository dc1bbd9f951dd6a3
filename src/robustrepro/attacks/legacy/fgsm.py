"""FGSM with a line search: along the sign of one gradient, the shortest of a grid of steps that fools the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.legacy.nearest import Nearest, required
from robustrepro.attacks.minimal_distance import Proposals
from robustrepro.attacks.threat_models import Box
from robustrepro.losses import cross_entropy
from robustrepro.spec.attacks import LegacyFgsm

FINE = 20
"""A first success among so many steps is looked for once more, on a grid of so many up to it."""
AHEAD = 16
"""Up to so many steps of each image go through the model at once, when few images are left; a matter of speed alone."""


def search(model: nn.Module, images: Tensor, labels: Tensor, box: Box, spec: LegacyFgsm) -> Proposals:
    """Return each image's first misclassified point along the sign of its cross-entropy gradient.

    The lengths are ``steps`` multiples of 1 / ``steps`` of the box's range. If the first success is among the shortest
    twenty, or there is none at all, twenty lengths up to that success (or to the whole range) are tried as well. Every
    point is clipped to the box. Queries are those of a search that stops at the first success.

    Parameters
    ----------
    model, images, labels, box, spec
        See `robustrepro.attacks.minimal_distance.Search`.

    Raises
    ------
    UserError
        If there is no range of valid pixels.

    References
    ----------
    Goodfellow, Shlens & Szegedy, "Explaining and Harnessing Adversarial Examples", 2015; the search is that of
    ``GradientSignAttack`` in Foolbox 1.8.
    """
    low, high = required(box)
    _, gradient = input_gradient(model, images, labels, cross_entropy)
    line = _Line(model, images, labels, gradient.sign() * (high - low), (low, high))
    coarse = torch.arange(1, spec.steps + 1, dtype=torch.float64, device=images.device) / spec.steps
    everyone = torch.arange(len(images), device=images.device)
    first = line.first_success(everyone, coarse.expand(len(images), -1))
    again = ((first < FINE) | (first == spec.steps)).nonzero().flatten()
    reached = coarse[first[again].clamp(max=spec.steps - 1)]
    reached[first[again] == spec.steps] = 1.0
    fine = torch.arange(1, FINE + 1, dtype=torch.float64, device=images.device) / FINE
    line.first_success(again, reached[:, None] * fine)
    line.nearest.count(everyone)  # the gradient
    return line.nearest.proposals()


class _Line:
    """Points along one direction per image, and the nearest of them that the model misclassifies."""

    def __init__(
        self, model: nn.Module, images: Tensor, labels: Tensor, direction: Tensor, box: tuple[float, float]
    ) -> None:
        self._model, self._images, self._labels, self._direction, self._box = model, images, labels, direction, box
        self.nearest = Nearest(images)

    @torch.no_grad()
    def first_success(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Try lengths in their order, and return the place of the first whose point is misclassified.

        Parameters
        ----------
        rows
            Which images, int64, shape (M,).
        lengths
            Shape (M, K), float64; rounded to the images' precision.

        Returns
        -------
        int64, shape (M,); K where none is.
        """
        tries = lengths.shape[1]
        first = torch.full_like(rows, tries)
        standing = torch.arange(len(rows), device=rows.device)
        start = 0
        while start < tries and len(standing):
            # Never more rows than there are images.
            ahead = max(1, min(AHEAD, len(self._images) // len(standing)))
            images, several = rows[standing], lengths[standing, start : start + ahead].to(self._images.dtype)
            points = self._points(images, several)
            logits = self._model(points.flatten(0, 1))
            wrong = (logits.argmax(1).reshape(several.shape) != self._labels[images, None]).int()
            broken, place = wrong.amax(1).bool(), wrong.argmax(1)  # the first of equal ones
            self.nearest.count(images, torch.where(broken, place + 1, several.shape[1]))
            self.nearest.offer(images, points[torch.arange(len(points)), place], broken)
            first[standing[broken]] = start + place[broken]
            standing = standing[~broken]
            start += several.shape[1]
        return first

    def _points(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Return the points at K lengths of each of M images, shape (M, K, ...)."""
        shape = (*lengths.shape, *[1] * (self._images.ndim - 1))
        moved = self._images[rows, None] + lengths.reshape(shape) * self._direction[rows, None]
        return moved.clamp(*self._box)

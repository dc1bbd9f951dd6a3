"""Per image, the nearest misclassified point that an attack has come upon."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from robustrepro.attacks.minimal_distance import Proposals
from robustrepro.attacks.threat_models import Box
from robustrepro.errors import UserError


class Nearest:
    """The nearest misclassified points so far, in squared ℓ2 distance; of equally near ones the first.

    Parameters
    ----------
    images
        Shape (N, ...), floats.
    """

    def __init__(self, images: Tensor) -> None:
        self._images, self._points = images, images.clone()
        self._distances = torch.full((len(images),), torch.inf, device=images.device)
        self._queries = torch.zeros(len(images), dtype=torch.int64, device=images.device)

    def count(self, rows: Tensor, passes: int | Tensor = 1) -> None:
        """Count passes through the model that images took part in; ``rows`` are int64, on the images' device."""
        self._queries[rows] += passes

    def offer(self, rows: Tensor, points: Tensor, misclassified: Tensor) -> None:
        """Take up points that are misclassified and nearer than those before.

        Parameters
        ----------
        rows
            Which images they belong to, each at most once, int64, shape (M,).
        points
            Shape (M, ...).
        misclassified
            What the model says of them, bool, shape (M,).
        """
        distances = (points - self._images[rows]).flatten(1).square().sum(1).to(self._distances.dtype)
        nearer = misclassified & (distances < self._distances[rows])
        self._points[rows[nearer]] = points[nearer]
        self._distances[rows[nearer]] = distances[nearer]

    def proposals(self) -> Proposals:
        """Return the nearest points; where there is none, the image itself."""
        return Proposals(self._points, self._queries.cpu())


def required(box: Box) -> tuple[float, float]:
    """Return the range of valid pixels, which these attacks cannot do without.

    Raises
    ------
    UserError
        If there is none.
    """
    if box is None:
        raise UserError("the attacks of Foolbox 1.8 need a range of valid pixels, which these inputs have none of")
    return box


def above(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest logit of another class minus that of the label, and a mask of that class, for every row.

    Parameters
    ----------
    logits, labels
        Shapes (N, classes) and (N,).

    Returns
    -------
    Margins, shape (N,), and signs, shape (N, classes): 1 at the best other class, -1 at the label, 0 elsewhere, so that
    the margin's gradient is that of ``(signs * logits).sum(1)``.
    """
    own = functional.one_hot(labels, logits.shape[1]).bool()
    others = logits.masked_fill(own, -torch.inf)
    best, index = others.max(1)
    signs = torch.zeros_like(logits).scatter_(1, index[:, None], 1.0) - own.to(logits.dtype)
    return best - logits.gather(1, labels[:, None]).squeeze(1), signs

"""The ℓ2 attack of Carlini & Wagner as Foolbox 1.8 runs it: Adam in tanh space, and a search for the weight."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from robustrepro.attacks.legacy.nearest import Nearest, above, required
from robustrepro.attacks.minimal_distance import Proposals
from robustrepro.attacks.norms import per_example
from robustrepro.attacks.threat_models import Box
from robustrepro.spec.attacks import LegacyCarliniWagner

INSIDE = 0.999999
"""By which images are drawn into the box, so that they have a place in tanh space."""
DECAYS, EPSILON = (0.9, 0.999), 1e-7
"""Of Adam; epsilon is what Foolbox has up to version 2.2."""
LOOKS, STALLED = 10, 0.9999
"""So many times per run the loss is looked at; it must be below this share of what it was at the last look."""


def search(model: nn.Module, images: Tensor, labels: Tensor, box: Box, spec: LegacyCarliniWagner) -> Proposals:
    """Return each image's nearest misclassified iterate, over all weights of the misclassification loss.

    Minimised is ``‖x - x₀‖² / range² + weight * max(0, Z_y - max_{i≠y} Z_i + confidence)`` over tanh space, x₀ the
    image after its way there and back. The weight starts at ``initial_weight`` and is ten times as large after every
    run in which no iterate is misclassified, until one is; then it is bisected. Every run starts from the image.

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
    Carlini & Wagner, "Towards Evaluating the Robustness of Neural Networks", 2017; as ``CarliniWagnerL2Attack`` of
    Foolbox 1.8.
    """
    descent = _Descent(model, images, labels, required(box), spec)
    weights = torch.full((len(images),), spec.initial_weight, dtype=torch.float64, device=images.device)
    lower, upper = torch.zeros_like(weights), torch.full_like(weights, torch.inf)
    for _ in range(spec.binary_search_steps):
        succeeded = descent.run(weights)
        upper, lower = torch.where(succeeded, weights, upper), torch.where(succeeded, lower, weights)
        weights = torch.where(upper.isinf(), weights * 10, (lower + upper) / 2)
    return descent.nearest.proposals()


class _Descent:
    """Runs of Adam, each from the images themselves."""

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        box: tuple[float, float],
        spec: LegacyCarliniWagner,
    ) -> None:
        self._model, self._labels, self._spec = model, labels, spec
        self._middle, self._half = (box[0] + box[1]) / 2, (box[1] - box[0]) / 2
        self._origins = torch.atanh((images - self._middle) / self._half * INSIDE)
        self._reconstructed = self._inside(self._origins)[0]
        self.nearest = Nearest(images)

    def run(self, weights: Tensor) -> Tensor:
        """Descend with one weight per image, shape (N,), and return which images had a misclassified iterate.

        An image leaves the run where its loss has hardly fallen since the last look.
        """
        rows = torch.arange(len(weights), device=weights.device)
        succeeded = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        adam, at_last_look = _Adam(self._origins, self._spec.learning_rate), torch.full_like(weights, torch.inf)
        every = math.ceil(self._spec.max_iterations / LOOKS)
        for iteration in range(self._spec.max_iterations):
            losses, wrong, gradients = self._at(rows, self._origins[rows] + adam.moved, weights[rows])
            succeeded[rows[wrong]] = True
            adam.step(gradients)
            if self._spec.abort_early and iteration % every == 0:
                falling = losses <= STALLED * at_last_look[rows]
                at_last_look[rows] = losses.double()
                if not bool(falling.all()):
                    rows = rows[falling]
                    adam.keep(falling)
            if not len(rows):
                break
        return succeeded

    def _at(self, rows: Tensor, places: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses (M,), which points are misclassified (M,), and the gradients in tanh space (M, ...)."""
        points, slopes = self._inside(places)
        variable = points.requires_grad_(True)
        with torch.enable_grad():
            logits = self._model(variable)
        answers = logits.detach()
        margins, signs = above(answers, self._labels[rows])
        wrong = answers.argmax(1) != self._labels[rows]
        self.nearest.count(rows)
        self.nearest.offer(rows, points.detach(), wrong)
        hinges = (self._spec.confidence - margins).clamp(min=0)
        weights = weights.to(points.dtype)
        ascent = -signs * per_example(weights * (hinges > 0), signs)
        (gradients,) = torch.autograd.grad(logits, variable, ascent)
        difference, width = points.detach() - self._reconstructed[rows], 4 * self._half**2
        losses = difference.flatten(1).square().sum(1) / width + weights * hinges
        return losses, wrong, (2 / width * difference + gradients) * slopes

    def _inside(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points of the box at places in tanh space, and the derivative there."""
        turned = places.tanh()
        return turned * self._half + self._middle, (1 - turned.square()) * self._half


class _Adam:
    """Adam with moments in float64; what it has moved is rounded to the precision of the variable after every step.

    Attributes
    ----------
    moved
        The sum of all steps, shape (M, ...).
    """

    def __init__(self, like: Tensor, learning_rate: float) -> None:
        self.moved = torch.zeros_like(like)
        self._first, self._second = (torch.zeros_like(like, dtype=torch.float64) for _ in range(2))
        self._rate, self._steps = learning_rate, 0

    def step(self, gradients: Tensor) -> None:
        """Go one step down."""
        self._steps += 1
        for moment, decay, value in zip(
            (self._first, self._second), DECAYS, (gradients, gradients.square()), strict=True
        ):
            moment.mul_(decay).add_(value, alpha=1 - decay)
        first, second = (
            moment / (1 - decay**self._steps) for moment, decay in zip((self._first, self._second), DECAYS, strict=True)
        )
        self.moved = (self.moved - self._rate * first / (second.sqrt() + EPSILON)).to(self.moved.dtype)

    def keep(self, rows: Tensor) -> None:
        """Forget the rows that a mask leaves out."""
        self.moved, self._first, self._second = self.moved[rows], self._first[rows], self._second[rows]

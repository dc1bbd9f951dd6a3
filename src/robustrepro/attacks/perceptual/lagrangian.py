"""The Lagrangian perceptual attack: misclassification, with a growing price on leaving a perceptual distance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import weights_frozen
from robustrepro.attacks.losses import margin
from robustrepro.attacks.norms import per_example
from robustrepro.attacks.perceptual.declared import Batch, DeclaredAttack
from robustrepro.attacks.perceptual.lpips import (
    Features,
    PerceptualBall,
    features_of,
    logits_and_features,
    unit_features,
)
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import Form, OfFeatures

NOISE = 0.01
"""Standard deviation of the start around the image, where the distance would have no gradient."""

PROBE = 0.1
"""Length, in pixel ℓ2, of the finite difference that tells how fast the distance changes along a direction."""

DECAY = 0.1
"""The last step of a round is about this share of the first, which is as long as the bound."""

ROUNDS, FIRST_PRICE, PRICE_FACTOR = 5, 0.01, 10
"""Of `lagrangian`: rounds, the first price of distance, and the factor on it after a round that ends outside."""

CONFIDENCE = 1.0
"""Margin beyond which `lagrangian` has nothing to gain."""

FAST_PRICES = (1.0, 10.0)
"""Of `fast_lagrangian`: the first price of distance, and the one that it grows towards."""


def lagrangian(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    features: Features,
    *,
    bound: float,
    steps: int,
    seed: int,
    indices: Tensor,
    form: Form = "faithful",
) -> Perturbed:
    """Descend −min(margin, 1) + λ · max(0, distance − bound) in five rounds, and project into the bound.

    A step goes down the gradient, as far as moves the features by bound · 0.1^(i / steps) at step i of a round, by a
    finite difference; then pixels are clipped. λ starts at 0.01 and grows tenfold after a round that an image ends
    outside the bound; the perturbation goes on from where it is. An image that is misclassified inside the bound stops.

    ``faithful`` is the published code: an image stops only after one more step, which may undo the success; the
    projection makes Newton steps that overshoot the bound by 0.1, whatever the bound, along a gradient summed over all
    steps so far; and an image that is outside after ten of them is bisected, and may end slightly outside. There all
    images of the batch are bisected once one needs it; here, that one alone. ``corrected`` returns the first iterate
    that is misclassified inside the bound, beginning with the image itself; or else, of the iterates inside and the
    last one, projected along its own gradients without overshoot, that of the largest margin: successes that the
    published form had and lost again would otherwise count as the model's robustness.

    Parameters
    ----------
    model
        Maps images in [0, 1] to logits, each row from its own image only; its weights are left as they are.
    images
        Shape (N, 3, H, W), in [0, 1].
    labels
        int64, shape (N,).
    features
        What the distance is measured in: of the model itself (`robustrepro.attacks.perceptual.lpips.features_of`),
        which are then had in one pass, or of another network.
    bound
        Largest perceptual distance (see `robustrepro.attacks.perceptual.lpips.distance`).
    steps
        Steps per round, at least one.
    seed, indices
        The seed that the user sees, and each image's index in its data set, shape (N,): they fix its random start.
    form
        See above.

    Returns
    -------
    The images, with the perceptual distance of each; in the faithful form it may exceed the bound.

    References
    ----------
    Laidlaw, Singla & Feizi, "Perceptual Adversarial Robustness: Defense Against Unseen Threat Models", 2021, Section 4
    (LPA) and the appendix on perceptual attacks and projections.
    """
    with weights_frozen(model):
        search = _Search(model, PerceptualBall(features, images, bound), labels)
        best = search.nothing_yet() if form == "faithful" else search.images_as_they_are()
        points = _start(images, seed, indices, form)
        rows = best.resisting()
        prices = torch.full_like(best.margins, FIRST_PRICE)
        for _ in range(ROUNDS):
            outside = torch.zeros_like(best.margins, dtype=torch.bool)
            for step in range(steps):
                if not len(rows):
                    break
                view = search.view(points[rows], rows, prices[rows], confidence=CONFIDENCE)
                best.offer(rows, points[rows], view.distances, view.margins)
                points[rows] = search.moved(points[rows], view, bound * DECAY ** (step / steps), stabiliser=1e-8)
                outside[rows] = view.distances >= bound
                rows = rows[(view.margins <= 0) | (view.distances > bound)]
            prices[outside] *= PRICE_FACTOR
        if form == "faithful":
            return search.measured(search.ball.project_as_published(points))
        search.offer_projected(points[rows], rows, best)
        return Perturbed(best.points, best.distances)


def fast_lagrangian(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    features: Features,
    *,
    bound: float,
    steps: int,
    seed: int,
    indices: Tensor,
    form: Form = "faithful",
) -> Perturbed:
    """Descend −margin + λ · max(0, distance − bound) in one round while λ grows: the attack inside of training.

    At step i, λ is 10^(i / steps), from 1 towards 10; the steps are as long as those of `lagrangian`. The margin is not
    capped, and no image stops early.

    ``faithful`` is the published code and returns the last iterate as it is: **nothing projects it into the bound**,
    so it is for training, not for evaluation. ``corrected`` returns, of the image, the
    iterates inside the bound and the projected last one, that of the largest margin: all inside the bound, and the
    worst of them rather than the first success, since training is to see the worst case.

    Parameters
    ----------
    model, images, labels, features, bound, seed, indices, form
        See `lagrangian`.
    steps
        How many; 10 in the authors' training commands.

    Returns
    -------
    The images, with the perceptual distance of each; in the faithful form it may exceed the bound.

    References
    ----------
    Laidlaw, Singla & Feizi, "Perceptual Adversarial Robustness: Defense Against Unseen Threat Models", 2021, Section 5
    (perceptual adversarial training) and the appendix on Fast-LPA.
    """
    with weights_frozen(model):
        search = _Search(model, PerceptualBall(features, images, bound), labels)
        best = search.nothing_yet() if form == "faithful" else search.images_as_they_are()
        points, rows = _start(images, seed, indices, form), torch.arange(len(images), device=images.device)
        for step in range(steps):
            first, last = FAST_PRICES
            price = first * (last / first) ** (step / steps)
            view = search.view(points, rows, torch.full_like(best.margins, price), confidence=math.inf)
            best.offer(rows, points, view.distances, view.margins)
            points = search.moved(points, view, bound * DECAY ** (step / steps), stabiliser=1e-4)
        if form == "faithful":
            return search.measured(points)
        search.offer_projected(points, rows, best)
        return Perturbed(best.points, best.distances)


class _View(NamedTuple):
    """What is seen at R points: margins (R,), distances (R,), the loss's gradient (R, ...) and unit features (R, D)."""

    margins: Tensor
    distances: Tensor
    gradient: Tensor
    units: Tensor


@dataclass(eq=False)
class _Best:
    """Of each image's points inside the bound, that of the largest margin, max_{i≠y} Z_i − Z_y.

    Attributes
    ----------
    points, distances, margins
        Shapes (N, ...), (N,) and (N,).
    bound
        Largest distance.
    """

    points: Tensor
    distances: Tensor
    margins: Tensor
    bound: float

    def resisting(self) -> Tensor:
        """Return the rows of the batch that are not misclassified."""
        return (self.margins <= 0).nonzero().squeeze(1)

    def offer(self, rows: Tensor, points: Tensor, distances: Tensor, margins: Tensor) -> None:
        """Keep those of the points (R, ...) that are inside and better; the others have shape (R,)."""
        better = (distances <= self.bound) & (margins > self.margins[rows])
        kept = rows[better]
        self.points[kept], self.distances[kept], self.margins[kept] = points[better], distances[better], margins[better]


@dataclass(frozen=True, eq=False)
class _Search:
    """A batch under attack; methods take points (R, ...) and the rows (R,) of the batch that they belong to."""

    model: nn.Module
    ball: PerceptualBall
    labels: Tensor

    def nothing_yet(self) -> _Best:
        """Return the images with margin -∞, so that any point inside is better."""
        nothing = torch.zeros_like(self.ball.images[:, 0, 0, 0])
        return _Best(self.ball.images.clone(), nothing, nothing - torch.inf, self.ball.radius)

    def images_as_they_are(self) -> _Best:
        """Return the images with their margins."""
        best = self.nothing_yet()
        with torch.no_grad():
            best.margins = margin(self.model(self.ball.images), self.labels)
        return best

    def view(self, points: Tensor, rows: Tensor, prices: Tensor, *, confidence: float) -> _View:
        """Return what is seen at points whose excess distance has a price each, shape (R,)."""
        with torch.enable_grad():
            variable = points.detach().requires_grad_(True)
            logits, units = logits_and_features(self.model, self.ball.features, variable)
            margins, distances = margin(logits, self.labels[rows]), self.ball.distances_of(units, rows)
            losses = prices * (distances - self.ball.radius).relu() - margins.clamp_max(confidence)
            (gradient,) = torch.autograd.grad(losses.sum(), variable)
        return _View(margins.detach(), distances.detach(), gradient, units.detach())

    def moved(self, points: Tensor, view: _View, length: float, *, stabiliser: float) -> Tensor:
        """Return points moved down the gradient, as far as moves their features by a length, and clipped.

        The stabiliser is added to the speed of the features, which may be 0.
        """
        steepness = torch.linalg.vector_norm(view.gradient.flatten(1), dim=1)
        direction = view.gradient / per_example(steepness + 1e-8, points)
        with torch.no_grad():
            probed = unit_features(self.ball.features(points + PROBE * direction))
        speed = torch.linalg.vector_norm(probed - view.units, dim=1) / PROBE
        step = per_example(length / (speed + stabiliser), points)
        moved: Tensor = points - step * direction
        return moved.clamp(0, 1)

    def measured(self, points: Tensor) -> Perturbed:
        """Return points, one per image of the batch, with their distances."""
        return Perturbed(points, self.ball.distances(points, torch.arange(len(points), device=points.device)))

    def offer_projected(self, points: Tensor, rows: Tensor, best: _Best) -> None:
        """Project points into the bound, and offer them."""
        if not len(rows):
            return
        projected, distances = self.ball.project(points, rows)
        with torch.no_grad():
            margins = margin(self.model(projected), self.labels[rows])
        best.offer(rows, projected, distances, margins)


def _start(images: Tensor, seed: int, indices: Tensor, form: Form) -> Tensor:
    """Return the images with Gaussian noise, each image's own, by the seed and its index; clipped if corrected."""
    noise, generator = torch.empty(images.shape), torch.Generator()
    for example, index in zip(noise, indices.tolist(), strict=True):
        generator.manual_seed(derive_seed(seed, "perceptual start", index))
        example.normal_(0, NOISE, generator=generator)
    start = images + noise.to(images)
    return start if form == "faithful" else start.clamp(0, 1)


def _declared(attack: Callable[..., Perturbed]) -> DeclaredAttack[OfFeatures]:
    """Return one of these attacks as declared."""

    def perturb(spec: OfFeatures, batch: Batch) -> Perturbed:
        return attack(
            batch.model,
            batch.images,
            batch.labels,
            features_of(_compared(batch, spec.features.model), spec.features.layers),
            bound=spec.bound,
            steps=spec.steps,
            seed=batch.seed,
            indices=batch.indices,
            form=spec.form,
        )

    return DeclaredAttack(perturb)


def _compared(batch: Batch, name: str | None) -> nn.Module:
    """Return the network whose features are compared: the attacked model's, or another of a name."""
    if name is None:
        return batch.model
    if name not in batch.others:
        raise ValueError(f"features of {name} are compared, whose network is not among the others that are handed over")
    return batch.others[name]


declared, declared_fast = _declared(lagrangian), _declared(fast_lagrangian)

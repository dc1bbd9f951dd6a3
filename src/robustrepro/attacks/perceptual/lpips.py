"""The perceptual distance of two images, how far apart a network's features of them are; and the ball of a radius."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from robustrepro.attacks.norms import per_example
from robustrepro.errors import UserError

Features = Callable[[Tensor], Sequence[Tensor]]
"""From images (N, 3, H, W) in [0, 1] to feature maps (N, channels, height, width), each image's from itself alone."""

STABILISER = 1e-10
"""Added to the length of a feature vector before it divides."""

NEWTON_STEPS, BISECTIONS = 10, 10
"""Of a projection: at most how many steps of Newton's method, and how many bisections."""

OVERSHOOT = 0.1
"""Of the published projection: added to the excess of the distance, whatever the radius, and as a share to the step."""


class ModelFeatures:
    """The outputs of some modules of a model, which is left as it is.

    Parameters
    ----------
    model
        Maps images to logits.
    layers
        Names of the modules, as in ``model.named_modules()``; each is called once per forward pass, and its output,
        shape (N, channels, height, width), must not be overwritten in place later on.

    Raises
    ------
    UserError
        If the model has no module of a name; or, once it is asked for features, if what one puts out is no map.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        self.model = model
        self._modules = {layer: _module(model, layer) for layer in layers}

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of images, in the order of the layers."""
        return self.with_logits(images)[1]

    def with_logits(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return logits (N, classes) and feature maps, of one forward pass."""
        outputs: dict[nn.Module, Tensor] = {}

        def keep(module: nn.Module, _: object, output: Tensor) -> None:
            outputs[module] = output

        handles = [module.register_forward_hook(keep) for module in self._modules.values()]
        try:
            logits = self.model(images)
        finally:
            for handle in handles:
                handle.remove()
        return logits, [_map_of(layer, outputs.get(module)) for layer, module in self._modules.items()]


def features_of(model: nn.Module, layers: Sequence[str]) -> ModelFeatures:
    """Return the features that a model's named modules put out.

    Parameters
    ----------
    model, layers
        See `ModelFeatures`.

    Raises
    ------
    UserError
        As `ModelFeatures`.
    """
    return ModelFeatures(model, layers)


def distance(features: Features, images: Tensor, others: Tensor) -> Tensor:
    """Return the perceptual distance of each pair of images, shape (N,).

    It is the Euclidean distance of their `unit_features`: the root of what is summed over layers elsewhere, without
    learned weights. With L layers it is at most 2√L, or √(2L) after a ReLU. Features that switch on at one position of
    an 8 × 8 map bring up to 1/8 at once, so it is not continuous.

    Parameters
    ----------
    features
        Of the network in whose eyes images are compared.
    images, others
        Shape (N, 3, H, W), in [0, 1].

    References
    ----------
    Laidlaw, Singla & Feizi, "Perceptual Adversarial Robustness: Defense Against Unseen Threat Models", 2021, Section 3;
    after Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018.
    """
    length: Tensor = torch.linalg.vector_norm(unit_features(features(images)) - unit_features(features(others)), dim=1)
    return length


def unit_features(maps: Sequence[Tensor]) -> Tensor:
    """Return feature maps as one vector per image, in which every layer has the same weight.

    At each position the vector of channels is brought to length 1 and divided by √(height · width) of its layer. Where
    all channels are 0 there is no direction: the vector stays 0 and has no gradient.

    Parameters
    ----------
    maps
        One per layer, shape (N, channels, height, width).

    Returns
    -------
    Shape (N, Σ channels · height · width); its squared length is the number of layers if no vector of channels is 0.
    """
    return torch.cat([_unit(layer).flatten(1) for layer in maps], dim=1)


def logits_and_features(model: nn.Module, features: Features, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return a model's logits (N, classes) and the `unit_features` of images: one pass if they are the model's own."""
    if isinstance(features, ModelFeatures) and features.model is model:
        logits, maps = features.with_logits(images)
        return logits, unit_features(maps)
    return model(images), unit_features(features(images))


class PerceptualBall:
    """All images within a perceptual distance of each image of a batch.

    Methods take points, shape (R, 3, H, W), and the rows of the batch whose images they belong to, shape (R,).

    Parameters
    ----------
    features
        What the distance is measured in.
    images
        The centres, shape (N, 3, H, W), in [0, 1].
    radius
        Largest distance.
    """

    def __init__(self, features: Features, images: Tensor, radius: float) -> None:
        self.features, self.images, self.radius = features, images, radius
        with torch.no_grad():
            self._centres = unit_features(features(images))

    def distances_of(self, units: Tensor, rows: Tensor) -> Tensor:
        """Return how far points of known `unit_features` are from their images, shape (R,); differentiable."""
        length: Tensor = torch.linalg.vector_norm(units - self._centres[rows], dim=1)
        return length

    def distances(self, points: Tensor, rows: Tensor) -> Tensor:
        """Return how far points are from their images, shape (R,); not differentiable."""
        with torch.no_grad():
            return self.distances_of(unit_features(self.features(points)), rows)

    def project(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return points inside the ball, near its edge if they were outside, and their distances, shape (R,).

        Newton's method goes along the gradient of the distance until it is inside; bisection then finds the edge
        between its last two points, or between the image and the last point if it never gets inside.
        """
        distances, gradient = self._distances_with_gradient(points, rows)
        outside = (distances > self.radius).nonzero().squeeze(1)
        if not len(outside):
            return points, distances
        near, far = self.images[rows], points.clone()
        going, gradient, excess = outside, gradient[outside], distances[outside] - self.radius
        for _ in range(NEWTON_STEPS):
            stepped = _newton_step(far[going], gradient, excess)
            reached, gradient = self._distances_with_gradient(stepped, rows[going])
            beyond = reached > self.radius
            near[going[~beyond]] = stepped[~beyond]
            going = going[beyond]
            if not len(going):
                break
            far[going], gradient, excess = stepped[beyond], gradient[beyond], reached[beyond] - self.radius
        near, far, points = near[outside], far[outside], points.clone()
        share, _ = self._bisected(near, far, rows[outside])
        points[outside] = _between(near, far, share)
        distances[outside] = self.distances(points[outside], rows[outside])
        return points, distances

    def project_as_published(self, points: Tensor) -> Tensor:
        """Return one point per image of the batch, projected as the published code does: some may end outside.

        Newton's steps overshoot, and follow the sum of all gradients so far, which are never set back to zero. An
        image that was outside before the last step is bisected, and the last point tried is taken, inside or not.
        """
        points, totals = points.clone(), torch.zeros_like(points)
        rows = torch.arange(len(points), device=points.device)
        for _ in range(NEWTON_STEPS):
            if not len(rows):
                return points
            distances, gradient = self._distances_with_gradient(points[rows], rows)
            totals[rows] += gradient
            outside = distances > self.radius
            rows, excess = rows[outside], distances[outside] - self.radius + OVERSHOOT
            points[rows] = _newton_step(points[rows], totals[rows], (1 + OVERSHOOT) * excess)
        if len(rows):
            _, tried = self._bisected(self.images[rows], points[rows], rows)
            points[rows] = _between(self.images[rows], points[rows], tried)
        return points

    def _distances_with_gradient(self, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            variable = points.detach().requires_grad_(True)
            distances = self.distances_of(unit_features(self.features(variable)), rows)
            (gradient,) = torch.autograd.grad(distances.sum(), variable)
        return distances.detach(), gradient

    def _bisected(self, near: Tensor, far: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Bisect the segments from points inside the ball to points outside.

        Returns
        -------
        The largest share of each segment that was found inside, 0 if none was, and the last one tried; shapes (R,).
        """
        inside = torch.zeros(len(rows), dtype=far.dtype, device=far.device)
        outside, tried = torch.ones_like(inside), inside
        for _ in range(BISECTIONS):
            tried = (inside + outside) / 2
            within = self.distances(_between(near, far, tried), rows) <= self.radius
            inside, outside = torch.where(within, tried, inside), torch.where(within, outside, tried)
        return inside, tried


def _newton_step(points: Tensor, gradient: Tensor, excess: Tensor) -> Tensor:
    """Return points (R, ...) moved down a gradient, to where its slope takes away an excess (R,), and clipped."""
    slope = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    step: Tensor = excess / slope.square().clamp_min(torch.finfo(points.dtype).tiny)
    return (points - per_example(step, points) * gradient).clamp(0, 1)


def _between(near: Tensor, far: Tensor, shares: Tensor) -> Tensor:
    """Return the points at a share (R,) of each segment."""
    shares = per_example(shares, far)
    return near * (1 - shares) + far * shares


def _unit(layer: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(layer, dim=1, keepdim=True)
    positions = math.sqrt(layer.shape[2] * layer.shape[3])
    # Selected, not only divided: at a zero vector the quotient's gradient would be the reciprocal of the stabiliser.
    return torch.where(length > 0, layer / (length + STABILISER), 0.0) / positions


def _module(model: nn.Module, name: str) -> nn.Module:
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if name not in modules:
        known = ", ".join(filter(None, modules))
        raise UserError(f"features.layers: there is no layer '{name}' in the network; expected some of {known}")
    return modules[name]


def _map_of(layer: str, output: Tensor | None) -> Tensor:
    """Return what a layer puts out, or say that it is no feature map."""
    if output is None or output.ndim != 4:
        found = "nothing" if output is None else f"shape {tuple(output.shape)}"
        raise UserError(f"features.layers: '{layer}' puts out {found}; expected maps, (N, channels, height, width)")
    return output

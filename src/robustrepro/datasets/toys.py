"""Two-dimensional toy sets, drawn from their declared parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import BlobsSpec, CirclesSpec, SpiralsSpec, TwoMoonsSpec

ToySpec = TwoMoonsSpec | CirclesSpec | BlobsSpec | SpiralsSpec
_Drawn = tuple[NDArray[np.float64], NDArray[np.integer]]


def draw(spec: ToySpec) -> tuple[Examples, Examples]:
    """Draw training and test points, each from a random stream of its own."""
    return (
        _draw_split(spec, spec.train_examples, derive_seed(spec.seed, f"{spec.name} training points")),
        _draw_split(spec, spec.test_examples, derive_seed(spec.seed, f"{spec.name} test points")),
    )


def _draw_split(spec: ToySpec, examples: int, seed: int) -> Examples:
    from sklearn.datasets import make_blobs, make_circles, make_moons

    seed %= 2**32  # as many seeds as scikit-learn knows
    points: NDArray[np.float64]
    match spec:
        case TwoMoonsSpec():
            points, labels = make_moons(examples, noise=spec.noise, random_state=seed)
        case CirclesSpec():
            points, labels = make_circles(examples, noise=spec.noise, factor=spec.inner_radius, random_state=seed)
        case BlobsSpec():
            centers = [[-spec.distance / 2, 0.0], [spec.distance / 2, 0.0]]
            points, labels = make_blobs(examples, centers=centers, cluster_std=spec.noise, random_state=seed)
        case SpiralsSpec():
            points, labels = _spirals(spec, examples, np.random.default_rng(seed))
    return Examples(points.astype(np.float32), labels)


def _spirals(spec: SpiralsSpec, examples: int, generator: np.random.Generator) -> _Drawn:
    labels = generator.permutation(np.arange(examples) % 2)
    along = generator.uniform(size=examples)
    # The second spiral is the first one, half a turn further. Both start off the centre, where they would meet.
    angle = 2 * np.pi * spec.turns * along + np.pi * labels
    radius = 0.2 + 1.8 * along
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + generator.normal(scale=spec.noise, size=points.shape), labels

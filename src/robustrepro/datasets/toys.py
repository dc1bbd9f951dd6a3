"""Two-dimensional toy sets, drawn from their declared parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import BlobsSpec, CirclesSpec, SpiralsSpec, TwoMoonsSpec

_Drawn = tuple[NDArray[np.float64], NDArray[np.integer]]
_Draw = Callable[[int, int], _Drawn]
"""From a number of points and a seed to the points, shape (N, 2), and their labels, shape (N,)."""


def two_moons(declared: TwoMoonsSpec, _: Ingredients) -> MadeDataset:
    """Draw two interleaving half circles."""
    from sklearn.datasets import make_moons

    return _drawn(declared, lambda points, seed: make_moons(points, noise=declared.noise, random_state=seed))


def circles(declared: CirclesSpec, _: Ingredients) -> MadeDataset:
    """Draw a circle around another one."""
    from sklearn.datasets import make_circles

    def draw(points: int, seed: int) -> _Drawn:
        drawn: _Drawn = make_circles(points, noise=declared.noise, factor=declared.inner_radius, random_state=seed)
        return drawn

    return _drawn(declared, draw)


def blobs(declared: BlobsSpec, _: Ingredients) -> MadeDataset:
    """Draw two Gaussians."""
    from sklearn.datasets import make_blobs

    centers = [[-declared.distance / 2, 0.0], [declared.distance / 2, 0.0]]

    def draw(points: int, seed: int) -> _Drawn:
        drawn: _Drawn = make_blobs(points, centers=centers, cluster_std=declared.noise, random_state=seed)
        return drawn

    return _drawn(declared, draw)


def spirals(declared: SpiralsSpec, _: Ingredients) -> MadeDataset:
    """Draw two interleaving Archimedean spirals."""

    def draw(points: int, seed: int) -> _Drawn:
        generator = np.random.default_rng(seed)
        labels = generator.permutation(np.arange(points) % 2)
        along = generator.uniform(size=points)
        # The second spiral is the first one, half a turn further. Both start off the centre, where they would meet.
        angle = 2 * np.pi * declared.turns * along + np.pi * labels
        radius = 0.2 + 1.8 * along
        places = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return places + generator.normal(scale=declared.noise, size=places.shape), labels

    return _drawn(declared, draw)


def _drawn(declared: TwoMoonsSpec | CirclesSpec | BlobsSpec | SpiralsSpec, draw: _Draw) -> MadeDataset:
    """Draw training and test points, each from a random stream of its own."""

    def split(name: str, examples: int) -> Examples:
        # scikit-learn knows 2³² seeds.
        points, labels = draw(examples, derive_seed(declared.seed, f"{declared.name} {name} points") % 2**32)
        return Examples(points.astype(np.float32), labels)

    splits = split("training", declared.train_examples), split("test", declared.test_examples)
    return MadeDataset(*splits, declared.classes, declared.source)

"""How far images of a split are from the nearest other one."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from robustrepro.datasets.tensors import as_float
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.seeds import derive_seed
from robustrepro.spec.measurements import NearestNeighbours
from robustrepro.steps import Progress

BATCH_SIZE = 200
"""Images whose neighbours are looked for at once; a matter of progress alone."""


def measure(trained: Trained, declared: NearestNeighbours, progress: Progress) -> Columns:
    """Return one row for each of some images drawn from a split, whatever the network makes of them.

    Returns
    -------
    ``index``, ``label``, the ``neighbour``'s index, ``neighbour_label``, and the ``distance`` between both: ℓ2, pixels
    in units of the range [0, 1]. An image is no neighbour of itself, but another one may be its double, at distance 0.
    """
    split = trained.split(declared.split)
    images = as_float(split.inputs).flatten(1).numpy()
    labels = split.labels.numpy()
    generator = np.random.default_rng(derive_seed(trained.seed, "nearest neighbours"))
    count = min(declared.examples or len(images), len(images))
    drawn = np.sort(generator.choice(len(images), count, replace=False))
    search = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(images)
    progress.expect(count)
    neighbours, distances = np.empty(count, dtype=np.int64), np.empty(count)
    for start in range(0, count, BATCH_SIZE):
        some = slice(start, start + BATCH_SIZE)
        apart, found = search.kneighbors(images[drawn[some]])
        other = np.where(found[:, 0] == drawn[some], 1, 0)  # of a double, either may come first
        rows = np.arange(len(found))
        neighbours[some] = found[rows, other]
        # Once more, from the pixels: a difference of squares of lengths has lost some digits.
        differences = images[drawn[some]].astype(np.float64) - images[neighbours[some]]
        distances[some] = np.linalg.norm(differences, axis=1)
        progress.advance(len(apart))
    return {
        "index": drawn,
        "label": labels[drawn],
        "neighbour": neighbours,
        "neighbour_label": labels[neighbours],
        "distance": distances,
    }

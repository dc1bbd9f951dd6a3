"""Parts of another data set: which of its examples are drawn, and what a data set of such parts keeps of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples, MadeDataset, Origins
from robustrepro.datasets.manifest import MANIFEST, MadeFrom, read_manifest
from robustrepro.datasets.tensors import Split
from robustrepro.files import sha256_of
from robustrepro.seeds import derive_seed


def drawn_index(purpose: str, size: int, count: int) -> NDArray[np.int64]:
    """Return which of a split's examples are drawn at random, ascending, int64, shape (count,).

    They depend on the purpose and the split's size alone: whoever draws fewer draws some of the same.

    Parameters
    ----------
    purpose
        What they are drawn for, and from which data set and split.
    size
        How many examples the split has.
    count
        How many are drawn.
    """
    stream = np.random.default_rng(derive_seed(0, purpose, size))
    return np.sort(stream.permutation(size)[:count])


def part_of(split: Split, index: NDArray[np.int64]) -> Examples:
    """Return examples of a split, unchanged, with where they are in it (int64, shape (N,)) as their origin."""
    # No attack has changed them.
    origins = Origins(index, np.full_like(index, -1))
    return Examples(split.inputs.numpy()[index], split.labels.numpy()[index], origins)


def made_of_parts(folder: Path, train: Examples, test: Examples, words: str) -> MadeDataset:
    """Return a data set of parts of the one in ``folder``: of its classes, range of pixels and unverified files.

    Parameters
    ----------
    folder
        That of the other data set.
    train, test
        Parts of its splits.
    words
        Which parts they are.
    """
    original = read_manifest(folder)
    return MadeDataset(
        train=train,
        test=test,
        classes=original.classes,
        source=f"{original.source}, {words}",
        differing=original.differing,
        made_from=MadeFrom(
            dataset=original.name,
            manifest_sha256=sha256_of(folder / MANIFEST),
            clipped=original.made_from is None or original.made_from.clipped,
        ),
    )

"""Data sets that divide another one's training split: examples held out of it to test on, the others to train on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset, Origins
from robustrepro.datasets.manifest import MANIFEST, MadeFrom, read_manifest
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import HeldOutDataset


def make(declared: HeldOutDataset, ingredients: Ingredients) -> MadeDataset:
    """Divide the training split of the other data set; both parts keep its order, and its test split is not read.

    Raises
    ------
    UserError
        If the other data set is not as its manifest says, has no training split, or less than twice as many training
        examples as are to be held out.
    """
    if ingredients.original is None:
        raise ValueError(f"'{declared.name}' is held out of another data set; its folder is missing")
    folder = ingredients.original
    original, training = read_manifest(folder), load(folder, "train")
    size, count = len(training.labels), declared.examples
    if count > size // 2:
        raise UserError(
            f"datasets.{declared.name}: held_out.examples: found {count}; expected at most {size // 2}, half of the "
            f"{size} training examples of '{original.name}' in {folder}"
        )
    inputs, labels = training.inputs.numpy(), training.labels.numpy()

    def part(index: NDArray[np.int64]) -> Examples:
        # No attack has changed them.
        return Examples(inputs[index], labels[index], Origins(index, np.full_like(index, -1)))

    held_out = held_out_index(declared.source, size, count)
    return MadeDataset(
        train=part(np.setdiff1d(np.arange(size), held_out)),
        test=part(held_out),
        classes=original.classes,
        source=f"{original.source}, {count:,} of its {size:,} training examples held out",
        differing=original.differing,
        made_from=MadeFrom(
            dataset=original.name,
            manifest_sha256=sha256_of(folder / MANIFEST),
            clipped=original.made_from is None or original.made_from.clipped,
        ),
    )


def held_out_index(source: str, size: int, count: int) -> NDArray[np.int64]:
    """Return which training examples of a data set are held out, ascending, int64, shape (count,).

    They depend on the data set's name and size alone: whoever holds out fewer holds out some of the same.

    Parameters
    ----------
    source
        The data set's name.
    size
        How many training examples it has.
    count
        How many are held out.
    """
    stream = np.random.default_rng(derive_seed(0, f"held out of {source}", size))
    return np.sort(stream.permutation(size)[:count])

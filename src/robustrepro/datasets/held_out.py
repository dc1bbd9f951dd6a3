"""Data sets that divide another one's training split: examples held out of it to test on, the others to train on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Ingredients, MadeDataset
from robustrepro.datasets.parts import drawn_index, made_of_parts, part_of
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
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
    training = load(folder, "train")
    size, count = len(training.labels), declared.examples
    if count > size // 2:
        raise UserError(
            f"datasets.{declared.name}: held_out.examples: found {count}; expected at most {size // 2}, half of the "
            f"{size} training examples of '{training.name}' in {folder}"
        )
    held_out = held_out_index(declared.source, size, count)
    return made_of_parts(
        folder,
        train=part_of(training, np.setdiff1d(np.arange(size), held_out)),
        test=part_of(training, held_out),
        words=f"{count:,} of its {size:,} training examples held out",
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
    return drawn_index(f"held out of {source}", size, count)

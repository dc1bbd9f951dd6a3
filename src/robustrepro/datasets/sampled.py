"""Data sets that are a random part of another one: some of its training examples, and some of its test examples."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.datasets.parts import drawn_index, made_of_parts, part_of
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.spec.datasets import SampledDataset


def make(declared: SampledDataset, ingredients: Ingredients) -> MadeDataset:
    """Draw examples of each split of the other data set; both parts keep its order.

    Raises
    ------
    UserError
        If the other data set is not as its manifest says, has no training split, or fewer examples than are to be
        drawn.
    """
    if ingredients.original is None:
        raise ValueError(f"'{declared.name}' is drawn from another data set; its folder is missing")
    folder = ingredients.original

    def drawn(split: Literal["train", "test"], called: str, count: int) -> tuple[Examples, str]:
        examples = load(folder, split)
        size = len(examples.labels)
        if count > size:
            raise UserError(
                f"datasets.{declared.name}: sampled.{split}: found {count}; expected at most {size}, all {called} "
                f"examples of '{examples.name}' in {folder}"
            )
        part = part_of(examples, sampled_index(declared.source, split, size, count))
        return part, f"{count:,} of its {size:,} {called}"

    train, of_training = drawn("train", "training", declared.train)
    test, of_test = drawn("test", "test", declared.test)
    return made_of_parts(folder, train, test, f"{of_training} and {of_test} examples drawn at random")


def sampled_index(source: str, split: str, size: int, count: int) -> NDArray[np.int64]:
    """Return which examples of a data set's split are drawn, ascending, int64, shape (count,).

    They depend on the data set's name, the split and its size alone: whoever draws fewer draws some of the same.

    Parameters
    ----------
    source
        The data set's name.
    split
        ``train`` or ``test``.
    size
        How many examples the split has.
    count
        How many are drawn.
    """
    return drawn_index(f"{split} examples drawn from {source}", size, count)

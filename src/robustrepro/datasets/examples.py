"""What every way of making a data set is given, and what it hands over to be stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.manifest import DifferingFile, MadeFrom


@dataclass(frozen=True)
class AttackedModel:
    """The model that a data set is made from.

    Attributes
    ----------
    model, seed
        Its name and the seed that it was trained with.
    network
        Its resolved network, as plain data.
    weights
        Its checkpoint.
    attack_seed
        The seed of the attacks' random starts.
    code
        The digest of the sources that make the data set, for its manifest.
    """

    model: str
    seed: int
    network: Mapping[str, Any]
    weights: Path
    attack_seed: int
    code: str


@dataclass(frozen=True)
class Ingredients:
    """What a data set is made of, beside its declaration.

    Attributes
    ----------
    folder
        Where it will be stored. Makers write nothing into it; downloads go to a temporary folder beside it.
    mirror
        A folder with official files, in itself or in a folder named like the data set; None to download them.
    allow_unverified
        Whether files of the mirror with other than their official checksums are accepted.
    original
        The folder of the data set that this one is made from.
    attacked
        The model that it is made from.
    """

    folder: Path
    mirror: Path | None = None
    allow_unverified: bool = False
    original: Path | None = None
    attacked: AttackedModel | None = None


@dataclass(frozen=True)
class Origins:
    """Where each example comes from that is adversarial, or in a part of another data set.

    Attributes
    ----------
    index
        Index of the image in its split, int64, shape (N,).
    attack
        Which attack, by its place in the declared list, int64, shape (N,); −1 where there was none.
    inputs
        The images that were attacked, as their split has them; None where there was no attack.
    """

    index: NDArray[np.int64]
    attack: NDArray[np.int64]
    inputs: NDArray[np.uint8] | NDArray[np.float32] | None = None


@dataclass(frozen=True)
class StreamedImages:
    """Images that are made while they are stored, because they are more than memory holds.

    Attributes
    ----------
    shape
        Of one image: (C, H, W).
    batches
        The images in order, uint8, shapes (N, C, H, W) with any N; made once.
    """

    shape: tuple[int, ...]
    batches: Iterable[NDArray[np.uint8]]


@dataclass(frozen=True)
class Examples:
    """One split before it is stored.

    Attributes
    ----------
    inputs
        Images, uint8 or, where they are adversarial, float32, shape (N, C, H, W); or points, float32, shape (N, 2).
    labels
        Classes, any integer type, shape (N,).
    origins
        Where each example comes from, if the split does not have all examples of another one in its order.
    """

    inputs: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.integer]
    origins: Origins | None = None


@dataclass(frozen=True)
class MadeDataset:
    """A data set before it is stored.

    Attributes
    ----------
    train
        Its training split, if it has one.
    test
        Its test split.
    classes
        The number of classes.
    source
        Where it comes from, in words.
    differing
        The source files that are not the official ones.
    made_from
        The data set, and the model, that it was made from.
    """

    train: Examples | None
    test: Examples
    classes: int
    source: str
    differing: tuple[DifferingFile, ...] = ()
    made_from: MadeFrom | None = None

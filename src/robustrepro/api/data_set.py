"""The test examples that a model is audited on: of a built-in data set, or of a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from robustrepro.datasets.manifest import MANIFEST
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError, unknown_name
from robustrepro.mirror import VARIABLE
from robustrepro.spec.datasets import DATASETS

IN_NPZ = ("images", "labels")
NPZ_LAYOUT = (
    "images (N, channels, height, width), grey ones also (N, height, width), or points (N, features), floats in [0, 1] "
    "or bytes; and labels (N,), whole numbers"
)
CHANNELS = (1, 3)
"""How many channels pictures have."""


def test_examples(dataset: str, folder: Path, examples: int, *, allow_unverified: bool) -> tuple[Any, Any]:
    """Return the first test examples of a data set, images and labels.

    Parameters
    ----------
    dataset
        A built-in data set, or a file ``.npz`` of the layout `NPZ_LAYOUT`.
    folder
        Where built-in data sets are prepared.
    examples
        How many at most.
    allow_unverified
        Whether other bytes than the official ones are accepted.

    Returns
    -------
    Images, or points (N, features): as in the file, shape (N, channels, height, width), or floats in [0, 1] of a
    built-in data set; and labels, shape (N,).

    Raises
    ------
    UserError
        If the data set is unknown or cannot be made, its examples have no range of valid pixels, or the file holds
        something else.
    """
    if dataset.endswith(".npz"):
        images, labels = _arrays(dataset)
        return images[:examples], labels[:examples]
    if dataset not in DATASETS:
        raise unknown_name("data set", dataset, DATASETS)
    place = folder / dataset
    if not (place / MANIFEST).is_file():
        mirror = os.environ.get(VARIABLE)
        prepare(DATASETS[dataset], place, mirror=Path(mirror) if mirror else None, allow_unverified=allow_unverified)
    split = load(place, "test")
    if split.box is None:
        raise UserError(f"--dataset {dataset}: its examples have no range of valid pixels; expected images")
    return as_float(split.inputs[:examples]), split.labels[:examples]


def _arrays(file: str) -> tuple[Any, Any]:
    """Return the images and labels of a file ``.npz``; grey images without channels get one."""
    try:
        content = np.load(file, allow_pickle=False)
        found = {name: content[name] for name in content.files}
    except FileNotFoundError:
        raise UserError(f"--dataset {file}: there is no such file") from None
    except Exception as error:
        raise UserError(f"--dataset {file}: cannot be read as .npz of plain arrays ({error})") from None
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in found.items()) or "nothing"
    wrong = UserError(f"--dataset {file}: expected {NPZ_LAYOUT}; found {shapes}")
    if not set(IN_NPZ) <= found.keys():
        raise wrong
    images, labels = (found[name] for name in IN_NPZ)
    numbers = images.dtype == np.uint8 or images.dtype.kind == "f"
    if not numbers or images.ndim not in (2, 3, 4) or labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise wrong
    if images.ndim == 4 and images.shape[3] in CHANNELS and images.shape[1] not in CHANNELS:
        raise UserError(f"{wrong}. Channels seem to be last: save images.transpose(0, 3, 1, 2)")
    return images[:, None] if images.ndim == 3 else images, labels

"""Data sets generated from another one, image by image."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.datasets.manifest import MANIFEST, MadeFrom, read_manifest
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.implementations import options_of, resolve
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import GeneratedDataset

BATCH = 1000
"""How many images are changed at once; a matter of memory."""


def make(declared: GeneratedDataset, ingredients: Ingredients) -> MadeDataset:
    """Change every image of the other data set, and keep its labels.

    Raises
    ------
    UserError
        If the other data set is not as its manifest says, lacks a split, or has no images of 8 bits.
    """
    if ingredients.original is None:
        raise ValueError(f"'{declared.name}' is generated from another data set; its folder is missing")
    folder = ingredients.original
    original = read_manifest(folder)

    def changed(split: Literal["train", "test"]) -> Examples:
        examples = load(folder, split)
        images = examples.inputs.numpy()
        if images.dtype != np.uint8 or images.ndim != 4:
            message = (
                f"{folder}: the data set '{original.name}' has {images.dtype} inputs of shape {images.shape}; "
                f"'{declared.name}' can only be generated from images of 8 bits, shape (N, C, H, W)."
            )
            raise UserError(message)
        return Examples(_changed(images, declared, split), examples.labels.numpy())

    test = changed("test")
    return MadeDataset(
        train=changed("train") if declared.split == "both" else None,
        test=test,
        classes=original.classes,
        source=f"{original.source}, changed by {declared.by.name}",
        differing=original.differing,
        made_from=MadeFrom(
            dataset=original.name,
            manifest_sha256=sha256_of(folder / MANIFEST),
            clipped=test.inputs.dtype == np.uint8,
        ),
    )


def _changed(
    images: NDArray[np.uint8], declared: GeneratedDataset, split: str
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return the images after the generator; each has a random stream of its own, by its index in its split.

    They are of 8 bits, or float32 where they have no range of valid pixels any more.
    """
    generate, options = resolve(declared.by.implementation), options_of(declared.by)
    purpose = f"{declared.by.name} {split} image"
    changed: NDArray[Any] = np.empty(0)
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        seeds = (derive_seed(declared.seed, purpose, start + position) for position in range(len(batch)))
        made = generate(batch, [np.random.default_rng(seed) for seed in seeds], **options)
        if start == 0:  # at once, since float32 images of a whole data set are hardly held twice
            changed = np.empty((len(images), *made.shape[1:]), made.dtype)
        changed[start : start + len(batch)] = made
    return changed

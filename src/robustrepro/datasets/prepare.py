"""Makes a data set: make its examples, check them, store them, and write its manifest last."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as to_safetensors

from robustrepro.canonical import canonical_json
from robustrepro.datasets.examples import AttackedModel, Examples, Ingredients, MadeDataset
from robustrepro.datasets.manifest import MANIFEST, Manifest, TensorFile
from robustrepro.datasets.streamed import StreamedDataset, store_streamed
from robustrepro.errors import UserError
from robustrepro.files import atomic_path, write_text
from robustrepro.implementations import resolve
from robustrepro.spec.datasets import CountedDataset, Dataset

TRAIN, TEST = "train.safetensors", "test.safetensors"


def prepare(
    declared: Dataset,
    folder: Path,
    *,
    mirror: Path | None = None,
    allow_unverified: bool = False,
    original: Path | None = None,
    attacked: AttackedModel | None = None,
) -> Manifest:
    """Make a data set in ``folder``: ``manifest.json``, ``test.safetensors`` and, if it has one, ``train.safetensors``.

    Equal sources give equal bytes. Nothing in ``folder`` is touched until all examples were made and checked.

    Parameters
    ----------
    declared
        What to make; it names the code that makes it.
    folder
        Where; made if it does not exist.
    mirror, allow_unverified, original, attacked
        What it is made of (see `robustrepro.datasets.examples.Ingredients`).

    Raises
    ------
    UserError
        If a source is missing, cannot be downloaded, has a wrong checksum, or is not what its name says.
    """
    ingredients = Ingredients(folder, mirror, allow_unverified, original, attacked)
    made: MadeDataset | StreamedDataset = resolve(declared.implementation)(declared, ingredients)
    if isinstance(made, StreamedDataset):
        return _prepare_streamed(declared, made, folder)
    if isinstance(declared, CountedDataset):
        _check(declared, "training", made.train, declared.train_examples)
        _check(declared, "test", made.test, declared.test_examples)
    # From here until the new manifest is written, a reader finds no data set rather than a mixture of two.
    (folder / MANIFEST).unlink(missing_ok=True)
    if made.train is None:
        (folder / TRAIN).unlink(missing_ok=True)
    manifest = Manifest(
        name=declared.name,
        spec=declared.model_dump(mode="json"),
        source=made.source,
        classes=made.classes,
        train=None if made.train is None else _store(made.train, folder / TRAIN),
        test=_store(made.test, folder / TEST),
        verified=not made.differing,
        differing=made.differing,
        made_from=made.made_from,
    )
    _write(manifest, folder)
    return manifest


def _prepare_streamed(declared: Dataset, made: StreamedDataset, folder: Path) -> Manifest:
    """Store a data set while it is made; what was there before stays until all of it is."""
    test = store_streamed(made, folder / TEST, lambda: (folder / MANIFEST).unlink(missing_ok=True))
    gaps = made.gaps()
    manifest = Manifest(
        name=declared.name,
        spec=declared.model_dump(mode="json"),
        source=made.source,
        classes=made.classes,
        test=test,
        verified=gaps is None,
        gaps=gaps,
    )
    _write(manifest, folder)
    return manifest


def _write(manifest: Manifest, folder: Path) -> None:
    write_text(folder / MANIFEST, canonical_json(manifest.model_dump(mode="json", exclude_none=True)) + "\n")


def _check(declared: CountedDataset, split: str, examples: Examples | None, expected: int) -> None:
    """Refuse a split that is not as large as declared, or lacks a class."""
    found = None if examples is None else (examples.inputs.shape, examples.labels.shape)
    if examples is None or found != ((expected, *declared.input_shape), (expected,)):
        inputs, labels = found or ("none", "none")
        message = (
            f"{declared.name}: the {split} examples have the shapes {inputs} (inputs) and {labels} (labels); "
            f"{(expected, *declared.input_shape)} and {(expected,)} are expected. Replace the source files."
        )
        raise UserError(message)
    classes = np.unique(examples.labels)
    if not np.array_equal(classes, np.arange(declared.classes)):
        message = (
            f"{declared.name}: the {split} labels are {classes.tolist()}; every one of 0 to {declared.classes - 1} and "
            "no other is expected. Replace the source files."
        )
        raise UserError(message)


def _store(examples: Examples, path: Path) -> TensorFile:
    # As small as the classes allow: one byte each for up to 256 of them.
    labels = examples.labels.astype(np.min_scalar_type(int(examples.labels.max())))
    tensors = {"inputs": torch.tensor(examples.inputs).contiguous(), "labels": torch.tensor(labels)}
    if examples.origins is not None:
        tensors["origin_index"] = torch.tensor(examples.origins.index)
        tensors["origin_attack"] = torch.tensor(examples.origins.attack)
        if examples.origins.inputs is not None:
            tensors["origin_inputs"] = torch.tensor(examples.origins.inputs).contiguous()
    content = to_safetensors(tensors)
    with atomic_path(path) as partial:
        partial.write_bytes(content)
    return TensorFile(
        name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        examples=len(examples.labels),
        inputs=examples.inputs.shape,
        labels=examples.labels.shape,
    )

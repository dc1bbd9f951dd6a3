"""Makes a data set: fetch, check, convert, store, and write its manifest last."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as to_safetensors

from robustrepro.canonical import canonical_json
from robustrepro.datasets.examples import Examples
from robustrepro.datasets.manifest import MANIFEST, DifferingFile, Manifest, TensorFile
from robustrepro.datasets.official import Checker, folder_in_mirror
from robustrepro.errors import UserError
from robustrepro.files import atomic_path, write_text
from robustrepro.spec.datasets import Cifar10Spec, DatasetSpec, DigitsSpec, MnistSpec


def prepare(spec: DatasetSpec, folder: Path, *, mirror: Path | None, allow_unverified: bool) -> Manifest:
    """Make a data set in ``folder``: ``train.safetensors``, ``test.safetensors`` and ``manifest.json``.

    Equal sources give equal bytes. Nothing in ``folder`` is touched until every source file was read and checked.

    Parameters
    ----------
    spec
        What to make.
    folder
        Where; made if it does not exist.
    mirror
        A folder with the official files, in itself or in a folder named like the data set; None to download them.
    allow_unverified
        Whether files of the mirror with other than their official checksums are accepted. The manifest then has
        ``verified: false`` and names them.

    Raises
    ------
    UserError
        If a source file is missing, cannot be downloaded, has a wrong checksum, or is not what its name says.
    """
    train, test, differing = _make(spec, folder, mirror, allow_unverified)
    _check(spec, "training", train, spec.train_examples)
    _check(spec, "test", test, spec.test_examples)
    # From here until the new manifest is written, a reader finds no data set rather than a mixture of two.
    (folder / MANIFEST).unlink(missing_ok=True)
    manifest = Manifest(
        name=spec.name,
        spec=spec.model_dump(mode="json"),
        source=spec.source,
        classes=spec.classes,
        train=_store(train, folder / "train.safetensors"),
        test=_store(test, folder / "test.safetensors"),
        verified=not differing,
        differing=tuple(differing),
    )
    write_text(folder / MANIFEST, canonical_json(manifest) + "\n")
    return manifest


def _make(
    spec: DatasetSpec, folder: Path, mirror: Path | None, allow_unverified: bool
) -> tuple[Examples, Examples, list[DifferingFile]]:
    # Each way of making a data set brings large libraries along, so that only the one that is needed is imported.
    if isinstance(spec, MnistSpec | Cifar10Spec):
        checker = Checker(spec.name, allow_unverified)
        if mirror is not None:
            return *_read(spec, folder_in_mirror(mirror, spec.name), checker), checker.differing
        from robustrepro.datasets.download import download

        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{spec.name}.", suffix=".partial", dir=folder.parent) as temporary:
            download(spec, Path(temporary))
            return *_read(spec, Path(temporary), checker), checker.differing
    if isinstance(spec, DigitsSpec):
        from robustrepro.datasets.digits import make_digits

        return *make_digits(spec), []
    from robustrepro.datasets.toys import draw

    return *draw(spec), []


def _read(spec: MnistSpec | Cifar10Spec, folder: Path, checker: Checker) -> tuple[Examples, Examples]:
    if isinstance(spec, MnistSpec):
        from robustrepro.datasets.mnist import read_mnist

        return read_mnist(spec, folder, checker)
    from robustrepro.datasets.cifar10 import read_cifar10

    return read_cifar10(spec, folder, checker)


def _check(spec: DatasetSpec, split: str, examples: Examples, expected: int) -> None:
    found = (examples.inputs.shape, examples.labels.shape)
    if found != ((expected, *spec.input_shape), (expected,)):
        message = (
            f"{spec.name}: the {split} examples have the shapes {found[0]} (inputs) and {found[1]} (labels); "
            f"{(expected, *spec.input_shape)} and {(expected,)} are expected. Replace the source files."
        )
        raise UserError(message)
    classes = np.unique(examples.labels)
    if not np.array_equal(classes, np.arange(spec.classes)):
        message = (
            f"{spec.name}: the {split} labels are {classes.tolist()}; every one of 0 to {spec.classes - 1} and no "
            "other is expected. Replace the source files."
        )
        raise UserError(message)


def _store(examples: Examples, path: Path) -> TensorFile:
    content = to_safetensors(
        {
            "inputs": torch.tensor(examples.inputs).contiguous(),
            "labels": torch.tensor(examples.labels.astype(np.uint8)),
        }
    )
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

"""MNIST and Fashion-MNIST: gzipped IDX files, as MNIST's authors describe them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.datasets.official import official_files
from robustrepro.errors import UserError
from robustrepro.spec.datasets import MnistSpec, OfficialFile


def make(declared: MnistSpec, ingredients: Ingredients) -> MadeDataset:
    """Check and read the four official files of MNIST or Fashion-MNIST, from a mirror or downloaded.

    Raises
    ------
    UserError
        If one is missing, not allowed, truncated, or not what its name says.
    """
    with official_files(declared.name, ingredients, lambda: _addresses(declared)) as (folder, checker):
        train, test = (
            Examples(
                read_idx(checker.read(folder / images.name, images), folder / images.name, dimensions=3)[:, None],
                read_idx(checker.read(folder / labels.name, labels), folder / labels.name, dimensions=1),
            )
            for images, labels in (declared.train_files, declared.test_files)
        )
    return MadeDataset(train, test, declared.classes, declared.source, tuple(checker.differing))


def _addresses(declared: MnistSpec) -> dict[OfficialFile, list[str]]:
    """Return where each file can be downloaded: on the hosts that torchvision keeps."""
    from torchvision import datasets

    hosts = datasets.MNIST.mirrors if declared.name == "mnist" else datasets.FashionMNIST.mirrors
    return {file: [f"{host}{file.name}" for host in hosts] for file in (*declared.train_files, *declared.test_files)}


def read_idx(compressed: bytes, path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Return the array in a gzipped IDX file of unsigned bytes; ``path`` is what errors call it.

    It opens with two zeros, the type's code (8 for unsigned bytes) and the number of dimensions, then each size as a
    big-endian 32-bit number.

    Raises
    ------
    UserError
        If it is truncated or has another type, number of dimensions or length.
    """
    try:
        content = gzip.decompress(compressed)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: truncated or not a gzip file ({error}). Fetch it anew.") from None
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        message = (
            f"{path}: opens with {content[:4].hex()}; an IDX file of bytes in {dimensions} dimensions is expected."
        )
        raise UserError(message)
    shape = tuple(int(size) for size in np.frombuffer(content, dtype=">u4", count=dimensions, offset=4))
    expected = int(np.prod(shape, dtype=object))
    if len(content) - start != expected:
        raise UserError(f"{path}: {len(content) - start} bytes of data found, {expected} expected for shape {shape}.")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)

"""MNIST's files: gzipped IDX, as its authors describe it."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robustrepro.datasets.examples import Examples
from robustrepro.datasets.official import Checker
from robustrepro.errors import UserError
from robustrepro.spec.datasets import MnistSpec


def read_mnist(spec: MnistSpec, folder: Path, checker: Checker) -> tuple[Examples, Examples]:
    """Check and read the four official files in ``folder``.

    Raises
    ------
    UserError
        If one is missing, not allowed, truncated, or not what its name says.
    """
    train, test = (
        Examples(
            read_idx(checker.read(folder / images.name, images), folder / images.name, dimensions=3)[:, None],
            read_idx(checker.read(folder / labels.name, labels), folder / labels.name, dimensions=1),
        )
        for images, labels in (spec.train_files, spec.test_files)
    )
    return train, test


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

"""A test split that is stored while it is made, in the memory of one batch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from robustrepro.datasets.examples import StreamedImages
from robustrepro.datasets.manifest import Gaps, TensorFile, read_manifest
from robustrepro.errors import UserError
from robustrepro.files import atomic_path, sha256_of

LENGTH_BYTES, HEADER_BYTES = 8, 1024
"""Of a safetensors header: its length, and room for it while the number of images is not known."""
ALIGNMENT = 8
"""Of the numbers behind the images, in bytes."""


@dataclass(frozen=True)
class StreamedDataset:
    """A data set of test images, many of them.

    What is told of the images is known once all of them were made.

    Attributes
    ----------
    images
        The images.
    labels, names
        Return each image's class, and the name of its file.
    classes
        The number of classes.
    source
        Where it comes from, in words.
    gaps
        Returns what it lacks; None where it is whole.
    """

    images: StreamedImages
    labels: Callable[[], Sequence[int]]
    names: Callable[[], Sequence[str]]
    classes: int
    source: str
    gaps: Callable[[], Gaps | None]


def store_streamed(made: StreamedDataset, path: Path, before_replacing: Callable[[], object]) -> TensorFile:
    """Write ``inputs``, ``names`` and ``labels`` as safetensors, and say what was written.

    ``names`` has the bytes of each name in UTF-8, filled up with zeros, uint8, shape (N, longest). The library writes a
    file from tensors in memory alone, and these are too large for it: so its header is written here, last. Then
    ``before_replacing`` is called, and the file takes the place of the one before.
    """
    size = math.prod(made.images.shape)
    if size % ALIGNMENT:
        raise ValueError(f"images of {made.images.shape} have no multiple of {ALIGNMENT} bytes, as what follows needs")
    with atomic_path(path) as partial:
        with partial.open("wb") as stream:
            stream.seek(LENGTH_BYTES + HEADER_BYTES)
            count = 0
            for batch in made.images.batches:
                stream.write(np.ascontiguousarray(batch, np.uint8).data)
                count += len(batch)
            encoded = [name.encode() for name in made.names()]
            width = -(-max(map(len, encoded)) // ALIGNMENT) * ALIGNMENT
            names = b"".join(name.ljust(width, b"\0") for name in encoded)
            labels = np.asarray(made.labels(), np.int64)
            stream.write(names)
            stream.write(labels.tobytes())
            stream.seek(0)
            stream.write(
                _header(
                    inputs=("U8", [count, *made.images.shape], count * size),
                    names=("U8", [count, width], len(names)),
                    labels=("I64", [count], labels.nbytes),
                )
            )
        written, digest = partial.stat().st_size, sha256_of(partial)
        before_replacing()
    return TensorFile(
        name=path.name,
        sha256=digest,
        bytes=written,
        examples=count,
        inputs=(count, *made.images.shape),
        labels=(count,),
    )


def load_names(folder: Path) -> list[str]:
    """Return the names of the files that a data set's test images were read from, in its order.

    Raises
    ------
    UserError
        If its images were not read from files.
    """
    path = folder / read_manifest(folder).test.name
    try:
        with safe_open(path, framework="np") as file:
            encoded = file.get_tensor("names")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: its images have no names of files ({error})") from None
    return [bytes(name).rstrip(b"\0").decode() for name in encoded]


def _header(**sections: tuple[str, list[int], int]) -> bytes:
    """Return a safetensors header of a fixed length for sections (type, shape, bytes) that follow one another."""
    described, start = {}, 0
    for name, (kind, shape, length) in sections.items():
        described[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, start + length]}
        start += length
    return HEADER_BYTES.to_bytes(LENGTH_BYTES, "little") + json.dumps(described).encode().ljust(HEADER_BYTES)

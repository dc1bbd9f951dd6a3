"""Measurement files: tidy parquet, one row per example, with everything they came from in their metadata.

pyarrow imports pandas (2 s in a new process) as soon as it turns an array of NumPy into one of its own or back; the two
conversions here do without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robustrepro.errors import UserError
from robustrepro.files import atomic_path

METADATA_KEY = b"robustrepro"


def write_measurement(path: Path, columns: Mapping[str, np.ndarray[Any, Any]], origin: Mapping[str, Any]) -> None:
    """Write a measurement atomically.

    Parameters
    ----------
    path
        The parquet file.
    columns
        One array per column, all of one length.
    origin
        What the measurement came from: resolved spec, code digest, models with their weights' sha256 and seed, data,
        device, commit, versions. The digest of the columns is added to it.
    """
    table = pa.table({name: _to_arrow(values) for name, values in columns.items()})
    described = {**origin, "columns_sha256": columns_digest(table)}
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(described, sort_keys=True).encode()})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_columns(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return a measurement's columns and its origin.

    Raises
    ------
    UserError
        If the file is missing, truncated, or no measurement of ours.
    """
    with _opened(path) as file:
        return file.read(), _origin_in(file)


def read_origin(path: Path) -> dict[str, Any]:
    """Return a measurement's origin without its columns.

    Raises
    ------
    UserError
        As :func:`read_columns`.
    """
    with _opened(path) as file:
        return _origin_in(file)


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such measurement; run snakemake {path}") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: unreadable measurement ({error}); delete it and run again") from error


def _origin_in(file: pq.ParquetFile) -> dict[str, Any]:
    origin: dict[str, Any] = json.loads(file.schema_arrow.metadata[METADATA_KEY])
    return origin


def as_arrays(table: pa.Table) -> dict[str, np.ndarray[Any, Any]]:
    """Return a table's columns, none with gaps, as :func:`write_measurement` takes them."""
    return {name: _to_numpy(table.column(name)) for name in table.column_names}


def columns_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's columns, whatever its file's encoding."""
    digest = hashlib.sha256()
    for name, values in as_arrays(table).items():
        digest.update(f"{name}\0{values.dtype.str}\0{len(values)}\0".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _to_arrow(values: np.ndarray[Any, Any]) -> pa.Array:
    """Return a column of numbers, truth values or text as Arrow has it."""
    if values.dtype.kind in "UO":
        encoded = [text.encode() for text in values.tolist()]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
        np.cumsum([len(text) for text in encoded], out=offsets[1:])
        return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
    if values.dtype == bool:
        return _to_arrow(values.astype(np.uint8)).cast(pa.bool_())
    contiguous = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(contiguous), [None, pa.py_buffer(contiguous)])


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return a column as NumPy has it; text at the width of its longest."""
    if pa.types.is_string(column.type):
        return np.array(column.to_pylist(), dtype=str)
    if pa.types.is_boolean(column.type):
        return np.array(column.to_pylist(), dtype=bool)
    return np.from_dlpack(column.combine_chunks()) if len(column) else np.empty(0, column.type.to_pandas_dtype())


def stacked(parts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of several parts below one another.

    Parameters
    ----------
    parts
        Each with the same columns; a column is an array with one value per row, or one value for all rows of the part.
    """
    lengths = [max(len(value) for value in part.values() if isinstance(value, np.ndarray)) for part in parts]
    return {
        name: np.concatenate(
            [
                part[name] if isinstance(part[name], np.ndarray) else np.repeat(part[name], length)
                for part, length in zip(parts, lengths, strict=True)
            ]
        )
        for name in parts[0]
    }

"""Measurement files: tidy parquet, one row an example, with everything they came from in their metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
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
        Arrays of equal length, one a column.
    origin
        What the measurement came from: resolved spec, code digest, models with their weights' sha256 and seed, data,
        device, commit, versions. The digest of the columns is added to it.
    """
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    described = {**origin, "columns_sha256": columns_digest(table)}
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(described, sort_keys=True).encode()})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_measurement(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return a measurement's columns and its origin.

    Raises
    ------
    UserError
        If the file is missing, truncated, or no measurement of ours.
    """
    try:
        table = pq.read_table(path)
        return table, json.loads(table.schema.metadata[METADATA_KEY])
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such measurement; run snakemake {path}") from None
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: unreadable measurement ({error}); delete it and run again") from error


def columns_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's columns, whatever its file's encoding."""
    digest = hashlib.sha256()
    for name in table.column_names:
        values = table.column(name).to_numpy()
        if values.dtype == object:  # text, of which an array holds addresses
            values = values.astype(str)
        digest.update(f"{name}\0{values.dtype.str}\0{len(values)}\0".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def stacked(parts: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of several parts below one another.

    Parameters
    ----------
    parts
        Each with the same columns; a column is an array of one value a row, or one value for all rows of the part.
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

"""Measurement files: what is written comes back, and nothing of it needs pandas before a table does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robustrepro.errors import UserError
from robustrepro.measures.frames import read_frame
from robustrepro.measures.store import as_arrays, columns_digest, read_columns, read_origin, write_measurement

COLUMNS: dict[str, np.ndarray[Any, Any]] = {
    "index": np.arange(3),
    "label": np.array([2, 1, 0], dtype=np.uint8),
    "margin": np.array([0.5, -1.0, 2.0], dtype=np.float32),
    "every_second": np.arange(6.0)[::2],
    "stable": np.array([True, False, True]),
    "part": np.array(["a", "größer", ""]),
}


def test_a_measurement_comes_back_with_its_origin_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "clean.parquet"
    write_measurement(path, COLUMNS, {"kind": "attack", "spec": {"epsilon": 0.3}})
    table, origin = read_columns(path)
    arrays = as_arrays(table)
    assert {name: values.dtype for name, values in arrays.items()} == {
        name: values.dtype for name, values in COLUMNS.items()
    }
    assert {name: values.tolist() for name, values in arrays.items()} == {
        name: values.tolist() for name, values in COLUMNS.items()
    }
    assert origin == {"kind": "attack", "spec": {"epsilon": 0.3}, "columns_sha256": columns_digest(table)}
    assert read_origin(path) == origin


def test_a_frame_has_the_same_rows(tmp_path: Path) -> None:
    write_measurement(tmp_path / "clean.parquet", COLUMNS, {"kind": "attack"})
    frame, origin = read_frame(tmp_path / "clean.parquet")
    assert frame.to_dict("list") == {name: values.tolist() for name, values in COLUMNS.items()}
    assert origin == read_origin(tmp_path / "clean.parquet")


@pytest.mark.parametrize("columns", [COLUMNS, {name: values[:0] for name, values in COLUMNS.items()}], ids=["3", "0"])
def test_arrow_takes_the_columns_as_its_own_conversion_does(tmp_path: Path, columns: dict[str, Any]) -> None:
    write_measurement(tmp_path / "clean.parquet", columns, {})
    table, _ = read_columns(tmp_path / "clean.parquet")
    assert table.replace_schema_metadata(None).equals(pa.table({name: pa.array(v) for name, v in columns.items()}))


def test_parts_below_one_another_are_one_array_each() -> None:
    parts = [pa.table({"index": [0, 1], "part": ["a", "b"]}), pa.table({"index": [2], "part": ["long"]})]
    arrays = as_arrays(pa.concat_tables(parts))
    assert {name: values.tolist() for name, values in arrays.items()} == {
        "index": [0, 1, 2],
        "part": ["a", "b", "long"],
    }


def test_writing_and_checking_a_measurement_does_not_import_pandas(tmp_path: Path) -> None:
    script = f"""
import sys
import numpy as np
from pathlib import Path
from robustrepro.measures.store import as_arrays, columns_digest, read_columns, read_origin, write_measurement
path = Path({str(tmp_path / "clean.parquet")!r})
columns = {{"index": np.arange(3), "stable": np.array([True] * 3), "part": np.array(["a", "b", "c"])}}
write_measurement(path, columns, {{}})
table, origin = read_columns(path)
assert columns_digest(table) == origin["columns_sha256"] == read_origin(path)["columns_sha256"]
as_arrays(table)
assert "pandas" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_the_digest_is_of_the_columns_whatever_their_file(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5]})
    pq.write_table(table, tmp_path / "other", compression="none", row_group_size=1)
    assert columns_digest(pq.read_table(tmp_path / "other")) == columns_digest(table)
    others = [
        pa.table({"a": [1, 2, 4], "b": [0.5, 1.5, 2.5]}),
        pa.table({"a": [1, 3, 2], "b": [0.5, 1.5, 2.5]}),
        pa.table({"c": [1, 2, 3], "b": [0.5, 1.5, 2.5]}),
        pa.table({"a": [1.0, 2.0, 3.0], "b": [0.5, 1.5, 2.5]}),
        pa.table({"b": [0.5, 1.5, 2.5], "a": [1, 2, 3]}),
    ]
    assert len({columns_digest(other) for other in [table, *others]}) == 6


def test_columns_of_text_have_the_same_digest_every_time() -> None:
    first, second = (pa.table({"part": pa.array(["grid", "".join(["tr", "ain"])])}) for _ in range(2))
    other = pa.table({"part": pa.array(["grid", "test!"])})
    assert columns_digest(first) == columns_digest(second)
    assert columns_digest(first) != columns_digest(other)


@pytest.mark.parametrize("read", [read_columns, read_origin, read_frame])
def test_a_missing_measurement_says_how_to_make_it(tmp_path: Path, read: Any) -> None:
    path = tmp_path / "clean.parquet"
    with pytest.raises(UserError, match=f"{path}: there is no such measurement; run snakemake {path}"):
        read(path)


@pytest.mark.parametrize("read", [read_columns, read_origin, read_frame])
def test_a_truncated_or_foreign_measurement_is_named(tmp_path: Path, read: Any) -> None:
    write_measurement(tmp_path / "cut", {"index": np.arange(1000)}, {})
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-50])
    (tmp_path / "empty").write_bytes(b"")
    pq.write_table(pa.table({"index": [1]}), tmp_path / "foreign")
    for name in ("cut", "empty", "foreign"):
        with pytest.raises(UserError, match=f"{tmp_path / name}: unreadable measurement"):
            read(tmp_path / name)


def test_a_full_disk_leaves_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="the disk is full"):
        write_measurement(tmp_path / "clean.parquet", {"index": np.arange(3)}, {})
    assert list(tmp_path.iterdir()) == []

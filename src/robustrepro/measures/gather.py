"""The step ``gather``: the parts of a sharded measurement as one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from robustrepro.errors import UserError
from robustrepro.measures.store import as_arrays, read_columns, write_measurement
from robustrepro.steps import Work

SUMMED = ("seconds", "cpu_seconds")
JOINED = ("commit", "device", "processor")
"""What of each part is named, where the parts differ in it, with "; " between."""

SHARED = ("kind", "code", "models", "data_manifest_sha256", "data_verified", "versions", "notes")
"""What all parts must say alike of where they came from."""


def run(work: Work) -> None:
    """Write the rows of all parts below one another, in the order of the split.

    Parameters
    ----------
    work
        Spec: as that of a measurement of one piece. Inputs: ``shard``, every part in order. Output: a parquet file.

    Raises
    ------
    UserError
        If a part is of another measurement, or the parts were measured with different sources, models, data or
        versions of libraries.
    """
    read = [read_columns(path) for path in work.inputs["shard"]]
    tables, origins = [table for table, _ in read], [origin for _, origin in read]
    for number, (path, origin) in enumerate(zip(work.inputs["shard"], origins, strict=True)):
        if _content(origin["spec"]) != {**_content(work.spec), "shard": [number, len(origins)]}:
            raise UserError(f"{path}: not part {number} of {len(origins)} of this measurement; delete it and run again")
        differing = [key for key in SHARED if origin.get(key) != origins[0].get(key)]
        if differing:
            raise UserError(f"{path}: its {differing[0]} differs from the first part's; delete it and run again")
    together = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    write_measurement(
        work.outputs[0], as_arrays(together), {**_account(origins), "spec": dict(work.spec), "code": work.code}
    )


def _content(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec without what the step runs."""
    return {key: value for key, value in spec.items() if key != "runs"}


def _account(origins: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first part's origin, with what all were measured on, the time all took and the most memory one did."""
    account = {**origins[0], **{key: round(sum(origin[key] for origin in origins), 3) for key in SUMMED}}
    for key in JOINED:
        account[key] = "; ".join(dict.fromkeys(origin.get(key, "not recorded") for origin in origins))
    account["peak_memory_mb"] = max(origin["peak_memory_mb"] for origin in origins)
    account.pop("columns_sha256")
    return account

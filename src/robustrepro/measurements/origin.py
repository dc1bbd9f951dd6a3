"""What every measurement says of where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robustrepro import provenance
from robustrepro.files import sha256_of


def origin_of(
    kind: str,
    spec: Mapping[str, Any],
    code: str,
    models: Iterable[tuple[str, int, Path]],
    usage: provenance.Usage,
    *,
    device: str = "cpu",
    **data: str | bool,
) -> dict[str, Any]:
    """Return the account that :func:`robustrepro.measurements.store.write_measurement` stores with the columns.

    Parameters
    ----------
    kind
        Which measurement it is.
    spec, code
        The resolved spec and the digest of the sources.
    models
        Name, seed and checkpoint of each model that was measured.
    usage
        Started when the step did.
    device
        What it was computed on.
    data
        What is to be said of the data set, where one was used: ``data_manifest_sha256`` and ``data_verified``.
    """
    return {
        "kind": kind,
        "spec": spec,
        "code": code,
        "models": [
            {"model": name, "seed": seed, "weights_sha256": sha256_of(weights)} for name, seed, weights in models
        ],
        **data,
        "device": device,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        **usage.measured(),
    }

"""What a card records beside the spec: versions, commit, device, time and memory."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from robustrepro.files import sha256_of

RECORDED_PACKAGES = ("numpy", "robustrepro", "safetensors", "torch")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide numbers."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """Return the commit of the working tree, marked when sources differ from it; "unknown" outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty= (modified)", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def origin_of(
    spec: Mapping[str, Any], code: str, models: Iterable[tuple[str, int, Path]], manifest: Path | None, device: str
) -> dict[str, Any]:
    """Return what a measurement file says of where it came from.

    Parameters
    ----------
    spec, code
        The job's resolved spec and the digest of its sources.
    models
        Name, seed and checkpoint of each model that was measured.
    manifest
        That of the data set; None where none was read.
    device
        What it was computed on.
    """
    data = {}
    if manifest is not None:
        verified = json.loads(manifest.read_text(encoding="utf-8"))["verified"]
        data = {"data_manifest_sha256": sha256_of(manifest), "data_verified": verified}
    return {
        "kind": spec["measure"]["kind"],
        "spec": spec,
        "code": code,
        "models": [
            {"model": name, "seed": seed, "weights_sha256": sha256_of(weights)} for name, seed, weights in models
        ],
        **data,
        "device": device,
        "commit": commit(),
        "versions": versions(),
    }


class Usage:
    """Wall and CPU seconds since creation, and the peak memory of this process.

    Snakemake's benchmark sees only the thin client of a warm start, so steps measure themselves.
    """

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def measured(self) -> dict[str, Any]:
        """Return ``seconds``, ``cpu_seconds`` and ``peak_memory_mb``."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kibibytes = peak / 1024 if sys.platform == "darwin" else peak
        return {
            "seconds": round(time.perf_counter() - self._wall, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_mb": round(kibibytes / 1024, 1),
        }

"""What a card records beside the spec: versions, commit, device, processor, threads, time and memory."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from robustrepro.files import sha256_of

RECORDED_PACKAGES = ("numpy", "robustrepro", "safetensors", "torch")
PACKAGE = Path(__file__).resolve().parent

ANOTHER_REPOSITORY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"}
"""Variables that would send git elsewhere than to where it is asked; git itself sets them around its hooks."""

GIT_SECONDS = 20
"""How long git may take to answer: a network file system may hang, and a step must not hang with it."""

UNTRACKED = "?"
NO_CHECKOUT = "not a git checkout"
"""What is said of sources that no repository holds, as those of an unpacked archive."""
NO_REPOSITORY = "not a git repository"
"""What git says there, asked in English."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide numbers."""
    found = {"python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def commit() -> str:
    """Return the commit of the sources that this process runs, as it was when this was first asked.

    A step asks when it starts: whatever is committed while it works is not what it ran.
    """
    return commit_of(PACKAGE)


def commit_of(package: Path) -> str:
    """Return the commit of the sources in a folder, from the repository that tracks them.

    Parameters
    ----------
    package
        A Python package's folder.

    Returns
    -------
    Twelve hexadecimal digits, followed by "(modified)" where a tracked file of the repository differs from that commit,
    or an untracked one lies in the package or is Python elsewhere in the repository, such as an extension; "not a git
    checkout" where there is no repository; "unknown", followed by why, where it does not track the package or git
    cannot tell.
    """
    try:
        listed = _git(package, "ls-files", "-t", "--cached", "--others", "--exclude-standard", "--exclude=__pycache__")
        files = [line.split(" ", 1) for line in listed.splitlines()]
        if not any(name == "__init__.py" and tag != UNTRACKED for tag, name in files):
            return "unknown (the repository around the sources does not track them)"
        beside = _git(package, "ls-files", "--others", "--exclude-standard", "--", ":(top)*.py")
        described = _git(package, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except FileNotFoundError:
        return "unknown (git is not installed)"
    except subprocess.TimeoutExpired:
        return f"unknown (git did not answer within {GIT_SECONDS} s)"
    except subprocess.CalledProcessError as error:
        return NO_CHECKOUT if NO_REPOSITORY in error.stderr else "unknown (git cannot tell)"
    except OSError as error:
        return f"unknown (git cannot be run: {error.strerror})"
    clean = described.strip().removesuffix("-dirty")
    modified = clean != described.strip() or bool(beside) or any(tag == UNTRACKED for tag, _ in files)
    return f"{clean} (modified)" if modified else clean


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints when it is asked in a folder about the repository that the folder lies in.

    Whose repository it is does not matter, since its Python code runs here already; only a program that its settings
    name as a monitor of its files is not started.
    """
    command = ["git", "--no-optional-locks", "-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    environment = {name: value for name, value in os.environ.items() if name not in ANOTHER_REPOSITORY}
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=GIT_SECONDS,
        check=True,
    ).stdout


def origin_of(
    spec: Mapping[str, Any],
    code: str,
    models: Iterable[tuple[str, int, Path, Path | None]],
    manifest: Path | None,
    device: str,
) -> dict[str, Any]:
    """Return what a measurement file says of where it came from.

    Parameters
    ----------
    spec, code
        The job's resolved spec and the digest of its sources.
    models
        Name, seed, weights and, where they were read, checkpoints of each model that was measured.
    manifest
        That of the data set; None where none was read.
    device
        What it was computed on.
    """
    measured = list(models)
    data = {}
    if manifest is not None:
        verified = json.loads(manifest.read_text(encoding="utf-8"))["verified"]
        data = {"data_manifest_sha256": sha256_of(manifest), "data_verified": verified}
    digests = [sha256_of(weights) for _, _, weights, _ in measured]
    return {
        "kind": spec["measure"]["kind"],
        "spec": spec,
        "code": code,
        "models": [
            {
                "model": name,
                "seed": seed,
                "weights_sha256": digest,
                **({"checkpoints_sha256": sha256_of(checkpoints)} if checkpoints else {}),
            }
            for (name, seed, _, checkpoints), digest in zip(measured, digests, strict=True)
        ],
        "models_made_on": [
            made_on(weights, digest) for (_, _, weights, _), digest in zip(measured, digests, strict=True)
        ],
        **data,
        "device": device,
        "commit": commit(),
        "versions": versions(),
    }


def made_on(weights: Path, sha256: str) -> dict[str, str] | None:
    """Return the device and processor that made weights, as far as the card beside them says; None without that card.

    Of a model that was made from another one, those that trained the other: a copy rounds nothing.

    Parameters
    ----------
    weights
        The weights of a model, or those of its checkpoints.
    sha256
        Their digest: the card has to be of these.
    """
    try:
        account = json.loads(weights.with_name("card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if sha256 not in {account.get("weights_sha256"), account.get("checkpoints_sha256")}:
        return None
    machine = account.get("source_made_on") or account
    return {key: machine[key] for key in ("device", "processor") if key in machine}


@cache
def processor() -> str:
    """Return the model of this machine's processor: on another one, the same sums may round otherwise."""
    name = ""
    with suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "linux":
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
            name = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "")
        elif sys.platform == "darwin":
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
    return " ".join(name.split()) or platform.processor() or platform.machine() or "unknown"


class Usage:
    """Wall and CPU seconds since creation, the peak memory of this process, and what it had to compute with.

    Snakemake's benchmark sees only the thin client of a warm start, so steps measure themselves.
    """

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def measured(self) -> dict[str, Any]:
        """Return ``seconds``, ``cpu_seconds``, ``peak_memory_mb``, ``processor`` and, with torch, ``threads``."""
        torch = sys.modules.get("torch")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kibibytes = peak / 1024 if sys.platform == "darwin" else peak
        return {
            "seconds": round(time.perf_counter() - self._wall, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_mb": round(kibibytes / 1024, 1),
            "processor": processor(),
            **({"threads": torch.get_num_threads()} if torch else {}),
        }

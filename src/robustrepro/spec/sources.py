"""Which of our source files a job runs, and their digest: the ``code`` of every rule.

A graph of imports cannot see what is imported lazily by name, and from the command line it would see everything. So the
roots are the step's own module and the modules of the names in the job's spec (this objective's file, this
architecture's), and the import graph tells what those use.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import robustrepro
from robustrepro.errors import UserError
from robustrepro.spec.registry import ARCHITECTURES, ATTACKS, AUGMENTATIONS, FIGURES, OBJECTIVES, target_of

if TYPE_CHECKING:
    import grimp

STEPS: Mapping[str, str] = {
    "data": "robustrepro.datasets.step",
    "train": "robustrepro.training.step",
    "measure-attack": "robustrepro.measurements.attack",
    "measure-transfer": "robustrepro.measurements.transfer",
    "measure-audit": "robustrepro.measurements.audit",
    "measure-parameter-distance": "robustrepro.measurements.parameter_distance",
    "measure-decision-boundary": "robustrepro.measurements.decision_boundary",
    "measure-losses": "robustrepro.measurements.losses",
    "measure-training-path": "robustrepro.measurements.training_path",
    "table": "robustrepro.tables.step",
    "figure": "robustrepro.figures.step",
    "audit": "robustrepro.audit.step",
    "scorecard": "robustrepro.scorecard.step",
    "report": "robustrepro.report.step",
}

REGISTRIES: Mapping[str, Mapping[str, str]] = {
    "architecture": ARCHITECTURES,
    "attack": ATTACKS,
    "augmentation": AUGMENTATIONS,
    "figure": FIGURES,
    "objective": OBJECTIVES,
}
"""Where in a spec a name stands for code: under these keys, as ``{"name": ...}``."""

# Declarations reach a job as its spec, and the command line only hands them over.
OUTSIDE = ("robustrepro.spec", "robustrepro.command_line", "robustrepro.__main__", "robustrepro.warm")

PACKAGE = Path(robustrepro.__file__).parent

STATE = "ROBUSTREPRO_SOURCES"
"""Environment variable with the state of the sources when a run began to schedule its jobs."""


def code_digest(step: str, spec: Any) -> str:
    """Return the SHA-256 of the sources that a job of this step and spec runs.

    Parameters
    ----------
    step
        The step's name, a key of :data:`STEPS`.
    spec
        The job's resolved spec, as plain data.
    """
    roots = {STEPS[step]}
    digest = hashlib.sha256()
    for target in sorted(set(_targets(spec))):
        roots.add(target.partition(":")[0])
        digest.update(target.encode())
    for module in sorted(_closure(frozenset(roots))):
        digest.update(f"\0{module}\0{_module_digest(module)}".encode())
    return digest.hexdigest()


def state_of_the_sources() -> str:
    """Return a digest of when each of our source files was last written: the quick way to see that none was."""
    digest = hashlib.sha256()
    for directory, folders, names in os.walk(PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            status = os.stat(os.path.join(directory, name))  # noqa: PTH116, PTH118 (a hundred files a step)
            digest.update(f"{directory}\0{name}\0{status.st_ino}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def require_unchanged(step: str, spec: Any, expected: str) -> None:
    """Stop when the sources are no longer those that this job was scheduled with.

    Where the environment has their state from before the digests were computed, and it is the same now, nothing needs
    to be computed again.

    Raises
    ------
    UserError
        If a source file was edited between the scheduling and now.
    """
    if os.environ.get(STATE) == state_of_the_sources():
        return
    if code_digest(step, spec) != expected:
        raise UserError(
            f"step {step}: its sources under {PACKAGE.name}/ were edited while it waited to start, so its result would "
            "be recorded as something it is not. Run the same command again."
        )


def _targets(spec: Any) -> Iterator[str]:
    """Yield the ``module:attribute`` of every name in the spec that stands for code."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            for kind, named in _named(key, value):
                yield target_of(REGISTRIES[kind], kind, named)
            yield from _targets(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _targets(value)


def _named(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield (kind, name) of what stands under a key: one declaration, or several of one kind (``attacks``)."""
    if key in REGISTRIES and isinstance(value, Mapping):
        yield key, value["name"]
    kind = key.removesuffix("s")
    if key != kind and kind in REGISTRIES:
        several = value.values() if isinstance(value, Mapping) else value
        yield from ((kind, one["name"]) for one in several if isinstance(one, Mapping) and "name" in one)


@cache
def _graph() -> grimp.ImportGraph:
    import grimp  # which a step whose sources were not touched does not need

    try:
        return grimp.build_graph("robustrepro", cache_dir=None)
    except grimp.exceptions.SourceSyntaxError as error:
        raise UserError(str(error)) from None


@cache
def _closure(roots: frozenset[str]) -> frozenset[str]:
    """Return the roots, what they import of ours, and the packages that these lie in."""
    graph = _graph()
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in found or module.startswith(OUTSIDE):
            continue
        if module not in graph.modules:
            raise UserError(f"there is no module {module} in the sources, though a name is registered to it")
        found.add(module)
        waiting.extend(graph.find_modules_directly_imported_by(module))
        if "." in module:
            waiting.append(module.rpartition(".")[0])
    return frozenset(found)


@cache
def _module_digest(module: str) -> str:
    """Return the digest of a module's file; of a package, also of what lies in its folder and is no Python."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    files: Iterable[Path] = [path.with_suffix(".py")]
    if path.is_dir():
        others = (file for file in path.iterdir() if file.is_file() and file.suffix not in {".py", ".pyc"})
        files = [path / "__init__.py", *sorted(others)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()

"""A job: all that Snakemake asks about a file, a function of names alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from robustrepro.canonical import canonical_json
from robustrepro.spec.measurements import Cost
from robustrepro.spec.sources import code_digest

LITTLE = Cost()
Seeded = tuple[str, int]
"""A model and a seed."""


@dataclass(frozen=True)
class Job:
    """What makes one file, or a few together.

    Attributes
    ----------
    step
        The step that the command line runs, a key of :data:`robustrepro.spec.sources.STEPS`.
    spec
        Canonical JSON; with ``runs``, the implementations that it stands for.
    inputs
        (role, file) of every input. Those without a role are found by the step itself, by their names.
    models
        The models whose weights are read, in the order of the inputs with the role ``weights``.
    cost
        What it asks of the machine.
    """

    step: str
    spec: str
    inputs: tuple[tuple[str, str], ...] = ()
    models: tuple[Seeded, ...] = ()
    cost: Cost = LITTLE

    @cached_property
    def code(self) -> str:
        """The digest of the sources that it runs."""
        return code_digest(self.step, json.loads(self.spec)["runs"])

    @property
    def gpu(self) -> int:
        """How many GPUs it computes on."""
        return self.cost.gpu

    @property
    def memory_mb(self) -> int:
        """The memory that it may take, in megabytes."""
        return self.cost.memory_mb

    @property
    def minutes(self) -> int:
        """The time after which a cluster may end it."""
        return self.cost.minutes

    @property
    def threads(self) -> int:
        """The processor cores that it uses."""
        return self.cost.threads

    @property
    def files(self) -> list[str]:
        """Every input, once."""
        return list(dict.fromkeys(file for _, file in self.inputs))

    @property
    def arguments(self) -> str:
        """The options that hand the inputs to the step."""
        return " ".join(f"--input {role}={file}" for role, file in self.inputs if role)


def spec_of(runs: list[str], **content: Any) -> str:
    """Return a spec as canonical JSON; what is None is left out."""
    return canonical_json({"runs": runs, **{key: value for key, value in content.items() if value is not None}})


def class_path(declared: Any) -> str:
    """Return where a declaration's class is, as ``module:name``."""
    return f"{type(declared).__module__}:{type(declared).__name__}"


def found_by_name(files: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return inputs that the step finds by their names."""
    return tuple(("", file) for file in files)

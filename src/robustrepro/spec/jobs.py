"""A job: all that Snakemake asks about a file, a function of names alone."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from robustrepro.canonical import canonical_json
from robustrepro.files import write_text
from robustrepro.spec.measurements import Cost
from robustrepro.spec.sources import code_digest

LITTLE = Cost()
LONGEST_OPTIONS = 2**15
"""Bytes of options that a command may have. Linux takes no argument of more than 128 KiB, and Snakemake hands the whole
command to the shell as one."""
OPTIONS = Path(".snakemake/robustrepro/options")
"""Where longer ones lie, each in a file that is named after its content."""
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
        The models whose weights are read, in the order of the inputs with the role ``weights``, or of a training
        ``features``.
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
    def options(self) -> str:
        """The options that hand spec, code and inputs to the step, for a shell.

        Where they would be too long for a command, they are written to a file, and this names it: the same one on every
        machine, since Snakemake compares this text.
        """
        inputs = [f"{role}={file}" for role, file in self.inputs if role]
        options = ["--spec", self.spec, "--code", self.code, *(part for each in inputs for part in ("--input", each))]
        text = shlex.join(options)
        if len(text.encode()) <= LONGEST_OPTIONS:
            return text
        content = canonical_json({"spec": self.spec, "code": self.code, "input": inputs})
        file = OPTIONS / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
        if not file.exists() or file.read_text(encoding="utf-8") != content:
            write_text(file, content)
        return shlex.join(["--options", str(file)])


def spec_of(runs: list[str], **content: Any) -> str:
    """Return a spec as canonical JSON; what is None is left out."""
    return canonical_json({"runs": runs, **{key: value for key, value in content.items() if value is not None}})


def class_path(declared: Any) -> str:
    """Return where a declaration's class is, as ``module:name``."""
    return f"{type(declared).__module__}:{type(declared).__name__}"


def found_by_name(files: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return inputs that the step finds by their names."""
    return tuple(("", file) for file in files)

"""Modules of the user's that add kinds of measurement and attacks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError
from robustrepro.spec.attacks import ATTACKS, require_code
from robustrepro.spec.measurements import KINDS

REGISTRIES: dict[str, MutableMapping[str, Any]] = {"kind": KINDS, "attack": ATTACKS}
"""What an extension adds to, by what that is called."""


def load_extensions(modules: list[str]) -> None:
    """Import the modules that add kinds of measurement or attacks; they may lie in the folder that the run starts in.

    Raises
    ------
    UserError
        If one cannot be imported, adds what cannot be used, or replaces a kind or an attack that there is.
    """
    folder = str(Path.cwd())
    if modules and folder not in sys.path:
        sys.path.append(folder)
    for name in modules:
        before = {what: dict(registry) for what, registry in REGISTRIES.items()}
        try:
            _load(name, before)
        except UserError as error:
            for what, registry in REGISTRIES.items():
                registry.clear()
                registry.update(before[what])
            raise UserError(f"config.yaml: extensions: {name} {error}") from None


def _load(name: str, before: dict[str, dict[str, Any]]) -> None:
    try:
        importlib.import_module(name)
    except UserError as error:  # of a registry
        raise UserError(f"cannot be used: {error}") from None
    except Exception as error:  # whatever a module of the user's may do
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"cannot be imported ({why})") from None
    for what, registry in REGISTRIES.items():
        for key, declaration in before[what].items():
            if registry.get(key) is not declaration:
                raise UserError(
                    f"replaces the {what} '{key}', so that nobody would know what is measured; give its own another "
                    "name"
                )
    for key in ATTACKS.keys() - before["attack"].keys():
        try:
            require_code(ATTACKS[key])
        except UserError as error:
            raise UserError(f"cannot be used: {error}") from None

"""Modules of the user's that add kinds of measurement."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from robustrepro.errors import UserError
from robustrepro.spec.measurements import KINDS


def load_extensions(modules: list[str]) -> None:
    """Import the modules that add kinds of measurement; they may lie in the folder that the run starts in.

    Raises
    ------
    UserError
        If one cannot be imported, or replaces a kind that there is.
    """
    folder = str(Path.cwd())
    if modules and folder not in sys.path:
        sys.path.append(folder)
    for name in modules:
        built_in = dict(KINDS)
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module of the user's may do
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"config.yaml: extensions: {name} cannot be imported ({why})") from None
        replaced = [kind for kind, declaration in built_in.items() if KINDS.get(kind) is not declaration]
        if replaced:
            KINDS.update(built_in)
            raise UserError(
                f"config.yaml: extensions: {name} replaces the kind '{replaced[0]}', so that nobody would know what is "
                "measured; give its own another name"
            )

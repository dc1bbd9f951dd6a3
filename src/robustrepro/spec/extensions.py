"""Modules of the user's that add kinds of measurement."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from robustrepro.errors import UserError


def load_extensions(modules: list[str]) -> None:
    """Import the modules that add kinds of measurement; they may lie in the folder that the run starts in.

    Raises
    ------
    UserError
        If one cannot be imported.
    """
    folder = str(Path.cwd())
    if modules and folder not in sys.path:
        sys.path.append(folder)
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module of the user's may do
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"config.yaml: extensions: {name} cannot be imported ({why})") from None

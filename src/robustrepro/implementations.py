"""From a declaration to the code that it stands for, imported only where it runs."""

from __future__ import annotations

import importlib
from typing import Any

from robustrepro.spec.base import Implemented

SELECTORS = frozenset({"name", "kind"})
"""Fields that choose a declaration's class and are no options of its implementation."""


def resolve(target: str) -> Any:
    """Import and return what ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def options_of(declared: Implemented) -> dict[str, Any]:
    """Return a declaration's options by name, nested declarations as they are."""
    return {name: getattr(declared, name) for name in type(declared).model_fields if name not in SELECTORS}


def made(declared: Implemented, *arguments: Any) -> Any:
    """Return what a declaration's implementation makes of the arguments and the declaration's options."""
    return resolve(declared.implementation)(*arguments, **options_of(declared))

"""Which other models a declaration reads: those whose features an attack in it compares images by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from robustrepro.spec.attacks import Attack, Features
from robustrepro.spec.measurements import walk

FIRST_SEED = 0
"""The seed of a model that is read, whichever seed reads it."""


def models_read_by(*declared: Any) -> list[str]:
    """Return the models whose weights declarations need beside those of the models that they are about, each once."""
    attacks = (each for root in declared for each in walk(root) if isinstance(each, Attack))
    return list(dict.fromkeys(model for attack in attacks for model in attack.reads_models()))


def reading_others(declared: Any, renamed: Callable[[str], str]) -> Any:
    """Return a declaration that reads the models of other names; the very same where they are the same.

    Parameters
    ----------
    declared
        Anything with attacks in it.
    renamed
        From the name of a model that it reads to the one that it is to read.
    """
    if isinstance(declared, Features):
        model = declared.model and renamed(declared.model)
        return declared if model == declared.model else declared.model_copy(update={"model": model})
    if isinstance(declared, BaseModel):
        changes = _changes({name: getattr(declared, name) for name in type(declared).model_fields}, renamed)
        return declared.model_copy(update=changes) if changes else declared
    if isinstance(declared, Mapping):
        changes = _changes(declared, renamed)
        return {**declared, **changes} if changes else declared
    if isinstance(declared, list | tuple):
        values = dict(enumerate(declared))
        changes = _changes(values, renamed)
        return type(declared)({**values, **changes}.values()) if changes else declared
    return declared


def _changes(values: Mapping[Any, Any], renamed: Callable[[str], str]) -> dict[Any, Any]:
    """Return those values that are others with the models renamed, by their key."""
    made = {key: reading_others(value, renamed) for key, value in values.items()}
    return {key: value for key, value in made.items() if value is not values[key]}

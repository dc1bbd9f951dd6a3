"""Validation errors in one sentence that names file and key, what was found and what is expected."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Return one sentence about the first mistake that pydantic found.

    Parameters
    ----------
    error
        What pydantic raised.
    model
        The declaration that the content was checked against.
    source
        The file, or where else the content came from.
    """
    first = error.errors()[0]
    location, found = first["loc"], first.get("input")
    fields, key = _walk(model, location)
    where = f"{source}: {key}" if key else source
    match first["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key{_nearest(str(location[-1]), fields)} (known: {', '.join(sorted(fields))})"
        case "union_tag_invalid":
            known = [name.strip(" '") for name in first["ctx"]["expected_tags"].split(",")]
            tag = first["ctx"]["tag"]
            return f"{where}.name: unknown name '{tag}'{_nearest(tag, known)} (known: {', '.join(sorted(known))})"
        case "union_tag_not_found":
            return f"{where}: expected a mapping with a key 'name', found {found!r}"
        case "missing":
            return f"{where}: this key is missing"
        case "value_error":
            return f"{where}: {first['ctx']['error']}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{where}: found {found!r}, {message.replace('input should', 'which should')}"


def _nearest(found: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(found, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], str]:
    """Follow a location; return the known keys of its last mapping, and the location as a user would write it.

    pydantic puts the tag of a union ("pgd") into the location, which is no key of the file.
    """
    annotation: Any = model
    fields: list[str] = []
    keys: list[str] = []
    for part in location:
        annotation = _plain(annotation)
        if get_origin(annotation) in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            tagged = [member for member in members if _tag(member) == part]
            if tagged:
                annotation = tagged[0]
                continue
            annotation = _plain(members[0])
        keys.append(f"[{part}]" if isinstance(part, int) else str(part))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            by_key = {field.alias or name: field for name, field in annotation.model_fields.items()}
            fields = list(by_key)
            field = by_key.get(str(part))
            annotation = field.annotation if field else Any
            if field is not None and field.discriminator:
                annotation = Annotated[annotation, field.discriminator]
        elif get_origin(annotation) in (dict, Mapping):
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) in (list, tuple):
            annotation = get_args(annotation)[0]
    return fields, ".".join(keys).replace(".[", "[")


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _tag(member: Any) -> str | None:
    """Return what selects a member of a union: its tag, or the value of its ``name``."""
    for tag in getattr(member, "__metadata__", ()):
        if isinstance(tag, Tag):
            return tag.tag
    member = _plain(member)
    if isinstance(member, type) and issubclass(member, BaseModel) and "name" in member.model_fields:
        values = get_args(member.model_fields["name"].annotation)
        return str(values[0]) if values else None
    return None

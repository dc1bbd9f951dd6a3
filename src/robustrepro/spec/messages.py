"""Validation errors in one sentence that names file and key, what was found and what is expected."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError

from robustrepro.spec.registry import OneOf

KEY = "[key]"
"""What pydantic puts into the location of a mapping's key that is no such key."""
EXPECTED = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
}
"""What is expected, where pydantic's words are not those of someone who writes YAML."""
IN_QUOTES = "; YAML takes unquoted words such as no, on or 8 for something else, so write it in quotes, as in '{}'"


def explain(error: ValidationError, declaration: Any, source: str) -> str:
    """Return one sentence about the first mistake that pydantic found.

    Parameters
    ----------
    error
        What pydantic raised.
    declaration
        The type that the content was checked against.
    source
        The file, or where else the content came from.
    """
    mistakes = error.errors()
    # A misspelt key is missing under its right name, too; what helps is to hear of the key that is there.
    # And where text or a list may stand, a list is no text, but what is wrong is inside it.
    first = next(
        (mistake for mistake in mistakes if mistake["type"] == "extra_forbidden"),
        next((mistake for mistake in mistakes if not _no_text_but_a_list(mistake)), mistakes[0]),
    )
    others = [mistake for mistake in mistakes if mistake is not first]
    location, found = first["loc"], first.get("input")
    fields, key = _walk(declaration, location)
    where = f"{source}: {key}" if key else source
    match first["type"]:
        case "extra_forbidden":
            return f"{where}: unknown key{_nearest(str(location[-1]), fields)} (known: {', '.join(sorted(fields))})"
        case "union_tag_invalid":
            known = [name.strip(" '") for name in first["ctx"]["expected_tags"].split(",")]
            tag = first["ctx"]["tag"]
            return f"{where}.name: unknown name '{tag}'{_nearest(tag, known)} (known: {', '.join(sorted(known))})"
        case "union_tag_not_found":
            if isinstance(found, Mapping) and (near := difflib.get_close_matches("name", map(str, found), n=1)):
                return f"{where}.{near[0]}: unknown key; did you mean 'name'?"
            return f"{where}: expected a mapping with a key 'name', found {_shown(found)}"
        case "missing":
            return f"{where}: this key is missing"
        case "value_error":
            why = str(first["ctx"]["error"])
            scalar = isinstance(found, str | int | float) and "found" not in why
            return f"{where}: {why}, found {_shown(found)}" if scalar else f"{where}: {why}"
        case kind if kind in EXPECTED:
            return f"{where}: expected {EXPECTED[kind]}, found {_shown(found)}"
    # Each member of a union says what it expects of the same value.
    same = [other for other in others if other.get("input") is found and _walk(declaration, other["loc"])[1] == key]
    expected = dict.fromkeys(_expectation(each) for each in (first, *same))
    unquoted = first["type"] == "string_type" and isinstance(found, bool | int | float | date)
    hint = IN_QUOTES.format(_as_written(found)) if unquoted else ""
    return f"{where}: found {_shown(found)}, {' or '.join(expected).replace(' or which should be', ' or')}{hint}"


def _no_text_but_a_list(mistake: Any) -> bool:
    return mistake["type"] == "string_type" and isinstance(mistake["input"], list)


def _as_written(found: object) -> str:
    """Return a word that YAML takes for this truth value, number or date, as somebody may have written it."""
    return {True: "yes", False: "no"}[found] if isinstance(found, bool) else str(found)


def _expectation(error: Any) -> str:
    """Return what was expected, to stand behind what was found."""
    if error["type"] in EXPECTED:
        return f"which should be {EXPECTED[error['type']]}"
    message = str(error["msg"])
    return (message[0].lower() + message[1:]).replace("input should", "which should")


def _shown(found: Any) -> str:
    """Return a value as Python writes it, the beginning alone where that is long."""
    text = repr(found)
    return text if len(text) <= 120 else f"{text[:100]}..."


def _nearest(found: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(found, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _walk(declaration: Any, location: tuple[int | str, ...]) -> tuple[list[str], str]:
    """Follow a location; return the known keys of its last mapping, and the location as a user would write it.

    pydantic puts the member of a union into the location (its tag, such as "pgd", or else its type), which is no key of
    the file.
    """
    annotation: Any = declaration
    fields: list[str] = []
    keys: list[str] = []
    for part in location:
        members = _members(annotation)
        if len(members) > 1:
            annotation = _member(members, part)
            continue
        annotation = members[0]
        if part == KEY:
            continue
        keys.append(f"[{part}]" if isinstance(part, int) else str(part))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            by_key = {field.alias or name: field for name, field in annotation.model_fields.items()}
            fields = list(by_key)
            field = by_key.get(str(part))
            annotation = field.rebuild_annotation() if field else Any
        elif get_origin(annotation) in (dict, Mapping):
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) in (list, tuple):
            annotation = get_args(annotation)[0]
    return fields, ".".join(keys).replace(".[", "[")


def _members(annotation: Any) -> list[Any]:
    """Return the types that a value may have, None not among them: of a union its members, else the one type."""
    for marker in getattr(annotation, "__metadata__", ()):
        if isinstance(marker, OneOf):
            return list(marker.members)
    annotation = _plain(annotation)
    if get_origin(annotation) not in (Union, types.UnionType):
        return [annotation]
    members = [member for member in get_args(annotation) if member is not type(None)]
    return _members(members[0]) if len(members) == 1 else members


def _member(members: list[Any], part: int | str) -> Any:
    """Return the member of a union that a part of a location names."""
    for member in members:
        origin = get_origin(_plain(member))
        if _tag(member) == part or (origin is not None and str(part).startswith(f"{origin.__name__}[")):
            return member
    return members[0]


def _plain(annotation: Any) -> Any:
    return _plain(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


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

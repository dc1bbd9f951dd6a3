"""Which names may be declared; `robustrepro.keys` has what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterable

from robustrepro.keys import KEY, THIS

KEY_IN_WORDS = (
    "expected at most 100 letters, digits, '.', '_' and '-', the first a letter or digit, and another word than 'this'"
)


def is_key(text: str) -> bool:
    """Tell whether a declared name can be part of a path, a target, or a claim's condition."""
    return re.fullmatch(KEY, text) is not None and text != THIS


def differing_in_case_alone(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that would be one file on macOS and Windows, or None if there are no such."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            return other, name
    return None

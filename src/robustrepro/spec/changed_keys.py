"""What is otherwise between two resolved specs, by the keys that a user writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_VALUE = 24
OVER_PAPERS = frozenset({"papers", "kept"})
"""Keys of the specs of what stands over all papers."""
UNNAMED = frozenset({"training", "declared", "measure"})
"""Keys of a spec that stand above what a user writes, and that no user writes."""


@dataclass(frozen=True)
class Difference:
    """A place in two specs where they differ, and what stands there; None where nothing does."""

    path: tuple[str, ...]
    old: Any
    new: Any

    @property
    def words(self) -> str:
        """The key with both values: ``optimizer.learning_rate: 0.001 → 0.002``; without them where they are long."""
        if self.path[0] in OVER_PAPERS:
            return "other papers than before"
        key = ".".join([part for part in self.path if part not in UNNAMED] or self.path)
        old, new = _value(self.old), _value(self.new)
        return f"{key}: {old} → {new}" if max(len(old), len(new)) <= LONGEST_VALUE else f"{key} is another"


def differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Yield each place where two trees differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield Difference(path, old, new)


def _value(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

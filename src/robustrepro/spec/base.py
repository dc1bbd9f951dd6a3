"""The strict base of every declaration, and the one way a spec becomes a string."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that becomes part of a path, a target, or a claim's condition."""


class Declaration(BaseModel):
    """A declaration read from YAML: unknown keys are errors, values are never coerced silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def canonical_json(value: Any) -> str:
    """Return the canonical JSON of a declaration or of plain data: sorted keys, no spaces.

    Snakemake compares these strings, so equal specs must give equal text.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)

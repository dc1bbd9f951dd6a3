"""The one way in which plain data become a string."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel


def canonical_json(value: Any) -> str:
    """Return the canonical JSON of a declaration or of plain data: sorted keys, no spaces.

    Snakemake compares these strings, so equal specs must give equal text.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)

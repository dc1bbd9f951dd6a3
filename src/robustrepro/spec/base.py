"""The strict base of every declaration."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that becomes part of a path, a target, or a claim's condition."""

_RATIO = re.compile(r"(\d+(?:\.\d+)?) ?/ ?(\d+(?:\.\d+)?)")


class Declaration(BaseModel):
    """A declaration read from YAML: unknown keys are errors, values are never coerced silently."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Implemented(Declaration):
    """A declaration that stands for code: ``implementation`` is its ``module:attribute``."""

    implementation: ClassVar[str]


def _quotient(value: Any) -> Any:
    """Return the number that a ratio such as ``8/255`` stands for; anything else as it is."""
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) / float(match[2]) if match and float(match[2]) else value


Number = Annotated[float, BeforeValidator(_quotient), Field(allow_inf_nan=False)]
"""A finite number, also as papers write it: ``8/255``."""

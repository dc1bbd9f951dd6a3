"""The strict base of every declaration."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
KEY_IN_WORDS = "expected at most 100 letters, digits, '.', '_' and '-', the first a letter or digit"
Key = Annotated[str, StringConstraints(pattern=KEY_PATTERN)]
"""A name that becomes part of a path, a target, or a claim's condition."""

_RATIO = re.compile(r"(\d+(?:\.\d+)?) ?/ ?(\d+(?:\.\d+)?)")


Seeds = Annotated[int, Field(ge=1, le=1000)]
"""How many seeds a model has: a job each, and a number that the plan counts through."""
OneLine = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
"""Text whose line breaks are spaces, as a long condition may have them in YAML."""


def is_key(text: str) -> bool:
    """Tell whether a name can be part of a path, a target, or a claim's condition."""
    return re.fullmatch(KEY_PATTERN, text) is not None and not text.endswith("\n")


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

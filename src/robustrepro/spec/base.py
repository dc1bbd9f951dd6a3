"""The strict base of every declaration."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from robustrepro.keys import NAME
from robustrepro.spec.names import KEY_IN_WORDS, is_key


def _key(text: str) -> str:
    if not is_key(text):
        raise ValueError(KEY_IN_WORDS)
    return text


Key = Annotated[str, AfterValidator(_key)]
"""A name that becomes part of a path, a target, or a claim's condition."""


def _name(text: str) -> str:
    if re.fullmatch(NAME, text) is None:
        raise ValueError(KEY_IN_WORDS)
    return text


Name = Annotated[str, AfterValidator(_name)]
"""The name of something declared, or of its variant under a reading: ``mnist-lenet5-hrm@clipped``."""

_DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
_POWER_OF_TEN = re.compile(rf"[-+]?{_DECIMAL}[eE][-+]?\d+", re.ASCII)
_RATIO = re.compile(rf"([-+]?{_DECIMAL}(?:[eE][-+]?\d+)?) ?/ ?({_DECIMAL}(?:[eE][-+]?\d+)?)", re.ASCII)


Seeds = Annotated[int, Field(ge=1, le=1000)]
"""How many seeds a model has: a job each, and a number that the plan counts through."""
OneLine = Annotated[str, AfterValidator(lambda text: " ".join(text.split()))]
"""Text whose line breaks are spaces, as a long condition may have them in YAML."""


class Declaration(BaseModel):
    """A declaration read from YAML: unknown keys are errors, values are never coerced silently.

    A step validates a few of them, so that each is built when it is first used: all of them would take 40 ms of every
    job.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


LAZY = ConfigDict(defer_build=True)
"""Of what is validated without a class of its own."""


class Implemented(Declaration):
    """A declaration that stands for code: ``implementation`` is its ``module:attribute``."""

    implementation: ClassVar[str]


def _number(value: Any) -> Any:
    """Return the number that text such as ``8/255`` or ``1e-2`` stands for; anything else as it is."""
    if not isinstance(value, str):
        return value
    if _POWER_OF_TEN.fullmatch(value):
        return float(value)
    match = _RATIO.fullmatch(value)
    return float(match[1]) / float(match[2]) if match and float(match[2]) else value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""A finite number, also as papers write it: ``8/255``, and ``1e-2``, which YAML 1.1 takes for text."""

"""Regenerate the tables and figures of papers on adversarial robustness, beside the printed numbers.

Of use outside the papers, as ``import robustrepro as rr``:

- `rr.audit`: is a model's robustness real? Every attack, alarms, the worst case per image, a report.
- `rr.attack`: one attack on a model, one row per image.
- `rr.load`: a model of a finished run, with its test set and card.
- `rr.measurements`: all measurements of a finished run in one data frame.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_OFFERED = {
    "Audit": "robustrepro.api.auditing",
    "Loaded": "robustrepro.api.finished",
    "UserError": "robustrepro.errors",
    "attack": "robustrepro.api.attacking",
    "audit": "robustrepro.api.auditing",
    "load": "robustrepro.api.finished",
    "measurements": "robustrepro.api.finished",
}
"""By name, the module that has it; it is imported when it is first asked for, since PyTorch takes seconds.

What type checkers are to know of them stands in the stub beside this file: an import here, even one for type checkers
alone, would bring every module that a name needs into the digest of every job.
"""

__all__ = ["Audit", "Loaded", "UserError", "attack", "audit", "load", "measurements"]


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OFFERED})

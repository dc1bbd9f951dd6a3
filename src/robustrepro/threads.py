"""How many processor cores the numerical libraries use: as many as a step was given, whatever the environment says.

Sums are taken in another order by another number of threads, so that the number changes a training's weights.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What the libraries read when they are imported."""


def use_threads(count: int) -> None:
    """Let the libraries compute with so many threads, those that are imported already and those still to come.

    Best called before any of them is imported: a library that is there already (in the fork of a warm start) is told by
    its own means.
    """
    told_otherwise = any(os.environ.get(name) != str(count) for name in VARIABLES)
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    modules: Mapping[str, Any] = sys.modules
    if "torch" in modules:
        modules["torch"].set_num_threads(count)
    if "numpy" in modules and told_otherwise:
        import threadpoolctl  # type: ignore[import-untyped]

        threadpoolctl.threadpool_limits(count, user_api="blas")

"""Outputs of real reference implementations, where the machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ORACLES = Path(os.environ.get("ROBUSTREPRO_ORACLES") or Path(__file__).parents[2] / "shared" / "oracles")


def oracle(name: str) -> Path:
    """Return a folder of recorded outputs, or skip the test that asks for it."""
    folder = ORACLES / name
    if not folder.is_dir():
        pytest.skip(f"the recorded outputs in {folder} are not there; ROBUSTREPRO_ORACLES may name their folder")
    return folder

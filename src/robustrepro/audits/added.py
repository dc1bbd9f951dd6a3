"""What the audit adds to the attacks that are declared, as files name it."""

from __future__ import annotations

UNIFORM_NOISE = "uniform noise"
"""The noise of an alarm among the attacks on a model; no declared attack can have such a key."""

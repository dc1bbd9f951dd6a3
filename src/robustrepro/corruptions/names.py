"""What stands in measurements where no corruption does."""

from __future__ import annotations

CLEAN = "clean"
"""The name of images that are not corrupted; their severity is 0."""

"""What a declared name looks like: a part of a path, of a target, and of a claim's condition."""

from __future__ import annotations

THIS = "this"
"""The row that a cell's value stands in, and therefore no name."""
AT = "@"
"""Stands between a declared name and the reading that changes what it stands for: ``table2@clipped``."""
KEY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""The regular expression of a name that somebody declares."""
NAME = rf"{KEY}(?:{AT}{KEY})?"
"""The regular expression of what refers to a declared name, or to what a reading makes of one."""

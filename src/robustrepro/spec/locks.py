"""Snakemake's lock after a kill: cleared, but only when no living run can hold it."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

LOCKS = Path(".snakemake/locks")
LIVING = Path(".snakemake/living.lock")
"""Locked by a run as long as it lives; the system lets go of it when the process ends, however it ends."""


def clear_stale_lock() -> TextIO | None:
    """Remove the lock that a killed run left behind in the working directory.

    Returns
    -------
    What to keep open for as long as this run lives; None if another run lives, whose lock is left alone.
    """
    LIVING.parent.mkdir(exist_ok=True)
    stream = LIVING.open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    for lock in LOCKS.glob("*.lock"):
        lock.unlink()
    return stream

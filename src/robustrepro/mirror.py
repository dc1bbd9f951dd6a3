"""The folder in which a user keeps official data files and given weights, as steps see it."""

from __future__ import annotations

import os
from pathlib import Path

from robustrepro.errors import UserError

VARIABLE = "ROBUSTREPRO_MIRROR"
"""Environment variable that tells the steps of the folder."""


def in_mirror(place: str, what: str, otherwise: str) -> Path:
    """Return where something lies in the mirror.

    Parameters
    ----------
    place
        Below the mirror's folder.
    what
        What lies there, for the message.
    otherwise
        What can be done without it.

    Raises
    ------
    UserError
        If there is no mirror.
    """
    mirror = os.environ.get(VARIABLE)
    if not mirror:
        raise UserError(
            f"{what} should be at {place} in the folder that data.mirror in config.yaml (or the environment variable "
            f"{VARIABLE}) names, and it names none. Put what is needed there, or {otherwise}"
        )
    return Path(mirror) / place

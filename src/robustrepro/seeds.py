"""Independent random streams, each derived from (seed, purpose)."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, purpose: str, *indices: int) -> int:
    """Return a 63-bit seed for one stream of randomness.

    Weights, data order and attack starts each draw from a stream of their own, so that adding an attack
    changes no other number.

    Parameters
    ----------
    seed
        The seed that the user sees (0, 1, ...).
    purpose
        What the stream is for, such as ``"weights"`` or ``"attack start"``.
    indices
        What distinguishes streams of one purpose, such as the image's index and the restart.
    """
    text = "\x1f".join([str(seed), purpose, *map(str, indices)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

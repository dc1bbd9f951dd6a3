"""The precision of a pass through the model: true float32 for verdicts, a lower one for the search where asked for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from robustrepro.errors import UserError
from robustrepro.precision import tf32
from robustrepro.spec.attacks import Search


def search_precision(search: Search | None, device: torch.device) -> AbstractContextManager[None]:
    """Return the context in which an attack's iterates go through the model.

    Raises
    ------
    UserError
        If TF32 is asked for and the model is not on a CUDA device.
    """
    if search == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    if search == "tf32":
        if device.type != "cuda":
            raise UserError(f"search is 'tf32', but the model is on {device}; TF32 exists on CUDA devices only")
        return tf32(allowed=True)
    return nullcontext()

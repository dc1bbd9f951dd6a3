"""The precision of a pass through the model: true float32 for verdicts, a lower one for the search where asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from robustrepro.errors import UserError
from robustrepro.spec.attacks import Search


@contextmanager
def tf32(*, allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32, float32 with 10 bits of mantissa, in CUDA's products and convolutions inside the block.

    PyTorch allows it in convolutions unless told otherwise. The settings are left as they were found.
    """
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    found = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = "tf32" if allowed else "ieee"
    try:
        yield
    finally:
        for backend, precision in zip(backends, found, strict=True):
            backend.fp32_precision = precision


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

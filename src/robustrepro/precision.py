"""Where TF32 is allowed: decided in one place, and never where a verdict is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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

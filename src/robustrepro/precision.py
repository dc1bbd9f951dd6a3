"""In which precision CUDA multiplies float32 numbers: the one place where that is decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


@contextmanager
def float32_products(precision: Literal["ieee", "tf32"]) -> Iterator[None]:
    """Let CUDA's matrix products and convolutions of float32 run in true float32 (``ieee``) or in TF32 in the block.

    TF32 keeps 10 bits of the mantissa. PyTorch allows it in convolutions unless told otherwise. The settings are left
    as they were found, also when the block fails; they can be set without a GPU.
    """
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)  # type: ignore[attr-defined]
    previous = [backend.fp32_precision for backend in backends]
    for backend in backends:
        backend.fp32_precision = precision
    try:
        yield
    finally:
        for backend, setting in zip(backends, previous, strict=True):
            backend.fp32_precision = setting


@contextmanager
def true_float32() -> Iterator[None]:
    """Forbid TF32: every pass through a model whose answer counts as a verdict or a measurement runs inside.

    Also a decorator: ``@true_float32()``.
    """
    with float32_products("ieee"):
        yield

"""The precision of an attack's model, and the lower one in which its search may run.

Verdicts are taken in true float32 or float64 whatever the search (`robustrepro.precision.true_float32`).
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from robustrepro.errors import UserError
from robustrepro.precision import float32_products
from robustrepro.spec.attacks import Precision, Search

PRECISIONS: dict[Precision, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


def in_float64(model: nn.Module, images: torch.Tensor) -> nn.Module | None:
    """Return a copy of a model in float64; None where it does not compute in it.

    Parameters
    ----------
    model
        In evaluation mode.
    images
        One or more that it can be tried on, on its device.
    """
    try:
        wide = copy.deepcopy(model).double()
        with torch.no_grad():
            return wide if wide(images.double()).dtype == torch.float64 else None
    except RuntimeError:  # as of a line that makes a tensor of another precision
        return None


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
        return float32_products("tf32")
    return nullcontext()

"""The images that an adversarial data set was made of."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from robustrepro.datasets.manifest import read_manifest
from robustrepro.datasets.tensors import load


def load_originals(folder: Path) -> Tensor:
    """Return each example as it was before it was attacked, as its data set has it: uint8 or float32, shape (N, ...).

    Parameters
    ----------
    folder
        That of a data set that was made from a model.

    Raises
    ------
    UserError
        As :func:`robustrepro.datasets.tensors.load`: only what matches the manifest is trusted.
    """
    load(folder, "test")
    with safe_open(folder / read_manifest(folder).test.name, "pt") as file:
        originals: Tensor = file.get_tensor("origin_inputs")
    return originals

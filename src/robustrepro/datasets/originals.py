"""The images that an adversarial data set was made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor

from robustrepro.datasets.manifest import read_manifest, remake
from robustrepro.errors import UserError


def load_originals(folder: Path) -> Tensor:
    """Return each example as it was before it was attacked, as its data set has it: uint8 or float32, shape (N, ...).

    Parameters
    ----------
    folder
        That of a data set that was made from a model.

    Raises
    ------
    UserError
        If the tensors are not those that the manifest describes, or the data set was not made by an attack.
    """
    described = read_manifest(folder).test
    path = folder / described.name
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != described.sha256:
        raise UserError(f"{path}: not the bytes that the manifest describes. {remake(folder)}")
    try:
        return parse_safetensors(content)["origin_inputs"]
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path}: no originals of adversarial examples ({error}). {remake(folder)}") from None

"""Weights that somebody else trained: found in the mirror, or fetched from where torchvision keeps its own."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save_file
from torch import Tensor, nn

from robustrepro.errors import UserError, unknown_name
from robustrepro.files import atomic_path
from robustrepro.mirror import VARIABLE, in_mirror
from robustrepro.models.build import require_fit
from robustrepro.models.preprocessed import Preprocessed
from robustrepro.spec.models import GivenWeights

TORCHVISION_FOLDER = "imagenet"
"""Where in the mirror torchvision's files of weights may lie, under their official names."""
HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")
"""The first digits of a file's SHA-256, which torchvision's names end in."""


class Given(NamedTuple):
    """Weights by name, where they came from, and the file that they were in: its SHA-256, and safetensors' bytes.

    ``place`` is where the file lies, for messages.
    """

    state: dict[str, Tensor]
    source: str
    place: str
    sha256: str
    safetensors: bytes | None = None


def given_weights(declared: GivenWeights) -> Given:
    """Return given weights, once they are known to be the declared ones.

    Raises
    ------
    UserError
        If they are missing, cannot be had, or are other than declared.
    """
    if declared.torchvision is not None:
        return _of_torchvision(declared.torchvision)
    assert declared.file is not None
    assert declared.sha256 is not None
    content = _read_in_mirror(declared.file, f"sha256 {declared.sha256}")
    found = hashlib.sha256(content).hexdigest()
    if found != declared.sha256:
        raise UserError(f"{_in_mirror(declared.file)}: sha256 {found} found, {declared.sha256} declared. Replace it")
    try:
        return Given(parse_safetensors(content), declared.file, str(_in_mirror(declared.file)), found, content)
    except SafetensorError as error:
        raise UserError(f"{_in_mirror(declared.file)}: expected a safetensors file ({error})") from None


def give(model: nn.Module, given: Given, architecture: str, weights: Path) -> None:
    """Load given weights into a network, or into what is behind its preprocessing, and write the network's weights.

    Which of the two they are of, their names tell. The network's own are copied byte for byte.

    Raises
    ------
    UserError
        If they do not fit; the message names the tensors that are missing, left over, or of another shape.
    """
    behind = isinstance(model, Preprocessed) and not given.state.keys() & model.state_dict().keys()
    own = model.get_submodule("architecture") if behind else model
    require_fit(own, given.state, f"{given.place}: the given file", f"the architecture {architecture}")
    with atomic_path(weights) as partial:
        if given.safetensors is None or behind:
            save_file({key: value.contiguous() for key, value in model.state_dict().items()}, partial)
        else:
            partial.write_bytes(given.safetensors)


def _of_torchvision(name: str) -> Given:
    """Return weights of torchvision's model zoo, from the mirror if they lie there, else downloaded."""
    from torchvision.models import get_weight

    try:
        address = str(get_weight(name).url)
    except (ValueError, AttributeError, KeyError):
        from torchvision import models

        known = [f"{kind}.{weight}" for kind in dir(models) if kind.endswith("_Weights") for weight in _names_in(kind)]
        raise unknown_name("weights of torchvision", name, known) from None
    file = Path(urlsplit(address).path).name
    mirror = os.environ.get(VARIABLE)
    path = Path(mirror, TORCHVISION_FOLDER, file) if mirror else None
    is_there = path is not None and path.is_file()
    content = path.read_bytes() if path is not None and is_there else _downloaded(name, address, file, path)
    place = str(path) if is_there else f"{file} from {urlsplit(address).netloc}"
    digest = hashlib.sha256(content).hexdigest()
    expected = HASH_IN_NAME.search(file)
    if expected and not digest.startswith(expected[1]):
        raise UserError(f"{place}: sha256 {digest} found, one that begins with {expected[1]} expected")
    # Of the bytes that the name's checksum is of, and tensors alone: a pickle that asks for more is refused.
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"{place}: not a file of weights ({error})") from None
    return Given(state, f"torchvision, {name}", place, digest)


def _names_in(kind: str) -> list[str]:
    from torchvision import models

    return list(getattr(models, kind).__members__)


def _downloaded(name: str, address: str, file: str, path: Path | None) -> bytes:
    """Return a file of torchvision's from its host."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            torch.hub.download_url_to_file(address, f"{folder}/{file}", progress=False)
        except (OSError, HTTPException) as error:
            where = path or f"{TORCHVISION_FOLDER}/{file} of the folder that data.mirror in config.yaml names"
            raise UserError(
                f"{name}: {file} could not be downloaded from {urlsplit(address).netloc} ({error}). Put it at {where}; "
                "or leave the model out (leave_out in config.yaml), and what it is needed for is not measured"
            ) from None
        return Path(folder, file).read_bytes()


def _read_in_mirror(file: str, what: str) -> bytes:
    path = _in_mirror(file)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}). The folder that data.mirror in config.yaml (or the "
            f"environment variable ROBUSTREPRO_MIRROR) names should hold this file, {what}"
        ) from None


def _in_mirror(file: str) -> Path:
    """Return where a given file should lie."""
    return in_mirror(file, "given weights", "leave the model out ('leave_out' in config.yaml)")

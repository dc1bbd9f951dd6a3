"""A prepared data set as tensors: the only module that training and measurements need from this package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from torch import Tensor

from robustrepro.datasets.manifest import MANIFEST, read_manifest, remake
from robustrepro.errors import UserError
from robustrepro.files import sha256_of


@dataclass(frozen=True)
class Split:
    """The training or test examples of a data set.

    Attributes
    ----------
    inputs
        Images, uint8, shape (N, C, H, W); or points, float32, shape (N, 2).
    labels
        Classes 0 .. classes − 1, int64, shape (N,).
    classes
        The number of classes.
    manifest_sha256
        Checksum of the manifest, for the cards of what is computed from these tensors.
    verified
        Whether the source files were the official ones.
    """

    inputs: Tensor
    labels: Tensor
    classes: int
    manifest_sha256: str
    verified: bool


def load(folder: Path, split: Literal["train", "test"]) -> Split:
    """Load one split of the data set in ``folder``, trusting only what matches the manifest.

    Raises
    ------
    UserError
        If the manifest or the tensor file is missing, or its bytes are not those that the manifest describes.
    """
    manifest = read_manifest(folder)
    described = manifest.train if split == "train" else manifest.test
    path = folder / described.name
    # The bytes that are checked are the bytes that are parsed.
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file, but {MANIFEST} describes it. {remake(folder)}") from None
    if len(content) != described.bytes:
        message = f"{path}: {len(content)} bytes found, {described.bytes} expected by {MANIFEST}. {remake(folder)}"
        raise UserError(message)
    found = hashlib.sha256(content).hexdigest()
    if found != described.sha256:
        message = f"{path}: sha256 {found} found, {described.sha256} expected by {MANIFEST}. {remake(folder)}"
        raise UserError(message)
    try:
        tensors = parse_safetensors(content)
        inputs, labels = tensors["inputs"], tensors["labels"]
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path}: not a data set's tensor file ({error}). {remake(folder)}") from None
    return Split(inputs, labels.long(), manifest.classes, sha256_of(folder / MANIFEST), manifest.verified)


def as_float(inputs: Tensor) -> Tensor:
    """Return what a network is fed: uint8 images as float32 in [0, 1]; points as they are."""
    return inputs.to(torch.float32) / 255 if inputs.dtype == torch.uint8 else inputs

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

from robustrepro.datasets.manifest import MANIFEST, AttackRecord, Manifest, TensorFile, read_manifest, remake
from robustrepro.errors import UserError
from robustrepro.files import sha256_of


@dataclass(frozen=True)
class Origins:
    """Where the examples of a data set that was made from a model come from.

    Attributes
    ----------
    index
        Each image's index in the split that it was made from, int64, shape (N,).
    attack
        Which of the attacks made it, int64, shape (N,).
    attacks
        The attacks, with their norms and radii.
    """

    index: Tensor
    attack: Tensor
    attacks: tuple[AttackRecord, ...]


@dataclass(frozen=True)
class Split:
    """The training or test examples of a data set.

    Attributes
    ----------
    inputs
        Images, uint8 or (adversarial ones) float32, shape (N, C, H, W); or points, float32, shape (N, 2).
    labels
        Classes 0 .. classes − 1, int64, shape (N,).
    classes
        The number of classes.
    manifest_sha256
        Checksum of the manifest, for the cards of what is computed from these tensors.
    verified
        Whether the source files were the official ones.
    name
        The data set's name.
    box
        Range of valid pixels, as floats; None for points, and for images that were made without clipping.
    origins
        Where each example comes from, for a data set that was made from a model.
    """

    inputs: Tensor
    labels: Tensor
    classes: int
    manifest_sha256: str
    verified: bool
    name: str
    box: tuple[float, float] | None
    origins: Origins | None = None


def load(folder: Path, split: Literal["train", "test"]) -> Split:
    """Load one split of the data set in ``folder``, trusting only what matches the manifest.

    Raises
    ------
    UserError
        If the data set has no such split, the manifest or the tensor file is missing, or its bytes are not those that
        the manifest describes.
    """
    manifest = read_manifest(folder)
    described = manifest.train if split == "train" else manifest.test
    if described is None:
        original = f" of '{manifest.made_from.dataset}'" if manifest.made_from else ""
        message = (
            f"{folder}: the data set '{manifest.name}' has no training split: it was made from a test split{original}. "
            "Train on another data set and measure on this one."
        )
        raise UserError(message)
    path = folder / described.name
    try:
        tensors = parse_safetensors(_checked_bytes(path, described))
        inputs, labels = tensors["inputs"], tensors["labels"].long()
        origins = _origins(manifest, tensors)
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path}: not a data set's tensor file ({error}). {remake(folder)}") from None
    clipped = manifest.made_from is None or manifest.made_from.clipped
    box = (0.0, 1.0) if clipped and inputs.ndim == 4 else None
    manifest_sha256 = sha256_of(folder / MANIFEST)
    return Split(inputs, labels, manifest.classes, manifest_sha256, manifest.verified, manifest.name, box, origins)


def _checked_bytes(path: Path, described: TensorFile) -> bytes:
    """Return a tensor file's bytes once they have been held against the manifest: these are the bytes to parse."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        message = f"{path}: there is no such file, but {MANIFEST} describes it. {remake(path.parent)}"
        raise UserError(message) from None
    if len(content) != described.bytes:
        message = f"{path}: {len(content)} bytes found, {described.bytes} expected by {MANIFEST}. {remake(path.parent)}"
        raise UserError(message)
    found = hashlib.sha256(content).hexdigest()
    if found != described.sha256:
        message = f"{path}: sha256 {found} found, {described.sha256} expected by {MANIFEST}. {remake(path.parent)}"
        raise UserError(message)
    return content


def _origins(manifest: Manifest, tensors: dict[str, Tensor]) -> Origins | None:
    if manifest.made_from is None or manifest.made_from.attacks is None:
        return None
    return Origins(tensors["origin_index"], tensors["origin_attack"], manifest.made_from.attacks)


def as_float(inputs: Tensor) -> Tensor:
    """Return what a network is fed: uint8 images as float32 in [0, 1]; float images and points as they are."""
    return inputs.to(torch.float32) / 255 if inputs.dtype == torch.uint8 else inputs

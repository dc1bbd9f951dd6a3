"""A prepared data set as tensors: the only module that training and measurements need from this package."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import load_file
from torch import Tensor

from robustrepro.datasets.manifest import MANIFEST, AttackRecord, Manifest, TensorFile, read_manifest, remake
from robustrepro.errors import UserError
from robustrepro.files import sha256_of

LARGE = 2**30
"""Bytes of a file that is not read into memory, but mapped: what of it is used comes and goes."""


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
        tensors = _mapped(path, described) if described.bytes > LARGE else parse_safetensors(_checked(path, described))
        inputs, labels = tensors["inputs"], tensors["labels"].long()
        origins = _origins(manifest, tensors)
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path}: not a data set's tensor file ({error}). {remake(folder)}") from None
    clipped = manifest.made_from is None or manifest.made_from.clipped
    box = (0.0, 1.0) if clipped and inputs.ndim == 4 else None
    manifest_sha256 = sha256_of(folder / MANIFEST)
    return Split(inputs, labels, manifest.classes, manifest_sha256, manifest.verified, manifest.name, box, origins)


def _checked(path: Path, described: TensorFile) -> bytes:
    """Return a tensor file's bytes once they have been held against the manifest: these are the bytes to parse."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise _missing(path) from None
    _require_described(path, described, len(content), hashlib.sha256(content).hexdigest)
    return content


def _mapped(path: Path, described: TensorFile) -> dict[str, Tensor]:
    """Return a large file's tensors, which are read where they are used, once its bytes match the manifest."""
    try:
        _require_described(path, described, path.stat().st_size, lambda: sha256_of(path))
    except FileNotFoundError:
        raise _missing(path) from None
    return load_file(path)


def _missing(path: Path) -> UserError:
    return UserError(f"{path}: there is no such file, but {MANIFEST} describes it. {remake(path.parent)}")


def _require_described(path: Path, described: TensorFile, size: int, digest: Callable[[], str]) -> None:
    if size != described.bytes:
        message = f"{path}: {size} bytes found, {described.bytes} expected by {MANIFEST}. {remake(path.parent)}"
        raise UserError(message)
    if (found := digest()) != described.sha256:
        message = f"{path}: sha256 {found} found, {described.sha256} expected by {MANIFEST}. {remake(path.parent)}"
        raise UserError(message)


def _origins(manifest: Manifest, tensors: dict[str, Tensor]) -> Origins | None:
    if manifest.made_from is None or manifest.made_from.attacks is None:
        return None
    return Origins(tensors["origin_index"], tensors["origin_attack"], manifest.made_from.attacks)


def as_float(inputs: Tensor) -> Tensor:
    """Return what a network is fed: uint8 images as float32 in [0, 1]; float images and points as they are."""
    if inputs.dtype != torch.uint8:
        return inputs
    return inputs.to(torch.float32).div_(255)  # in place: whole splits are held

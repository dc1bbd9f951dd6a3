"""A data set's manifest: what it is, and the checksums by which its tensors are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robustrepro.errors import UserError
from robustrepro.spec.base import Declaration

MANIFEST = "manifest.json"


class TensorFile(Declaration):
    """One split's file: ``inputs`` and ``labels`` are the shapes of its two tensors."""

    name: str
    sha256: str
    bytes: int
    examples: int
    inputs: tuple[int, ...]
    labels: tuple[int, ...]


class DifferingFile(Declaration):
    """A source file whose bytes are not the official ones."""

    name: str
    found_md5: str
    expected_md5: str


class Manifest(Declaration):
    """What ``manifest.json`` holds; equal sources give an equal manifest, wherever they were fetched from.

    ``spec`` is what was asked for, as plain data: its class would bring every data set's declaration into every step.
    ``verified`` says that no source file differs from its official checksum; ``differing`` has those that do.
    """

    name: str
    spec: dict[str, Any]
    source: str
    classes: int
    train: TensorFile
    test: TensorFile
    verified: bool
    differing: tuple[DifferingFile, ...] = ()


def remake(folder: Path) -> str:
    """Return the sentence that tells a user how to make a data set anew."""
    return f"Delete the folder {folder} and run again: the data set is then made anew."


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the data set in ``folder``.

    Raises
    ------
    UserError
        If it is missing or not a manifest of this version.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        message = f"{path}: there is no such file, so the data set was never made, or not to its end. {remake(folder)}"
        raise UserError(message) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        message = f"{path}: not a data set's manifest of this version ({where}: {first['msg']}). {remake(folder)}"
        raise UserError(message) from None

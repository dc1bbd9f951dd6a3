"""A data set's manifest: what it is, and the checksums by which its tensors are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robustrepro.errors import UserError
from robustrepro.spec.base import Declaration

MANIFEST = "manifest.json"


class TensorFile(Declaration):
    """One split's file: ``inputs`` and ``labels`` are the shapes of these two tensors.

    The test split of a data set that was made from a model has three more: ``origin_index`` and ``origin_attack``, of
    the shape of the labels, each image's index in the split that it was made from, and the number of its attack in the
    manifest's ``attacks``; and ``origin_inputs``, the images as they were before. Both splits of one that is a part of
    another have the first two: the index in the split that each example is from, and −1 for no attack.
    """

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


class AttackRecord(Declaration):
    """What one attack gave: of ``attacked`` images it took ``kept`` to where the model errs.

    ``declared`` is the whole attack as plain data; ``norm`` and ``epsilon`` are absent where it has none.
    """

    name: str
    norm: str | None = None
    epsilon: float | None = None
    declared: dict[str, Any]
    attacked: int
    kept: int


class ModelRecord(Declaration):
    """The model that a data set was made from, the sources (``code``) that did it, and on what they ran.

    ``seed`` is the model's own, and ``attack_seed`` that of the attacks' random starts.
    """

    model: str
    seed: int
    network: dict[str, Any]
    weights_sha256: str
    attack_seed: int
    code: str
    device: str
    versions: dict[str, str]


class MadeFrom(Declaration):
    """What a data set was made from: another one, known by its manifest's sha256, and maybe a model.

    ``clipped`` says whether its pixels stay in [0, 1].
    """

    dataset: str
    manifest_sha256: str
    clipped: bool = True
    model: ModelRecord | None = None
    attacks: tuple[AttackRecord, ...] | None = None


class Gaps(Declaration):
    """What a folder of images lacks: how many ``images`` it has, which classes have none, and what cannot be read.

    ``others`` are files with other names than the official ones, and ``uneven`` says that not all classes have as many.
    """

    images: int
    missing_classes: tuple[int, ...] = ()
    unreadable: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    uneven: bool = False


class Manifest(Declaration):
    """What ``manifest.json`` holds; equal sources give an equal manifest, wherever they were fetched from.

    ``spec`` is what was asked for, as plain data: its class would bring every data set's declaration into every step.
    ``verified`` says that no source file differs from its official checksum, or is missing; ``differing`` has those
    that do, ``gaps`` what is missing of a folder of images. A data set that was made from another one inherits the
    first two. What is None is left out of the file.
    """

    name: str
    spec: dict[str, Any]
    source: str
    classes: int
    train: TensorFile | None = None
    test: TensorFile
    verified: bool
    differing: tuple[DifferingFile, ...] = ()
    gaps: Gaps | None = None
    made_from: MadeFrom | None = None


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

"""CIFAR-10's batches: pickles, read without letting them run anything."""

from __future__ import annotations

import codecs
import io
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from robustrepro.datasets.examples import Examples, Ingredients, MadeDataset
from robustrepro.datasets.official import official_files
from robustrepro.errors import UserError
from robustrepro.spec.datasets import Cifar10Spec, OfficialFile


def make(declared: Cifar10Spec, ingredients: Ingredients) -> MadeDataset:
    """Check and read CIFAR-10's unpacked batches, or else its archive, from a mirror or downloaded.

    Raises
    ------
    UserError
        If neither is there, or a file is missing, not allowed, truncated, or not what its name says.
    """
    with official_files(declared.name, ingredients, lambda: _addresses(declared)) as (folder, checker):
        unpacked, archive = folder / declared.batches_folder, folder / declared.archive.name
        if unpacked.is_dir():
            checker.read(unpacked / declared.class_names_file.name, declared.class_names_file)
            train, test = (
                _joined([parse_batch(checker.read(unpacked / file.name, file), unpacked / file.name) for file in files])
                for files in (declared.train_files, declared.test_files)
            )
        elif archive.exists():
            content = checker.read(archive, declared.archive)
            train, test = (
                _joined(_parse_members(content, archive, [f"{declared.batches_folder}/{file.name}" for file in files]))
                for files in (declared.train_files, declared.test_files)
            )
        else:
            message = (
                f"{folder}: neither the folder {declared.batches_folder} nor {declared.archive.name} is there. The key "
                "data.mirror in config.yaml (or the environment variable ROBUSTREPRO_MIRROR) names a folder that "
                f"should have the official files of '{declared.name}'. Put one of the two there, or leave data.mirror "
                "empty to download."
            )
            raise UserError(message)
    return MadeDataset(train, test, declared.classes, declared.source, tuple(checker.differing))


def _addresses(declared: Cifar10Spec) -> dict[OfficialFile, list[str]]:
    """Return where the archive can be downloaded: on the host that torchvision keeps."""
    from torchvision import datasets

    return {declared.archive: [datasets.CIFAR10.url]}


def _parse_members(archive: bytes, path: Path, names: list[str]) -> list[Examples]:
    batches = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for name in names:
                member = tar.extractfile(name)
                if member is None:
                    raise UserError(f"{path}: {name} is not a file.")
                batches.append(parse_batch(member.read(), path / name))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path}: truncated or not a gzipped tar archive ({error}). Fetch it anew.") from None
    except KeyError as error:
        raise UserError(f"{path}: not CIFAR-10's python version: {error.args[0]}. Fetch it anew.") from None
    return batches


def _joined(batches: list[Examples]) -> Examples:
    return Examples(
        np.concatenate([batch.inputs for batch in batches]), np.concatenate([batch.labels for batch in batches])
    )


class _Forbidden(pickle.UnpicklingError):
    pass


class _ArraysOnly(pickle.Unpickler):
    """Builds plain data and NumPy arrays; whatever else a pickle names is refused before it is looked up."""

    # NumPy's own helper has moved between releases; an array's pickle has the one of this release.
    _reconstruct = np.empty(0).__reduce__()[0]
    _allowed = {  # noqa: RUF012 - a constant
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): codecs.encode,
    }

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._allowed[module_name, global_name]
        except KeyError:
            raise _Forbidden(f"{module_name}.{global_name}") from None


def parse_batch(content: bytes, path: Path) -> Examples:
    """Return the images of one pickled batch; ``path`` is what errors call it.

    Raises
    ------
    UserError
        If the pickle asks for anything but NumPy arrays, is damaged, or is not a batch.
    """
    try:
        # The official batches were pickled by Python 2.
        batch = _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
        images, labels = batch["data"], np.asarray(batch["labels"])
        if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or images.shape != (len(labels), 3 * 32 * 32):
            raise ValueError(f"images {images.dtype} {images.shape}, labels {labels.dtype} {labels.shape}")
    except _Forbidden as error:
        message = (
            f"{path}: refused: this pickle asks for '{error}'; a CIFAR-10 batch needs NumPy arrays only, and a pickle "
            "that asks for more can run any program. Fetch the file anew from a source that you trust."
        )
        raise UserError(message) from None
    except Exception as error:  # a damaged pickle can raise anything
        message = f"{path}: not a CIFAR-10 batch ({type(error).__name__}: {error}). Fetch it anew."
        raise UserError(message) from None
    return Examples(images.reshape(-1, 3, 32, 32), labels)

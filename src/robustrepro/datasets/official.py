"""The published files of a data set: found in a mirror or downloaded, and held against their checksums."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

from robustrepro.datasets.manifest import DifferingFile
from robustrepro.errors import UserError
from robustrepro.spec.datasets import DATASETS, Cifar10Spec, MnistSpec, OfficialFile

log = logging.getLogger("robustrepro")


def md5_of(content: bytes) -> str:
    """Return the hexadecimal MD5 of bytes; the data sets' authors published no better checksum."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclass
class Checker:
    """Holds files against their official checksums and remembers those that differ.

    Parameters
    ----------
    dataset
        The name of the data set.
    allow_unverified
        Whether other bytes than the official ones are accepted, and remembered in ``differing``.
    """

    dataset: str
    allow_unverified: bool
    differing: list[DifferingFile] = field(default_factory=list)

    def read(self, path: Path, official: OfficialFile) -> bytes:
        """Return a file's bytes once they have been held against the official checksum.

        Raises
        ------
        UserError
            If it is missing; if it differs and that is not allowed; or if it is an official file of another data
            set, which is never allowed.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            message = (
                f"{path}: cannot be read ({error.strerror}). The folder that data.mirror in config.yaml (or the "
                f"environment variable ROBUSTREPRO_MIRROR) names should have this official file of '{self.dataset}', "
                f"in itself or in its folder '{_folder_names(self.dataset)[0]}'. Put it there, or leave data.mirror "
                "empty to download it."
            )
            raise UserError(message) from None
        found = md5_of(content)
        if found == official.md5:
            return content
        difference = f"{path}: MD5 {found} found, {official.md5} expected for the official file of '{self.dataset}'"
        if owner := _OWNERS.get(found):
            message = f"{difference}. What was found is {owner}. Give each data set a folder of its own in the mirror."
            raise UserError(message)
        if not self.allow_unverified:
            message = (
                f"{difference}. Replace the file; or, to work with these bytes all the same and have every result "
                f"marked as unverified, set data.allow_unverified: [{self.dataset}] in config.yaml."
            )
            raise UserError(message)
        log.warning("%s: not the official file; accepted, since data.allow_unverified has it", path)
        self.differing.append(DifferingFile(name=official.name, found_md5=found, expected_md5=official.md5))
        return content


def _official_files(spec: MnistSpec | Cifar10Spec) -> tuple[OfficialFile, ...]:
    files: tuple[OfficialFile, ...] = (*spec.train_files, *spec.test_files)
    return files if isinstance(spec, MnistSpec) else (*files, spec.class_names_file, spec.archive)


# MNIST and Fashion-MNIST have files of the same names, so that one is easily taken for the other.
_OWNERS = {
    file.md5: f"the {file.name} of '{spec.name}'"
    for spec in DATASETS.values()
    if isinstance(spec, MnistSpec | Cifar10Spec)
    for file in _official_files(spec)
}


def folder_in_mirror(mirror: Path, dataset: str) -> Path:
    """Return the folder of the mirror where a data set's files are: its own, or else the mirror itself.

    Raises
    ------
    UserError
        If the mirror does not exist.
    """
    if not mirror.is_dir():
        message = (
            f"{mirror}: there is no such folder. The key data.mirror in config.yaml (or the environment variable "
            "ROBUSTREPRO_MIRROR) should name a folder with the official files; leave it empty to download them."
        )
        raise UserError(message)
    own = (mirror / name for name in _folder_names(dataset))
    return next((folder for folder in own if folder.is_dir()), mirror)


def _folder_names(dataset: str) -> tuple[str, str]:
    return dataset.replace("_", "-"), dataset

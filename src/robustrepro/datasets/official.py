"""The published files of a data set: found in a mirror or downloaded, and held against their checksums."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from robustrepro.datasets.download import download, md5_of
from robustrepro.datasets.examples import Ingredients
from robustrepro.datasets.manifest import DifferingFile
from robustrepro.errors import UserError
from robustrepro.spec.datasets import DATASETS, Dataset, OfficialFile

log = logging.getLogger("robustrepro")


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


Addresses = Callable[[], Mapping[OfficialFile, Sequence[str]]]
"""Returns where each official file can be downloaded."""


def _files_of(declared: Dataset) -> Iterator[OfficialFile]:
    for name in type(declared).model_fields:
        value = getattr(declared, name)
        values = value if isinstance(value, tuple) else (value,)
        yield from (file for file in values if isinstance(file, OfficialFile))


# MNIST and Fashion-MNIST have files of the same names, so that one is easily taken for the other.
_OWNERS = {
    file.md5: f"the {file.name} of '{name}'" for name, declared in DATASETS.items() for file in _files_of(declared)
}


@contextmanager
def official_files(dataset: str, ingredients: Ingredients, addresses: Addresses) -> Iterator[tuple[Path, Checker]]:
    """Yield the folder of a data set's official files, and what checks each of them while it is read.

    The files are those of the mirror, if there is one; else they are downloaded, and removed when the block ends.

    Parameters
    ----------
    dataset
        The data set's name.
    ingredients
        The mirror, whether its files may be unverified, and beside which folder downloads are kept.
    addresses
        Returns where each file can be downloaded; only called to download, since it imports a large library.

    Raises
    ------
    UserError
        If the mirror does not exist, or a file could not be downloaded.
    """
    checker = Checker(dataset, ingredients.allow_unverified)
    if ingredients.mirror is not None:
        yield folder_in_mirror(ingredients.mirror, dataset), checker
        return
    beside = ingredients.folder.parent
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{dataset}.", suffix=".partial", dir=beside) as temporary:
        download(dataset, addresses(), Path(temporary))
        yield Path(temporary), checker


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

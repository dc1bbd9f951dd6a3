"""The images of the official ImageNet-C: unpacked, or in the tar files as they were published."""

from __future__ import annotations

import hashlib
import io
import itertools
import logging
import re
import tarfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustrepro.corruptions.registry import FAMILIES
from robustrepro.errors import UserError

log = logging.getLogger("robustrepro")

SIDE = 224
"""Of the published images, in pixels."""

RECORD = "https://zenodo.org/records/2235448"

OFFICIAL: Mapping[str, str] = MappingProxyType(
    {
        "noise.tar": "e80562d7f6c3f8834afb1ecf27252745",
        "blur.tar": "2d8e81fdd8e07fef67b9334fa635e45c",
        "weather.tar": "33ffea4db4d93fe4a428c40a6ce0c25d",
        "digital.tar": "89157860d7b10d5797849337ca2e5c03",
    }
)
"""The MD5 of each family's tar file, as the Zenodo record gives it."""

_MEMBER = re.compile(r"(?:^|/)(\w+)/(\d)/[^/]+/([^/]+)$")
"""The path of an image in a tar file: corruption, severity, class and name, whatever folders are before them."""

_READ_AT_ONCE = 2**20


class CorruptedSet(NamedTuple):
    """All images under one corruption at one severity."""

    corruption: str
    severity: int

    def __str__(self) -> str:
        return f"{self.corruption} at severity {self.severity}"


class OfficialImage(NamedTuple):
    """A published image, uint8 of shape (3, 224, 224), and its position among the names that were asked for."""

    corruption: str
    severity: int
    position: int
    image: NDArray[np.uint8]


class OfficialSets:
    """Corrupted sets of the official ImageNet-C, found below one folder.

    Each set is either unpacked, in ``<corruption>/<severity>`` or ``<family>/<corruption>/<severity>``, or inside
    ``<family>.tar``. The unpacked form takes precedence.

    Parameters
    ----------
    folder
        Below which the sets are.
    corruptions, severities
        Names as in `FAMILIES`, and 1 (mildest) to 5. Every corruption is read at every severity.
    allow_unverified
        Whether a tar file with another MD5 than the official one is accepted, with a warning. Unpacked images have no
        published checksum.

    Raises
    ------
    UserError
        If sets are missing; the message counts and lists them.

    References
    ----------
    Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019.
    """

    def __init__(
        self, folder: Path, corruptions: Sequence[str], severities: Sequence[int], *, allow_unverified: bool = False
    ) -> None:
        self._allow_unverified = allow_unverified
        self._unpacked: dict[CorruptedSet, Path] = {}
        self._archived: defaultdict[Path, list[CorruptedSet]] = defaultdict(list)
        families = {name: family for family, names in FAMILIES.items() for name in names}
        wanted = [CorruptedSet(*names) for names in itertools.product(corruptions, severities)]
        missing: list[CorruptedSet] = []
        for corrupted_set in wanted:
            corruption, severity = corrupted_set
            family = families[corruption]
            places = [parent / corruption / str(severity) for parent in (folder, folder / family)]
            if unpacked := next(filter(Path.is_dir, places), None):
                self._unpacked[corrupted_set] = unpacked
            elif (archive := folder / f"{family}.tar").is_file():
                self._archived[archive].append(corrupted_set)
            else:
                missing.append(corrupted_set)
        if missing:
            archives = dict.fromkeys(f"{families[name]}.tar" for name, _ in missing)
            raise UserError(
                f"ImageNet-C in {folder}: {len(missing)} of {len(wanted)} sets are missing: {_listed(missing)}. "
                f"Put them there as <corruption>/<severity>, or instead put the official {', '.join(archives)} there "
                f"({RECORD}). To measure generated images instead, leave out 'images: official'"
            )

    def images(self, names: Sequence[str]) -> Iterator[OfficialImage]:
        """Yield the images of some names from every set, one at a time.

        The images are **not** ordered by set: unpacked sets come first, in the declared order and each in the order of
        the names; then each tar file, read once from start to end, in the order of its members. Whether a tar file is
        the official one is known only at its end, so nothing computed before an error may be kept.

        Parameters
        ----------
        names
            File names without folders, such as ``ILSVRC2012_val_00000293.JPEG``, each once.

        Raises
        ------
        ValueError
            If a name comes twice.
        UserError
            If a set lacks some of the images, or one cannot be read or is smaller than 224 x 224; if a tar file is cut
            short, or is not the official one and that is not allowed. The message names the file.
        """
        positions = {name: position for position, name in enumerate(names)}
        if len(positions) < len(names):
            raise ValueError(f"names of images: expected each once, found {len(positions)} different in {len(names)}")
        for corrupted_set, folder in self._unpacked.items():
            yield from _unpacked_images(corrupted_set, folder, positions)
        for archive, sets in self._archived.items():
            yield from self._archived_images(archive, sets, positions)

    def _archived_images(
        self, archive: Path, sets: Sequence[CorruptedSet], positions: Mapping[str, int]
    ) -> Iterator[OfficialImage]:
        """Yield the images of some sets in one pass over a tar file, and check the file at its end."""
        absent = {corrupted_set: set(positions) for corrupted_set in sets}
        try:
            with _HashedFile(archive) as file, tarfile.open(fileobj=file, mode="r|") as tar:
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # up to 750,000, which it would keep
                    if (path := _MEMBER.search(member.name)) is None:
                        continue
                    corrupted_set, name = CorruptedSet(path[1], int(path[2])), path[3]
                    if name not in absent.get(corrupted_set, ()) or (content := tar.extractfile(member)) is None:
                        continue
                    absent[corrupted_set].remove(name)
                    image = _decoded(io.BytesIO(content.read()), f"{archive}: {member.name}")
                    yield OfficialImage(*corrupted_set, positions[name], image)
                file.read_to_the_end()
        except (tarfile.TarError, OSError) as error:
            raise UserError(f"{archive}: cannot be read to its end as a tar file ({error}); fetch it anew") from error
        self._require_official(archive, file.md5.hexdigest())
        for corrupted_set in sets:
            _require_all(corrupted_set, archive, absent[corrupted_set], positions)

    def _require_official(self, archive: Path, found: str) -> None:
        """Refuse a tar file by its MD5, or warn of it where that is allowed."""
        if found == (expected := OFFICIAL[archive.name]):
            return
        difference = f"{archive}: MD5 {found} found, {expected} expected for the official file of ImageNet-C"
        if not self._allow_unverified:
            raise UserError(f"{difference}; nothing that was computed from it is kept. Replace the file ({RECORD})")
        log.warning("%s; accepted, since unverified files are allowed", difference)


class _HashedFile(io.FileIO):
    """A file that is read from start to end, and the MD5 of what has been read so far."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.md5 = hashlib.md5(usedforsecurity=False)

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.md5.update(content)
        return content

    def read_to_the_end(self) -> None:
        while self.read(_READ_AT_ONCE):
            pass


def _unpacked_images(
    corrupted_set: CorruptedSet, folder: Path, positions: Mapping[str, int]
) -> Iterator[OfficialImage]:
    """Yield the images of a set in the order of the names; each may be in the folder of any class."""
    paths = {path.name: path for path in folder.glob("*/*") if path.name in positions}
    _require_all(corrupted_set, folder, positions.keys() - paths.keys(), positions)
    for name, position in positions.items():
        yield OfficialImage(*corrupted_set, position, _decoded(paths[name], str(paths[name])))


def _require_all(corrupted_set: CorruptedSet, place: Path, absent: Collection[str], names: Collection[str]) -> None:
    """Refuse a set in which images are absent; the first three are named."""
    if absent:
        first = list(itertools.islice((name for name in names if name in absent), 3))
        raise UserError(
            f"ImageNet-C, {corrupted_set}: {len(absent)} of {len(names)} images are missing in {place}: "
            f"{', '.join(first)}{', ...' if len(absent) > len(first) else ''}"
        )


def _decoded(source: Path | io.BytesIO, name: str) -> NDArray[np.uint8]:
    """Return the centre of a JPEG in colour, shape (3, 224, 224); it is never resized.

    Raises
    ------
    UserError
        If it cannot be read or is smaller than that; the message begins with ``name``.
    """
    try:
        with Image.open(source, formats=["JPEG"]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, Image.DecompressionBombError) as error:
        raise UserError(f"{name}: cannot be read as a JPEG ({error})") from error
    height, width = pixels.shape[:2]
    if min(height, width) < SIDE:
        raise UserError(f"{name}: found an image of {width} x {height} pixels, expected at least {SIDE} x {SIDE}")
    top, left = (round((side - SIDE) / 2) for side in (height, width))  # as torchvision's CenterCrop rounds
    return np.ascontiguousarray(pixels[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1))


def _listed(sets: Sequence[CorruptedSet]) -> str:
    """Return sets by corruption: ``fog 1, 2; snow 5``."""
    grouped = itertools.groupby(sets, key=lambda corrupted_set: corrupted_set.corruption)
    return "; ".join(f"{name} {', '.join(str(severity) for _, severity in group)}" for name, group in grouped)

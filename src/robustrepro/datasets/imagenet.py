"""The validation images of ImageNet, from a folder of the user's: nobody may hand them on, so none are downloaded."""

from __future__ import annotations

import csv
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from robustrepro.datasets.examples import Ingredients, StreamedImages
from robustrepro.datasets.manifest import Gaps
from robustrepro.datasets.streamed import StreamedDataset
from robustrepro.errors import UserError
from robustrepro.spec.datasets import ImageNetSpec

log = logging.getLogger("robustrepro")

IMAGES, LABELS, CLASSES = "val", "val_labels.csv", "class_index.json"
"""The folder of the images; where they lie in it side by side, the file with their labels; the number of each class."""
WORDNET_ID = r"n\d{8}"
SUFFIXES = frozenset({".jpeg", ".jpg", ".png"})
BATCH = 64
WITHOUT = "Or leave out the models of these images (leave_out in config.yaml), and they are not measured"
NAMED = 5
"""So many of what is missing or unreadable are named."""


class Labelled(NamedTuple):
    """An image's file, and its class."""

    file: Path
    label: int


def make(declared: ImageNetSpec, ingredients: Ingredients) -> StreamedDataset:
    """Read the validation images, in the order of their file names.

    The folder ``val`` has one folder per class, named after its WordNet ID, or all images side by side; then
    ``val_labels.csv`` beside it has the columns ``file`` and ``label`` (0 to 999).

    Raises
    ------
    UserError
        If there is no such folder, an image has no label, or, unless that is allowed, images are missing or unreadable.
    """
    if ingredients.mirror is None:
        raise UserError(
            f"{declared.name}: its images cannot be downloaded, since they may not be handed on; data.mirror in "
            "config.yaml (or the environment variable ROBUSTREPRO_MIRROR) should name a folder in which they lie in "
            f"{declared.name}/{IMAGES}. {WITHOUT}"
        )
    folder = ingredients.mirror / declared.name
    images = labelled_images(folder, declared)
    gaps = _gaps(images, declared)
    if gaps and not ingredients.allow_unverified:
        raise UserError(f"{folder / IMAGES}: {in_words(gaps, declared)}. {_remedy(declared)}")
    if gaps:
        accepted = "accepted, since data.allow_unverified has it. Delete the data set's folder once you add images"
        log.warning("%s: %s; %s", folder / IMAGES, in_words(gaps, declared), accepted)
    unreadable: list[str] = []
    kept: list[Labelled] = []

    def batches() -> Iterator[NDArray[np.uint8]]:
        yield from _decoded(images, declared, kept, unreadable)
        if unreadable and not ingredients.allow_unverified:
            raise UserError(f"{folder / IMAGES}: {_counted(unreadable, 'image')} cannot be read. {_remedy(declared)}")
        if not kept:
            raise UserError(f"{folder / IMAGES}: none of its {len(images)} images can be read")

    return StreamedDataset(
        images=StreamedImages(declared.input_shape, batches()),
        labels=lambda: [image.label for image in kept],
        names=lambda: [image.file.name for image in kept],
        classes=declared.classes,
        source=declared.source,
        gaps=lambda: _gaps(kept, declared, unreadable),
    )


def labelled_images(folder: Path, declared: ImageNetSpec) -> list[Labelled]:
    """Return the images below a folder with their classes, in the order of their file names.

    Raises
    ------
    UserError
        If there are none, or one has no label.
    """
    images = folder / IMAGES
    if not images.is_dir():
        raise UserError(
            f"{images}: there is no such folder; it should have the validation images of ILSVRC2012, in a folder for "
            f"each class or side by side with {LABELS} beside it. {WITHOUT}"
        )
    entries = sorted(images.iterdir())
    folders = [entry for entry in entries if entry.is_dir()]
    if folders:
        numbers = _numbers_of_classes(folder, [entry.name for entry in folders], declared)
        found = [Labelled(file, numbers[each.name]) for each in folders for file in each.iterdir() if _is_image(file)]
    else:
        files = [entry for entry in entries if _is_image(entry)]
        labels = _labels(folder / LABELS, declared)
        if without := [file.name for file in files if file.name not in labels]:
            raise UserError(f"{folder / LABELS}: no label of {_counted(without, 'image')} in {images}")
        found = [Labelled(file, labels[file.name]) for file in files]
    if not found:
        raise UserError(f"{images}: there are no images in it ({', '.join(sorted(SUFFIXES))})")
    counts = Counter(image.file.name for image in found)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise UserError(f"{images}: {_counted(twice, 'name')} of images in more than one folder; expected each once")
    return sorted(found, key=lambda image: image.file.name)


def in_words(gaps: Gaps, declared: ImageNetSpec) -> str:
    """Return what a folder lacks: ``500 of 50,000 images found; 607 of 1,000 classes have none (0, 4, ...)``."""
    parts = []
    if gaps.images != declared.official_examples:
        parts.append(f"{gaps.images:,} of {declared.official_examples:,} images found")
    if gaps.missing_classes:
        some = ", ".join(map(str, gaps.missing_classes[:NAMED]))
        more = ", ..." if len(gaps.missing_classes) > NAMED else ""
        parts.append(f"{len(gaps.missing_classes):,} of {declared.classes:,} classes have none ({some}{more})")
    if gaps.uneven and not parts:
        parts.append("not all classes have as many images")
    if gaps.others:
        parts.append(f"{_counted(gaps.others, 'file')} not named as the official ones")
    return "; ".join(parts)


def _remedy(declared: ImageNetSpec) -> str:
    return (
        "Complete the folder; or, to work with the images that are there and have every result marked as unverified, "
        f"set data.allow_unverified: [{declared.name}] in config.yaml"
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _gaps(images: Sequence[Labelled], declared: ImageNetSpec, unreadable: Sequence[str] = ()) -> Gaps | None:
    """Return what keeps images from being the official ones, as far as their names and labels tell."""
    sizes = Counter(image.label for image in images)
    gaps = Gaps(
        images=len(images),
        missing_classes=tuple(sorted(set(range(declared.classes)) - sizes.keys())),
        unreadable=tuple(unreadable),
        others=tuple(image.file.name for image in images if not re.fullmatch(declared.official_name, image.file.name)),
        uneven=len(set(sizes.values())) > 1,
    )
    return None if gaps == Gaps(images=declared.official_examples) else gaps


def _numbers_of_classes(folder: Path, names: list[str], declared: ImageNetSpec) -> dict[str, int]:
    """Return the number of each class that has a folder: from a file, or else its place in order if all have one."""
    path = folder / CLASSES
    try:
        known = {entry[0]: int(number) for number, entry in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        if len(names) == declared.classes and all(re.fullmatch(WORDNET_ID, name) for name in names):
            return {name: number for number, name in enumerate(sorted(names))}
        raise UserError(
            f"{folder / IMAGES}: it has {len(names)} folders, and not one for each of {declared.classes} classes by "
            "its WordNet ID, so that their order does not tell their numbers; put "
            f'{CLASSES} beside it, such as {{"0": ["n01440764", "tench"], ...}}'
        ) from None
    except (ValueError, AttributeError, TypeError, KeyError, IndexError) as error:
        raise UserError(f'{path}: expected a mapping such as {{"0": ["n01440764", "tench"]}} ({error})') from None
    if wrong := [name for name, number in known.items() if not 0 <= number < declared.classes]:
        some = _counted(wrong, "class", "classes")
        raise UserError(f"{path}: the numbers of {some} are not from 0 to {declared.classes - 1}")
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"{folder / IMAGES}: {_counted(unknown, 'folder')} named after no class of {path.name}")
    return known


def _labels(path: Path, declared: ImageNetSpec) -> dict[str, int]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            labels = {row["file"]: int(row["label"]) for row in csv.DictReader(stream)}
    except FileNotFoundError:
        raise UserError(
            f"{path}: there is no such file; for images side by side it says which class each is of, in the columns "
            "'file' and 'label'"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected the columns 'file' and 'label', numbers from 0 ({error})") from None
    if wrong := [name for name, label in labels.items() if not 0 <= label < declared.classes]:
        raise UserError(f"{path}: {_counted(wrong, 'label')} not from 0 to {declared.classes - 1}")
    return labels


def _decoded(
    images: Sequence[Labelled], declared: ImageNetSpec, kept: list[Labelled], unreadable: list[str]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the images that can be read, batch by batch, and note which those are and which are not."""
    middle = Compose([Resize(declared.resized, InterpolationMode.BILINEAR), CenterCrop(list(declared.input_shape[1:]))])
    batch: list[NDArray[np.uint8]] = []
    for number, image in enumerate(images, start=1):
        try:
            with Image.open(image.file) as picture:
                if picture.mode[0] in "IF":  # of more than 8 bits, which Pillow would cut off
                    raise ValueError(f"mode {picture.mode}")
                pixels = np.asarray(middle(picture.convert("RGB"))).transpose(2, 0, 1)
        # What Pillow raises for damaged files of one kind or another, and for absurdly large ones.
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            unreadable.append(image.file.name)
            continue
        kept.append(image)
        batch.append(pixels)
        if len(batch) == BATCH:
            yield np.stack(batch)
            batch = []
        if number % 1000 == 0:
            log.info("%s: %d of %d images read", declared.name, number, len(images))
    if batch:
        yield np.stack(batch)


def _counted(names: Sequence[str], what: str, several: str = "") -> str:
    """Return how many there are, and the first of them: ``7 images (a, b, c, d, e, ...)``."""
    some = ", ".join(names[:NAMED])
    words = (several or f"{what}s") if len(names) > 1 else what
    return f"{len(names)} {words} ({some}{', ...' if len(names) > NAMED else ''})"

"""A model on images that are corrupted as they are classified."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robustrepro.attacks.subject import predictions
from robustrepro.corruptions.names import CLEAN
from robustrepro.corruptions.official import OfficialSets
from robustrepro.corruptions.seeded import SeededCorruptions
from robustrepro.datasets.streamed import load_names
from robustrepro.datasets.tensors import Split, as_float
from robustrepro.measures.step import Columns, Measured
from robustrepro.measures.trained import Trained
from robustrepro.mirror import in_mirror
from robustrepro.spec.corruptions import CorruptionName
from robustrepro.spec.measurements import Corrupted
from robustrepro.steps import Progress

BATCH = 64
"""So many images are corrupted before they are classified, whatever the number of images."""

Sets = Sequence[tuple[CorruptionName, int]]


class Batch(NamedTuple):
    """Some images, uint8, shape (N, 3, H, H), the set that each is of, and where it is among those measured."""

    images: NDArray[np.uint8]
    sets: list[tuple[str, int]]
    positions: list[int]


def measure(trained: Trained, declared: Corrupted, progress: Progress) -> Measured:
    """Classify images under every corruption at every severity, batch by batch.

    An image's randomness depends on its index, the corruption and the severity alone: every model sees the same images.

    Returns
    -------
    One row per image and corrupted set: ``index``, ``label``, ``corruption``, ``severity``, ``prediction``, ``right``.

    Raises
    ------
    UserError
        If the images are not square 8-bit colour images, the textures of frost are missing or others, or of the
        official sets some are missing.
    """
    index, split = trained.places(declared.split, declared.examples), trained.split(declared.split)
    sets = [(name, severity) for name in declared.corruptions for severity in declared.severities]
    corrupted = _official_batches if declared.images == "official" else _generated_batches
    clean = [(CLEAN, 0)] if declared.clean else []
    rows = {each: number for number, each in enumerate([*clean, *sets])}
    answers = torch.full((len(rows), len(index)), -1)
    progress.expect(answers.numel())
    batches = itertools.chain(_clean_batches(split, index) if clean else [], corrupted(trained, declared, index, sets))
    for batch in batches:
        predicted = predictions(trained.network, as_float(torch.from_numpy(batch.images)), trained.device)
        answers[[rows[each] for each in batch.sets], batch.positions] = predicted
        progress.advance(len(batch.images))
    label, prediction = split.labels[index].repeat(len(rows)), answers.flatten()
    columns: Columns = {
        "index": index.repeat(len(rows)),
        "label": label,
        "corruption": np.repeat([name for name, _ in rows], len(index)),
        "severity": np.repeat([severity for _, severity in rows], len(index)),
        "prediction": prediction,
        "right": prediction == label,
    }
    return Measured(columns, {"images": declared.images} if declared.images == "official" else {})


def _clean_batches(split: Split, index: Tensor) -> Iterator[Batch]:
    for positions in torch.split(torch.arange(len(index)), BATCH):
        yield Batch(split.inputs[index[positions]].numpy(), [(CLEAN, 0)] * len(positions), positions.tolist())


def _generated_batches(trained: Trained, declared: Corrupted, index: Tensor, sets: Sets) -> Iterator[Batch]:
    """Yield images that are corrupted here, set by set."""
    images = trained.split(declared.split).inputs
    seeded = SeededCorruptions(declared.corruptions, declared.jpeg_quality)
    for name, severity in sets:
        for positions in torch.split(torch.arange(len(index)), BATCH):
            places = index[positions]
            batch = seeded.corrupted(name, severity, images[places].numpy(), places.tolist())
            yield Batch(batch, [(name, severity)] * len(positions), positions.tolist())


def _official_batches(trained: Trained, declared: Corrupted, index: Tensor, _: Sets) -> Iterator[Batch]:
    """Yield the official images, as they lie in folders and archives; of other sets together, if need be."""
    names = load_names(trained.data)
    folder = in_mirror("imagenet-c", "the official images of ImageNet-C", "have them generated ('images: generated')")
    allowed = declared.allow_unverified
    official = OfficialSets(folder, declared.corruptions, declared.severities, allow_unverified=allowed)
    some = official.images([names[place] for place in index.tolist()])
    while together := list(itertools.islice(some, BATCH)):
        yield Batch(
            np.stack([each.image for each in together]),
            [(each.corruption, each.severity) for each in together],
            [each.position for each in together],
        )

"""A model on images that are corrupted as they are classified."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from robustrepro.attacks.subject import predictions
from robustrepro.corruptions.batches import Corruption
from robustrepro.corruptions.digital import saved_as_jpeg
from robustrepro.corruptions.frost import require_official
from robustrepro.corruptions.registry import corruption
from robustrepro.datasets.tensors import as_float
from robustrepro.errors import UserError
from robustrepro.measurements.step import Columns
from robustrepro.measurements.trained import Trained
from robustrepro.seeds import derive_seed
from robustrepro.spec.measurements import Corrupted
from robustrepro.steps import Progress

BATCH = 64
"""So many images are corrupted before they are classified, whatever the number of images."""

Images = NDArray[np.uint8]


def measure(trained: Trained, declared: Corrupted, progress: Progress) -> Columns:
    """Classify images under every corruption at every severity.

    An image's randomness depends on its index, the corruption and the severity alone: every model sees the same images.

    Returns
    -------
    One row per image and corrupted set: ``index``, ``label``, ``corruption``, ``severity``, ``prediction``, ``right``.

    Raises
    ------
    UserError
        If the images are not square 8-bit colour images, or the textures of frost are missing or others.
    """
    examples = trained.examples(declared.split, declared.examples)
    images: Images = trained.split(declared.split).inputs[examples.index].numpy()
    sets = [(name, severity) for name in declared.corruptions for severity in declared.severities]
    progress.expect(len(sets) * len(images))
    functions = {name: _function(name) for name in declared.corruptions}
    answers = []
    for name, severity in sets:
        for batch in _corrupted(functions[name], name, severity, images, examples.index.tolist()):
            shown = batch if declared.jpeg_quality is None else saved_as_jpeg(batch, quality=declared.jpeg_quality)
            answers.append(predictions(trained.network, as_float(torch.from_numpy(shown)), trained.device))
            progress.advance(len(batch))
    label, prediction = examples.labels.repeat(len(sets)), torch.cat(answers)
    return {
        "index": examples.index.repeat(len(sets)),
        "label": label,
        "corruption": np.repeat([name for name, _ in sets], len(images)),
        "severity": np.repeat([severity for _, severity in sets], len(images)),
        "prediction": prediction,
        "right": prediction == label,
    }


def _corrupted(corrupt: Corruption, name: str, severity: int, images: Images, index: list[int]) -> Iterator[Images]:
    """Yield the images of one corrupted set, batch by batch."""
    for start in range(0, len(images), BATCH):
        some = slice(start, start + BATCH)
        seeds = (derive_seed(0, f"corruption {name}", severity, place) for place in index[some])
        yield corrupt(images[some], [np.random.default_rng(seed) for seed in seeds], severity=severity)


def _function(name: str) -> Corruption:
    """Return a corruption; frost with the textures in the mirror.

    Raises
    ------
    UserError
        If it is frost, and there is no mirror, or the textures in it are not the benchmark's.
    """
    if name != "frost":
        return corruption(name)
    mirror = os.environ.get("ROBUSTREPRO_MIRROR")
    if not mirror:
        raise UserError(
            "corruption 'frost' needs the benchmark's textures, in imagenet/frost of the folder that data.mirror in "
            "config.yaml (or the environment variable ROBUSTREPRO_MIRROR) names; it names none. Put them there, or "
            "leave frost out of 'corruptions'"
        )
    folder = Path(mirror) / "imagenet" / "frost"
    require_official(folder)
    return corruption(name, frost_folder=folder)

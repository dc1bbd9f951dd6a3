"""One image under every corruption, as pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from robustrepro.attacks.subject import predictions
from robustrepro.corruptions.batches import SEVERITIES
from robustrepro.corruptions.names import CLEAN
from robustrepro.corruptions.seeded import SeededCorruptions
from robustrepro.datasets.tensors import as_float
from robustrepro.errors import UserError
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import CorruptedSamples
from robustrepro.steps import Progress

LARGEST = 112
"""Side of what is kept of an image, in pixels: as much as a sheet of 75 shows."""


def measure(trained: Trained, declared: CorruptedSamples, progress: Progress) -> Columns:
    """Corrupt one test image in every way, and have the model classify each.

    Returns
    -------
    One row per pixel: ``index`` and ``label`` of the image, ``corruption``, ``severity``, ``prediction``, ``channel``,
    ``y``, ``x`` and ``value`` in [0, 1]. Images of more than 112 pixels are made smaller, after they are classified.

    Raises
    ------
    UserError
        If there is no such image, or the textures of frost are missing or others.
    """
    split = trained.split("test")
    if declared.image >= len(split.labels):
        raise UserError(
            f"{split.name}: there is no test image {declared.image}, of which every corruption was to be shown; it has "
            f"{len(split.labels)}. Choose another one with corrupted_samples.image of the measure"
        )
    clean = split.inputs[declared.image : declared.image + 1].numpy()
    seeded = SeededCorruptions(declared.corruptions, None)
    sets: list[tuple[str, int]] = [(name, severity) for name in declared.corruptions for severity in SEVERITIES]
    progress.expect(len(sets))
    images: dict[tuple[str, int], NDArray[np.uint8]] = {(CLEAN, 0): clean}
    for name, severity in sets:
        images[name, severity] = seeded.corrupted(name, severity, clean, [declared.image])
        progress.advance(1)
    shown = as_float(torch.from_numpy(np.concatenate([*images.values()])))
    answers = predictions(trained.network, shown, trained.device)
    rows = []
    for (name, severity), image, prediction in zip(images, images.values(), answers.tolist(), strict=True):
        pixels = _smaller(image[0])
        channel, y, x = (places.ravel() for places in np.indices(pixels.shape))
        rows.append(
            {
                "index": declared.image,
                "label": int(split.labels[declared.image]),
                "corruption": name,
                "severity": severity,
                "prediction": prediction,
                "channel": channel.astype(np.int16),
                "y": y.astype(np.int16),
                "x": x.astype(np.int16),
                "value": pixels.ravel().astype(np.float32) / 255,
            }
        )
    return stacked(rows)


def _smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (3, H, H) with at most so many pixels to a side, each the mean of those that it stands for."""
    if image.shape[-1] <= LARGEST:
        return image
    picture = Image.fromarray(image.transpose(1, 2, 0)).resize((LARGEST, LARGEST), Image.Resampling.BOX)
    return np.asarray(picture).transpose(2, 0, 1)

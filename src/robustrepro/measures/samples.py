"""Adversarial examples beside the images that they were made of, as pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from robustrepro.attacks.subject import predictions
from robustrepro.datasets.tensors import Origins
from robustrepro.errors import UserError
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import Samples
from robustrepro.steps import Progress

PARTS = ("original", "adversarial")


def measure(trained: Trained, declared: Samples, _progress: Progress) -> Columns:
    """Return one row per pixel of each chosen example, before and after it was attacked.

    Returns
    -------
    ``sample`` (its place in the data set), ``part`` ("original" or "adversarial"), ``label``, ``prediction`` of this
    part, ``channel``, ``y``, ``x`` and ``value`` of the pixel, ``origin_index``, ``origin_norm`` and
    ``origin_epsilon``.

    Raises
    ------
    UserError
        If the data were not made from a model, or no example as declared fools the measured one.
    """
    split = trained.split("test")
    if split.origins is None:
        raise UserError(f"{split.name}: these are no adversarial examples, so they have no originals to stand beside")
    pixels = {"original": trained.originals(), "adversarial": split.inputs}
    said = {part: predictions(trained.network, images, trained.device) for part, images in pixels.items()}
    chosen = _chosen(split.origins, said["adversarial"] != split.labels, declared)
    if len(chosen) == 0:
        ball = f" in the {declared.norm} ball" if declared.norm else ""
        raise UserError(f"{split.name}: no example that was made{ball} fools {trained.model}, so there is none to show")
    channels, height, width = split.inputs.shape[1:]
    channel, y, x = (places.ravel() for places in np.indices((channels, height, width)))
    rows = []
    for number in chosen.tolist():
        origin = {name: values[0] for name, values in trained.origins_of(torch.tensor([number])).items()}
        rows += [
            {
                "sample": number,
                "part": part,
                "label": int(split.labels[number]),
                "prediction": int(said[part][number]),
                "channel": channel,
                "y": y,
                "x": x,
                "value": pixels[part][number].flatten().numpy(),
                **{name: value.item() if isinstance(value, Tensor) else value for name, value in origin.items()},
            }
            for part in PARTS
        ]
    return stacked(rows)


def _chosen(origins: Origins, fooling: Tensor, declared: Samples) -> Tensor:
    """Return the places of the declared number of fooling examples, fewer where there are not so many."""
    in_ball = torch.tensor([declared.norm in (None, attack.norm) for attack in origins.attacks])
    candidates = (fooling & in_ball[origins.attack]).nonzero().flatten()
    return candidates[torch.linspace(0, len(candidates) - 1, min(declared.count, len(candidates))).long()]

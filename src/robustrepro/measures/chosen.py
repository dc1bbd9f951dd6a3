"""Test images that are declared by their index."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robustrepro.errors import UserError
from robustrepro.measures.trained import Examples, Trained


def chosen_images(trained: Trained, images: Sequence[int]) -> Examples:
    """Return the test images with these indices, in this order.

    Raises
    ------
    UserError
        If the test split lacks one.
    """
    split = trained.examples("test")
    if max(images) >= len(split.labels):
        raise UserError(f"{trained.model}: there is no test image {max(images)}, only {len(split.labels)} of them")
    index = torch.tensor(images)
    return Examples(split.inputs[index], split.labels[index], index, split.box)

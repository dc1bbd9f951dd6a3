"""Images as a network's preprocessing leaves them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from robustrepro.errors import UserError
from robustrepro.implementations import made
from robustrepro.spec.networks import Preprocessing


@torch.no_grad()
def preprocessed(
    images: NDArray[np.uint8],
    streams: Sequence[np.random.Generator],  # noqa: ARG001 (nothing here is random)
    *,
    steps: Sequence[Preprocessing],
) -> NDArray[np.float32]:
    """Preprocess images of 8 bits, which networks see in [0, 1].

    Parameters
    ----------
    images
        Shape (N, C, H, W).
    streams
        Not used.
    steps
        The declared steps, in order.

    Returns
    -------
    Of the same shape.

    Raises
    ------
    UserError
        If a step cannot take such images, or changes their shape.
    """
    try:
        modules = [made(step, images.shape[1:]) for step in steps]
    except ValueError as error:
        raise UserError(f"preprocessing of a data set: {error}") from error
    outputs = nn.Sequential(*modules)(torch.from_numpy(images).float() / 255)
    if outputs.shape != images.shape:
        before, after = ("x".join(map(str, each)) for each in (images.shape[1:], outputs.shape[1:]))
        raise UserError(
            f"preprocessing of a data set: its steps turn images of {before} into {after}; expected the same shape. "
            "Leave the step that changes it to the network"
        )
    preprocessed_images: NDArray[np.float32] = outputs.numpy()
    return preprocessed_images

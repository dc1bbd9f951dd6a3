"""The weights that a network had on the way of its training."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from robustrepro.models.build import require_fit
from robustrepro.training.checkpoints import weights_after


def take_weights_after(model: nn.Module, checkpoints: Path, epoch: int) -> None:
    """Give a network the weights that its training had after an epoch, in place.

    Parameters
    ----------
    model
        The network.
    checkpoints
        The weights after the epochs that the training keeps.
    epoch
        One of them, from 1.

    Raises
    ------
    UserError
        If the file cannot be read, has no such epoch, or belongs to another network.
    """
    weights = weights_after(checkpoints, epoch)
    require_fit(model, weights, f"{checkpoints}: the checkpoint after epoch {epoch}", "the declared network")

"""From an architecture's spec to a network, freshly initialised or with stored weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from robustrepro.errors import UserError
from robustrepro.seeds import derive_seed
from robustrepro.spec.registry import ARCHITECTURES, resolve


def build_model(
    architecture: Mapping[str, Any], input_shape: tuple[int, ...], classes: int, *, seed: int = 0
) -> nn.Module:
    """Build a network with its architecture's own initialisation, drawn from the seed's own stream.

    Two models of one architecture and seed start from the same weights, whatever their objective.

    Parameters
    ----------
    architecture
        The architecture's spec: ``name`` and its options.
    input_shape
        Shape of one example, without the batch.
    classes
        Number of logits.
    seed
        The model's seed.
    """
    options = dict(architecture)
    network = resolve(ARCHITECTURES, "architecture", options.pop("name"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        try:
            model: nn.Module = network(input_shape, classes, **options)
        except ValueError as error:
            raise UserError(f"architecture {architecture['name']}: {error}") from error
    return model.to(memory_format=torch.channels_last) if len(input_shape) == 3 else model


def load_model(weights: Path, architecture: Mapping[str, Any], input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build a network with the weights of a checkpoint, in evaluation mode.

    Raises
    ------
    UserError
        If the checkpoint is missing, truncated, or belongs to another architecture.
    """
    again = f"Delete the folder {weights.parent} and run again to train it anew"
    try:
        state = load_file(weights)
    except FileNotFoundError:
        raise UserError(f"{weights}: there is no such checkpoint. {again}") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{weights}: unreadable or truncated checkpoint ({error}). {again}") from error
    model = build_model(architecture, input_shape, classes)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise UserError(
            f"{weights}: the checkpoint does not fit the architecture {architecture['name']}: {detail}"
        ) from error
    return model.eval()

"""From a network's declaration to the network, freshly initialised or with stored weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.implementations import made
from robustrepro.models.preprocessed import Preprocessed
from robustrepro.seeds import derive_seed
from robustrepro.spec.networks import Architecture, Network, Preprocessing

NAMED = 3
"""So many tensors are named of those that do not fit."""


def build_network(network: Network, input_shape: tuple[int, ...], classes: int, *, seed: int = 0) -> nn.Module:
    """Build a network with its architecture's own initialisation, drawn from the seed's own stream.

    Two models of one architecture and seed start from the same weights, whatever their objective.

    Parameters
    ----------
    network
        The declaration: an architecture, and its preprocessing.
    input_shape
        Shape of one example as the data set has it, without the batch.
    classes
        Number of logits.
    seed
        The model's seed.

    Raises
    ------
    UserError
        If the architecture or a step of the preprocessing cannot take such examples.
    """
    steps: list[nn.Module] = []
    shape = input_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        for declared in network.preprocessing:
            steps.append(_made_for(declared, "preprocessing", shape))
            shape = _shape_after(steps[-1], shape)
        model = _made_for(network.architecture, "architecture", shape, classes)
    if steps:
        model = Preprocessed(steps, model)
    return model.to(memory_format=torch.channels_last) if len(input_shape) == 3 else model


def _made_for(declared: Architecture | Preprocessing, what: str, shape: tuple[int, ...], *arguments: int) -> nn.Module:
    """Return what a declaration makes for examples of a shape; what it refuses becomes a user's error."""
    try:
        module: nn.Module = made(declared, shape, *arguments)
    except ValueError as error:
        raise UserError(f"{what} {declared.name}: {error}") from error
    return module


@torch.no_grad()
def _shape_after(step: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an example behind a step of preprocessing."""
    step.eval()
    outputs: Tensor = step(torch.zeros(1, *shape))
    step.train()
    return tuple(outputs.shape[1:])


def load_network(weights: Path, network: Network, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Build a network with the weights of a checkpoint, in evaluation mode.

    Raises
    ------
    UserError
        If the checkpoint is missing, truncated, or belongs to another network.
    """
    again = f"Delete the folder {weights.parent} and run again to make it anew"
    try:
        state = load_file(weights)
    except FileNotFoundError:
        raise UserError(f"{weights}: there is no such checkpoint. {again}") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{weights}: unreadable or truncated checkpoint ({error}). {again}") from error
    model = build_network(network, input_shape, classes)
    require_fit(model, state, f"{weights}: the checkpoint", f"the architecture {network.architecture.name}")
    return model.eval()


def require_fit(model: nn.Module, state: Mapping[str, Tensor], what: str, expected: str) -> None:
    """Load stored weights into a model, or say that they are another network's.

    Parameters
    ----------
    model
        The network, changed in place.
    state
        Tensors by name.
    what, expected
        What the weights are and where they lie, and what they should fit, for the message.

    Raises
    ------
    UserError
        If a tensor is missing, left over, or has another shape.
    """
    own = model.state_dict()
    shapes = [name for name in own if name in state and state[name].shape != own[name].shape]
    faults = {
        "missing": [name for name in own if name not in state],
        "left over": [name for name in state if name not in own],
        "of another shape": [f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}" for name in shapes],
    }
    if any(faults.values()):
        detail = "; ".join(f"{len(names)} {fault} ({_some(names)})" for fault, names in faults.items() if names)
        raise UserError(f"{what} does not fit {expected}: tensors {detail}")
    model.load_state_dict(state)


def _some(names: Sequence[str]) -> str:
    """Return the first few names, and a sign that there are more."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")

"""The state of an interrupted training: where it lies, who may write it, and how it comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.files import atomic_path
from robustrepro.models.build import require_fit
from robustrepro.steps import LOGGER


def state_path(folder: Path, *identity: str) -> Path:
    """Return where a training keeps its state: named after everything that decides its weights.

    Parameters
    ----------
    folder
        The folder of the model and seed.
    identity
        Spec (with model and seed), code digest, manifest digest and those of other models' weights that are read; no
        other training's state is ever picked up.
    """
    digest = hashlib.sha256("\x1f".join(identity).encode()).hexdigest()
    return folder / f"resume-{digest[:16]}.safetensors.partial"


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state for this process alone, so that an orphan never writes beside its successor.

    Raises
    ------
    UserError
        If another process is training the same model.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    path = state.with_name(state.name.replace(".safetensors.partial", ".lock.partial"))
    lock = FileLock(path, timeout=0, fallback_to_soft=False)  # released when the process dies
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{path}: another process is training this model; wait for it or stop it") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies of the weights and the optimiser's moments, as they are now."""
    tensors = {f"model.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value.clone() for name, value in moments.items()}
    return tensors


def save_state(state: Path, tensors: Mapping[str, Tensor], history: Sequence[dict[str, Any]]) -> None:
    """Write a snapshot and the history up to it atomically."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps(list(history))
    with atomic_path(state) as partial:
        save_file(contiguous, partial, metadata={"history": text, "sha256": _digest(contiguous, text)})


def _digest(tensors: Mapping[str, Tensor], history: str) -> str:
    """Return the SHA-256 of a state: a flipped byte would otherwise go on into the weights."""
    digest = hashlib.sha256(history.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().numpy().tobytes())
    return digest.hexdigest()


def load_state(state: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Restore weights and optimiser moments in place; return the history so far, empty when there is no state.

    An unreadable or changed state is removed: training starts over rather than from something it cannot trust.

    Raises
    ------
    UserError
        If the state is whole, but another network's.
    """
    if not state.exists():
        return []
    try:
        with safe_open(state, "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
            metadata = stored.metadata()
        if metadata["sha256"] != _digest(tensors, metadata["history"]):
            raise ValueError("its bytes were changed")
        history: list[dict[str, Any]] = json.loads(metadata["history"])
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        LOGGER.warning("%s: unusable, so that training starts over (%s)", state, error)
        state.unlink()
        return []
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    require_fit(model, weights, f"{state}: the state of an interrupted training", "the model; delete it to start over")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            moments.setdefault(int(index), {})[key] = _laid_out_like(parameters[int(index)], tensor)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return history


def _laid_out_like(parameter: Tensor, stored: Tensor) -> Tensor:
    """Return a moment in its parameter's memory format: the fused optimiser pairs the two element by element."""
    return torch.empty_like(parameter).copy_(stored) if stored.shape == parameter.shape else stored

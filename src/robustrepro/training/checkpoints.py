"""The weights of a training on its way: one file for all epochs that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.files import atomic_path


class Checkpoints:
    """Where a training keeps the weights of its checkpoints until it has ended.

    Parameters
    ----------
    state
        The file of its resumable state; those of the checkpoints lie beside it and have its name and the epoch's.
    """

    def __init__(self, state: Path) -> None:
        self._state = state

    def keep(self, epoch: int, model: nn.Module) -> None:
        """Write the weights that a model has after an epoch."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        with atomic_path(self._path(epoch)) as partial:
            save_file(weights, partial)

    def write(self, path: Path, epochs: Iterable[int]) -> None:
        """Write the weights after all of these epochs, none of them included, to one file.

        Raises
        ------
        UserError
            If those of an epoch are gone.
        """
        tensors: dict[str, Tensor] = {}
        for epoch in epochs:
            try:
                weights = load_file(self._path(epoch))
            except (FileNotFoundError, SafetensorError) as error:
                raise UserError(
                    f"{self._path(epoch)}: the weights after epoch {epoch} are gone or damaged ({error}). Delete "
                    f"{self._state} to train from the start"
                ) from None
            tensors |= {_key(epoch, name): tensor for name, tensor in weights.items()}
        with atomic_path(path) as partial:
            save_file(tensors, partial)

    def remove(self) -> None:
        """Remove the files of single epochs."""
        for path in self._state.parent.glob(self._path("*").name):
            path.unlink()

    def _path(self, epoch: int | str) -> Path:
        return self._state.with_name(self._state.name.replace(".safetensors", f".epoch-{epoch}.safetensors"))


def epochs_of(checkpoints: Path) -> list[int]:
    """Return the epochs of a file of checkpoints, in order."""
    with safe_open(checkpoints, "pt") as stored:
        return sorted({int(name.partition("/")[0]) for name in stored.keys()})  # noqa: SIM118 (no mapping)


def weights_after(checkpoints: Path, epoch: int) -> dict[str, Tensor]:
    """Return the weights after an epoch, by the names that the network has for them.

    Raises
    ------
    UserError
        If the file cannot be read, or has no such epoch.
    """
    prefix = _key(epoch, "")
    try:
        with safe_open(checkpoints, "pt") as stored:
            names = [name for name in stored.keys() if name.startswith(prefix)]  # noqa: SIM118 (no mapping)
            weights = {name.removeprefix(prefix): stored.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{checkpoints}: unreadable or truncated ({error}). Delete the folder {checkpoints.parent} and run again"
        ) from None
    if not weights:
        known = ", ".join(map(str, epochs_of(checkpoints))) or "none"
        raise UserError(f"{checkpoints}: no weights after epoch {epoch} were kept; those kept: {known}")
    return weights


def _key(epoch: int, name: str) -> str:
    return f"{epoch}/{name}"

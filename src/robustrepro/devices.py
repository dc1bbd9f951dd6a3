"""Which device a step computes on. Snakemake counts GPUs; the step takes a free one."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from robustrepro.errors import UserError


@contextmanager
def claimed_device() -> Iterator[torch.device]:
    """Yield a CUDA device that no other step on this machine holds, or the CPU where there is none.

    A device is held by a lock on a file of its own, which a killed process lets go of by itself. When all are taken,
    waits for one. ``ROBUSTREPRO_DEVICE`` (``cpu`` or ``cuda``) overrides the choice.

    Raises
    ------
    UserError
        If ``ROBUSTREPRO_DEVICE`` asks for a device that this machine lacks.
    """
    wish = os.environ.get("ROBUSTREPRO_DEVICE", "")
    if wish not in {"", "cpu", "cuda"}:
        raise UserError(f"ROBUSTREPRO_DEVICE is '{wish}'; expected 'cpu' or 'cuda'")
    if wish == "cuda" and not torch.cuda.is_available():
        raise UserError("ROBUSTREPRO_DEVICE is 'cuda', but PyTorch finds no CUDA device here")
    if wish == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
        return
    folder = Path(tempfile.gettempdir()) / f"robustrepro-devices-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as held:
        yield torch.device("cuda", _wait_for_free(folder, held))


def _wait_for_free(folder: Path, held: ExitStack) -> int:
    """Lock a free device's file for the life of ``held`` and return the device's number."""
    while True:
        for index in range(torch.cuda.device_count()):
            stream = (folder / f"cuda{index}.lock").open("w")
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stream.close()
                continue
            held.enter_context(stream)
            return index
        time.sleep(1)


def device_name(device: torch.device) -> str:
    """Return the device's name as cards show it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

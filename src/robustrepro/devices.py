"""Which device a step computes on. Snakemake counts GPUs; the step takes a free one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from robustrepro.errors import UserError


@contextmanager
def claimed_device() -> Iterator[torch.device]:
    """Yield a CUDA device that no other step on this machine holds, or the CPU where there is none.

    A device is held by a lock on a file of its own, which is released when the process dies. When all are held, waits
    for one. ``ROBUSTREPRO_DEVICE`` (``cpu`` or ``cuda``) overrides the choice.

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
    index, lock = _lock_free_device(folder)
    try:
        yield torch.device("cuda", index)
    finally:
        lock.release()


def _lock_free_device(folder: Path) -> tuple[int, FileLock]:
    """Wait for a free device; return its number and its lock, which is held."""
    locks = [
        FileLock(folder / f"cuda{index}.lock", timeout=0, fallback_to_soft=False)
        for index in range(torch.cuda.device_count())
    ]
    while True:
        for index, lock in enumerate(locks):
            with suppress(Timeout):
                lock.acquire()
                return index, lock
        time.sleep(1)


def device_name(device: torch.device) -> str:
    """Return the device's name as cards show it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

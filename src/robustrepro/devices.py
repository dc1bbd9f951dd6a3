"""The choice of the device that a step runs on: a free GPU, a share of one, or the processor."""

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

STEPS_PER_GPU = "ROBUSTREPRO_STEPS_PER_GPU"
"""Environment variable with how many steps may share a GPU. A small network leaves most of one idle."""


@contextmanager
def claimed_device() -> Iterator[torch.device]:
    """Yield a CUDA device that no other step on this machine holds, or the CPU where there is none.

    On a CUDA device cuDNN is held to algorithms that give the same bits every time: without this, two trainings of one
    seed part within an epoch.

    A device is held by a lock on a file of its own, which is released when the process dies. When all are held, waits
    for one. ``ROBUSTREPRO_DEVICE`` (``cpu`` or ``cuda``) overrides the choice; with ``ROBUSTREPRO_STEPS_PER_GPU``,
    that many steps share a device, and those that come first spread over all devices.

    Raises
    ------
    UserError
        If ``ROBUSTREPRO_DEVICE`` asks for a device that this machine lacks, or one of the two variables has no value
        that it can have.
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
    index, lock = _lock_free_device(folder, _steps_per_gpu())
    try:
        with _same_bits_every_time():
            yield torch.device("cuda", index)
    finally:
        lock.release()


@contextmanager
def _same_bits_every_time() -> Iterator[None]:
    was = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = was


def _steps_per_gpu() -> int:
    given = os.environ.get(STEPS_PER_GPU, "1")
    if not given.isdecimal() or int(given) < 1:
        raise UserError(f"{STEPS_PER_GPU} is '{given}'; expected a number of steps, 1 or more")
    return int(given)


def _lock_free_device(folder: Path, shares: int) -> tuple[int, FileLock]:
    """Wait for a free share of a device; return the device's number and the share's lock, which is held."""
    locks = [
        (index, FileLock(folder / f"cuda{index}-{share}.lock", timeout=0, fallback_to_soft=False))
        for share in range(shares)
        for index in range(torch.cuda.device_count())
    ]
    while True:
        for index, lock in locks:
            with suppress(Timeout):
                lock.acquire()
                return index, lock
        time.sleep(1)


def device_name(device: torch.device) -> str:
    """Return the device's name as cards show it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

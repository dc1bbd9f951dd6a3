"""Atomic writes and checksums: what a killed or failed write leaves behind is never trusted."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robustrepro.errors import UserError


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder that becomes ``path`` once the block ends well.

    The temporary name ends in ``.partial``, is flushed to disk before the rename, and is removed when
    the block fails, so that ``path`` is either absent, old, or whole.

    Raises
    ------
    UserError
        If the disk is full; the message names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        with suppress(OSError):  # of a file system without permissions
            partial.chmod(0o666 & ~_umask())  # safetensors would leave it to its owner alone
        partial.replace(path)
    except Exception as error:
        if _says_disk_full(error):
            message = f"{path}: the disk is full; nothing was written. Free some space and run the same command again."
            raise UserError(message) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def _umask() -> int:
    """Return which permissions new files lack; it can only be asked for by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _says_disk_full(error: Exception) -> bool:
    """Return whether a write failed for want of space; safetensors passes on no more than the system's words."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or f"os error {errno.ENOSPC}" in str(error)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")

"""Locks that are released when the process that holds them dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robustrepro.errors import UserError

TAKEN = {errno.EACCES, errno.EAGAIN}
"""What the system answers where another process holds a lock; anything else says that there are no locks here."""


def lock_path(output: Path) -> Path:
    """Return where the lock of an output lies: beside it, under a name that neither DVC nor an adoption minds."""
    return output.with_name(f".{output.name}.lock.partial")


@contextmanager
def writing(output: Path) -> Iterator[bool]:
    """Hold an output for this process alone, so that an orphan of a killed run never writes beside its successor.

    Parameters
    ----------
    output
        The file to write. Its folder is made.

    Yields
    ------
    Whether it is held: not where the file system has no locks.

    Raises
    ------
    UserError
        If another process is writing it, which the message names, or if its folder cannot be written.
    """
    path = lock_path(output)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(path)
    except OSError as error:
        message = f"{path.parent}: cannot be written ({error.strerror}), so {output.name} cannot be made"
        raise UserError(message) from None
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            with suppress(OSError):  # a lock file that stays stops nobody
                path.unlink()
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Return a descriptor that holds a lock on the file at this path; None where the file system has none."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in TAKEN:
                path.unlink(missing_ok=True)
                return None
            process = f"process {holder}" if holder else "another process"
            raise UserError(f"{path}: {process} is writing this output; wait for it or stop it") from None
        if _is_still_at(path, descriptor):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor
        os.close(descriptor)  # whoever held it has removed the file meanwhile


def _is_still_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def among_the_living(path: Path, when_alone: Callable[[], None]) -> Iterator[None]:
    """Hold a lock together with others, after doing something if no other process holds it.

    Without a file that can be written, or without locks in its file system, nobody knows whether others live, and
    nothing is done.

    Parameters
    ----------
    path
        The file of the lock, which stays.
    when_alone
        What is done before any other process can hold the lock.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError:
        yield
        return
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            known = error.errno in TAKEN
        else:
            known = True
            when_alone()
        if known:
            fcntl.flock(stream, fcntl.LOCK_SH)
        yield

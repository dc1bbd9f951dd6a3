"""Downloads of official files, held against their checksums."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from torch.hub import download_url_to_file

from robustrepro.errors import UserError
from robustrepro.spec.datasets import OfficialFile

log = logging.getLogger("robustrepro")

SECONDS_WITHOUT_A_BYTE = 60.0


def md5_of(content: bytes) -> str:
    """Return the hexadecimal MD5 of bytes; the data sets' authors published no better checksum."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def download(dataset: str, addresses: Mapping[OfficialFile, Sequence[str]], folder: Path) -> None:
    """Download a data set's official files into ``folder``, which the caller removes.

    A download whose checksum is wrong is never kept, not even where unverified files are allowed: that is for files
    that somebody chose, and not for what a broken connection left.

    Parameters
    ----------
    dataset
        The data set's name, for messages.
    addresses
        Where each file can be had, tried in order.
    folder
        Where the files go.

    Raises
    ------
    UserError
        If a file could not be downloaded from any of its hosts.
    """
    with _patience():
        for file, hosts in addresses.items():
            _download(dataset, file, hosts, folder / file.name)


def _download(dataset: str, file: OfficialFile, addresses: Sequence[str], path: Path) -> None:
    failures = []
    for address in addresses:
        log.info("%s: downloading %s from %s", dataset, file.name, urlsplit(address).netloc)
        try:
            download_url_to_file(address, str(path), progress=False)
        except (OSError, HTTPException) as error:  # unknown hosts, HTTP states and broken connections
            failures.append(f"{address}: {error}")
            continue
        found = md5_of(path.read_bytes())
        if found == file.md5:
            return
        path.unlink()
        failures.append(f"{address}: MD5 {found} found, {file.md5} expected")
    message = (
        f"{dataset}: {file.name} could not be downloaded ({'; '.join(failures)}). Is there a network? If so, run "
        "again. If not, get the official files elsewhere and name their folder in config.yaml under data.mirror, or in "
        "the environment variable ROBUSTREPRO_MIRROR."
    )
    raise UserError(message)


@contextmanager
def _patience() -> Iterator[None]:
    # A host that never answers would otherwise stop a run for ever.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_WITHOUT_A_BYTE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

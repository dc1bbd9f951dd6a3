"""Downloads from the official hosts, whose addresses torchvision keeps."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from torch.hub import download_url_to_file

from robustrepro.datasets.official import md5_of
from robustrepro.errors import UserError
from robustrepro.spec.datasets import Cifar10Spec, MnistSpec, OfficialFile

log = logging.getLogger("robustrepro")

SECONDS_WITHOUT_A_BYTE = 60.0


def download(spec: MnistSpec | Cifar10Spec, folder: Path) -> None:
    """Download a data set's official files into ``folder``, which the caller removes.

    A download whose checksum is wrong is never kept, not even where unverified files are allowed: that is for files
    that somebody chose, and not for what a broken connection left.

    Raises
    ------
    UserError
        If a file could not be downloaded from any of its hosts.
    """
    from torchvision import datasets

    with _patience():
        match spec:
            case MnistSpec():
                official = datasets.MNIST if spec.name == "mnist" else datasets.FashionMNIST
                for file in (*spec.train_files, *spec.test_files):
                    addresses = [f"{host}{file.name}" for host in official.mirrors]
                    _download(spec.name, file, addresses, folder / file.name)
            case Cifar10Spec():
                _download(spec.name, spec.archive, [datasets.CIFAR10.url], folder / spec.archive.name)


def _download(dataset: str, file: OfficialFile, addresses: list[str], path: Path) -> None:
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

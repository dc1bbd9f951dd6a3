"""The real data sets: from a mirror of the official files, and through torchvision's addresses."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grimp
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.spec.datasets import Cifar10Spec, MnistSpec, dataset_spec

MIRROR = Path(os.environ.get("ROBUSTREPRO_MIRROR") or Path(__file__).parents[2] / "shared" / "data")
needs_mirror = pytest.mark.skipif(not MIRROR.is_dir(), reason="no mirror: ROBUSTREPRO_MIRROR names no folder")


def test_declared_checksums_are_those_of_torchvision():
    for name, peer in (("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)):
        spec = dataset_spec(name)
        assert isinstance(spec, MnistSpec)
        assert [(file.name, file.md5) for file in (*spec.train_files, *spec.test_files)] == peer.resources
    cifar10 = dataset_spec("cifar10")
    assert isinstance(cifar10, Cifar10Spec)
    peer = datasets.CIFAR10
    assert [[file.name, file.md5] for file in cifar10.train_files] == peer.train_list
    assert [[file.name, file.md5] for file in cifar10.test_files] == peer.test_list
    assert (cifar10.archive.name, cifar10.archive.md5) == (peer.filename, peer.tgz_md5)
    assert (cifar10.class_names_file.name, cifar10.class_names_file.md5) == (peer.meta["filename"], peer.meta["md5"])
    assert cifar10.batches_folder == peer.base_folder


@needs_mirror
@pytest.mark.parametrize(
    ("name", "train_counts", "test_counts", "mean"),
    [
        # Label counts and pixel means (0.1307, 0.2860) as widely published.
        (
            "mnist",
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
            0.1307,
        ),
        ("fashion_mnist", [6000] * 10, [1000] * 10, 0.2860),
    ],
)
def test_mnist_sets_from_the_mirror_are_exact(
    name: str, train_counts: list[int], test_counts: list[int], mean: float, tmp_path: Path
):
    manifest = prepare(dataset_spec(name), tmp_path, mirror=MIRROR, allow_unverified=False)
    assert manifest.verified
    assert manifest.differing == ()
    train, test = load(tmp_path, "train"), load(tmp_path, "test")
    assert train.inputs.shape == (60_000, 1, 28, 28)
    assert train.labels.bincount().tolist() == train_counts
    assert test.labels.bincount().tolist() == test_counts
    assert float(train.inputs.sum(dtype=torch.int64)) / train.inputs.numel() / 255 == pytest.approx(mean, abs=5e-5)


@needs_mirror
def test_one_data_set_is_never_taken_for_another(tmp_path: Path):
    with pytest.raises(UserError, match=r"What was found is the train-images-idx3-ubyte\.gz of 'mnist'"):
        prepare(dataset_spec("fashion_mnist"), tmp_path / "out", mirror=MIRROR / "mnist", allow_unverified=True)


@needs_mirror
def test_cifar10_is_unverified_where_a_mirror_differs_and_has_its_images_in_order(tmp_path: Path):
    spec = dataset_spec("cifar10")
    assert isinstance(spec, Cifar10Spec)
    # One batch in each split is enough to hold the order of pixels and channels; four more would only cost seconds.
    spec = spec.model_copy(update={"train_files": spec.train_files[:1], "train_examples": 10_000})
    source = MIRROR / "cifar10"
    if not (source / "test_batch.webp").exists():
        pytest.skip(f"{source} has no sprites to make unofficial batches from")
    batches = tmp_path / "mirror" / spec.batches_folder
    batches.mkdir(parents=True)
    with Image.open(source / "test_batch.webp") as sprite:
        grid = np.asarray(sprite.convert("RGB"))
    images = grid.reshape(100, 32, 100, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3072)
    labels = np.load(source / "test_batch.labels.npy").astype(int).tolist()
    content = pickle.dumps({"data": images, "labels": labels}, protocol=2)
    for file in (*spec.train_files, *spec.test_files):
        (batches / file.name).write_bytes(content)
    (batches / "batches.meta").write_bytes((source / "batches.meta").read_bytes())

    with pytest.raises(UserError, match=r"data_batch_1: MD5 .*data\.allow_unverified: \[cifar10\]"):
        prepare(spec, tmp_path / "out", mirror=tmp_path / "mirror", allow_unverified=False)
    manifest = prepare(spec, tmp_path / "out", mirror=tmp_path / "mirror", allow_unverified=True)
    assert not manifest.verified
    assert [file.name for file in manifest.differing] == ["data_batch_1", "test_batch"]
    test = load(tmp_path / "out", "test")
    assert test.labels.bincount().tolist() == [1000] * 10
    # The first test image of CIFAR-10 is a cat; its first sprite tile is read here without any reshaping.
    assert int(test.labels[0]) == 3
    assert np.array_equal(test.inputs[0].permute(1, 2, 0).numpy(), grid[:32, :32])
    assert np.array_equal(test.inputs[101].permute(1, 2, 0).numpy(), grid[32:64, 32:64])


@needs_mirror
def test_a_download_equals_the_mirror_and_leaves_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The second host answers; the first one is unreachable.
    hosts = ["http://127.0.0.1:9/", f"{(MIRROR / 'mnist').resolve().as_uri()}/"]
    monkeypatch.setattr(datasets.MNIST, "mirrors", hosts)
    downloaded = prepare(dataset_spec("mnist"), tmp_path / "data" / "mnist", mirror=None, allow_unverified=False)
    mirrored = prepare(dataset_spec("mnist"), tmp_path / "again", mirror=MIRROR, allow_unverified=False)
    assert downloaded == mirrored
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mnist"]


def test_no_network_ends_in_one_message_that_shows_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz could not be downloaded.*network.*data\.mirror"):
        prepare(dataset_spec("cifar10"), tmp_path / "data" / "cifar10", mirror=None, allow_unverified=False)
    assert list((tmp_path / "data").iterdir()) == []


class _BreaksOff(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"\x1f\x8b" + bytes(1000))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host_that_breaks_off() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _BreaksOff) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_a_broken_download_is_refused_even_where_unverified_files_are_allowed(
    host_that_breaks_off: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(datasets.MNIST, "mirrors", [host_that_breaks_off])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz could not be downloaded.*(MD5|IncompleteRead)"):
        prepare(dataset_spec("mnist"), tmp_path / "data" / "mnist", mirror=None, allow_unverified=True)
    assert list((tmp_path / "data").iterdir()) == []


def test_loading_tensors_imports_neither_torchvision_nor_scikit_learn_nor_pandas():
    graph = grimp.build_graph("robustrepro", include_external_packages=True, cache_dir=None)
    imported = graph.find_upstream_modules("robustrepro.datasets.tensors")
    assert {"torch", "safetensors", "robustrepro.datasets.manifest"} <= imported
    assert not {"torchvision", "sklearn", "pandas", "PIL", "robustrepro.datasets.prepare"} & imported
    assert graph.find_modules_that_directly_import("torchvision") >= {"robustrepro.datasets.mnist"}

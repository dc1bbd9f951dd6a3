"""Data sets made from small sources: checks, refusals, and what is left behind."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from robustrepro.canonical import canonical_json
from robustrepro.datasets.manifest import read_manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.spec.datasets import DATASETS, Cifar10Spec, MnistSpec, OfficialFile, dataset_spec


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def official(name: str, content: bytes) -> OfficialFile:
    return OfficialFile(name=name, md5=hashlib.md5(content).hexdigest())


@pytest.fixture
def small_mnist(tmp_path: Path) -> tuple[MnistSpec, Path]:
    """A mirror of 30 training and 20 test images whose declared checksums match."""
    generator = np.random.default_rng(0)
    mirror = tmp_path / "mirror"
    folder = mirror / "mnist"
    folder.mkdir(parents=True)
    pairs = []
    for prefix, examples in (("train", 30), ("t10k", 20)):
        contents = {
            f"{prefix}-images-idx3-ubyte.gz": idx(generator.integers(256, size=(examples, 28, 28))),
            f"{prefix}-labels-idx1-ubyte.gz": idx(np.arange(examples) % 10),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        pairs.append(tuple(official(name, content) for name, content in contents.items()))
    update = {"train_examples": 30, "test_examples": 20, "train_files": pairs[0], "test_files": pairs[1]}
    return dataset_spec("mnist").model_copy(update=update), mirror


@pytest.fixture
def small_cifar10(tmp_path: Path) -> tuple[Cifar10Spec, Path]:
    """A mirror of six unpacked batches of 10 images each whose declared checksums match."""
    spec = dataset_spec("cifar10")
    assert isinstance(spec, Cifar10Spec)
    mirror = tmp_path / "mirror"
    folder = mirror / "cifar10" / spec.batches_folder
    folder.mkdir(parents=True)
    contents = {"batches.meta": pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)}
    for number, file in enumerate((*spec.train_files, *spec.test_files)):
        images = np.full((10, 3072), number, dtype=np.uint8)
        pickled = pickle.dumps({"data": images, "labels": list(range(10))}, protocol=2)
        # As Python 2 and the NumPy of its time named it in the official batches.
        contents[file.name] = pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
        assert b"cnumpy.core.multiarray\n_reconstruct\n" in contents[file.name]
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    update = {
        "train_examples": 50,
        "test_examples": 10,
        "train_files": tuple(official(file.name, contents[file.name]) for file in spec.train_files),
        "test_files": tuple(official(file.name, contents[file.name]) for file in spec.test_files),
        "class_names_file": official("batches.meta", contents["batches.meta"]),
    }
    return spec.model_copy(update=update), mirror


def test_an_unknown_data_set_names_the_nearest_one():
    with pytest.raises(UserError, match="did you mean 'fashion_mnist'"):
        dataset_spec("fashion-mnist")


def test_every_declaration_is_canonical_json_and_has_its_own_name():
    texts = {name: canonical_json(spec) for name, spec in DATASETS.items()}
    assert {name: json.loads(text)["name"] for name, text in texts.items()} == {name: name for name in DATASETS}


def test_a_mirror_gives_the_images_and_labels_of_its_files(small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    manifest = prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=False)
    train = load(tmp_path / "out", "train")
    raw = gzip.decompress((mirror / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    assert train.inputs.numpy().tobytes() == raw
    assert train.labels.tolist() == [i % 10 for i in range(30)]
    assert manifest.verified
    assert train.manifest_sha256 == hashlib.sha256((tmp_path / "out" / "manifest.json").read_bytes()).hexdigest()
    assert torch.allclose(as_float(train.inputs) * 255, train.inputs.float())
    assert as_float(train.inputs).max() <= 1


def test_files_directly_in_the_mirror_are_found(small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    assert prepare(spec, tmp_path / "out", mirror=mirror / "mnist", allow_unverified=False).verified


def test_a_missing_mirror_names_folder_and_key(tmp_path: Path):
    with pytest.raises(UserError, match=r"absent: there is no such folder.*data\.mirror.*ROBUSTREPRO_MIRROR"):
        prepare(dataset_spec("mnist"), tmp_path / "out", mirror=tmp_path / "absent", allow_unverified=False)


@pytest.mark.parametrize("missing", ["t10k-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz"])
def test_a_missing_file_is_named(missing: str, small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    (mirror / "mnist" / missing).unlink()
    with pytest.raises(UserError, match=rf"{missing}: cannot be read .*data\.mirror.*ROBUSTREPRO_MIRROR"):
        prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)
    assert not (tmp_path / "out").exists()


def test_a_mirror_without_cifar10_names_both_forms(tmp_path: Path):
    with pytest.raises(UserError, match=r"cifar-10-batches-py nor cifar-10-python\.tar\.gz.*data\.mirror"):
        prepare(dataset_spec("cifar10"), tmp_path / "out", mirror=tmp_path, allow_unverified=True)


def test_other_bytes_are_refused_unless_allowed_and_then_named(small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    changed = mirror / "mnist" / "train-labels-idx1-ubyte.gz"
    content = idx(np.arange(30)[::-1] % 10)
    changed.write_bytes(content)
    found, expected = hashlib.md5(content).hexdigest(), spec.train_files[1].md5
    refusal = rf"{changed.name}: MD5 {found} found, {expected} expected.*data\.allow_unverified: \[mnist\]"
    with pytest.raises(UserError, match=refusal):
        prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=False)
    assert not (tmp_path / "out").exists()

    manifest = prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)
    assert not manifest.verified
    assert [(file.name, file.found_md5, file.expected_md5) for file in manifest.differing] == [
        (changed.name, found, expected)
    ]
    train = load(tmp_path / "out", "train")
    assert not train.verified
    assert train.labels.tolist() == [i % 10 for i in range(30)][::-1]


@pytest.mark.parametrize(("kept", "message"), [(0.5, "truncated"), (0, "truncated|opens with")])
def test_a_truncated_gzip_file_is_named(kept: float, message: str, small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    cut = mirror / "mnist" / "train-images-idx3-ubyte.gz"
    content = cut.read_bytes()
    cut.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(UserError, match=rf"{cut.name}: ({message})"):
        prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)
    assert not (tmp_path / "out").exists()


def test_an_idx_file_that_is_shorter_than_it_says_is_named(small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    cut = mirror / "mnist" / "train-images-idx3-ubyte.gz"
    cut.write_bytes(gzip.compress(gzip.decompress(cut.read_bytes())[:-5]))
    with pytest.raises(UserError, match=rf"{cut.name}: 23515 bytes of data found, 23520 expected"):
        prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)


def test_a_label_outside_the_classes_is_refused(small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    (mirror / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.arange(30) % 11))
    with pytest.raises(UserError, match=r"mnist: the training labels are .*0 to 9"):
        prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)


def test_fewer_examples_than_declared_are_refused(small_mnist: tuple[MnistSpec, Path], tmp_path: Path):
    spec, mirror = small_mnist
    with pytest.raises(UserError, match=r"test examples have the shapes \(20, 1, 28, 28\).*\(21, 1, 28, 28\)"):
        prepare(spec.model_copy(update={"test_examples": 21}), tmp_path / "out", mirror=mirror, allow_unverified=False)


def test_cifar10_is_read_from_batches_and_from_the_archive_alike(
    small_cifar10: tuple[Cifar10Spec, Path], tmp_path: Path
):
    spec, mirror = small_cifar10
    from_batches = prepare(spec, tmp_path / "batches", mirror=mirror, allow_unverified=False)
    train = load(tmp_path / "batches", "train")
    assert train.inputs.shape == (50, 3, 32, 32)
    assert train.inputs[:, 0, 0, 0].tolist() == [i // 10 for i in range(50)]
    assert load(tmp_path / "batches", "test").inputs.unique().tolist() == [5]

    archive = tmp_path / "archived" / spec.archive.name
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(mirror / "cifar10" / spec.batches_folder, spec.batches_folder)
    archived = spec.model_copy(update={"archive": official(archive.name, archive.read_bytes())})
    from_archive = prepare(archived, tmp_path / "archive", mirror=archive.parent, allow_unverified=False)
    assert (from_archive.train, from_archive.test) == (from_batches.train, from_batches.test)

    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"tar\.gz: truncated"):
        prepare(archived, tmp_path / "archive", mirror=archive.parent, allow_unverified=True)


class RunsAProgram:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def test_a_malicious_batch_is_refused_and_does_not_run(small_cifar10: tuple[Cifar10Spec, Path], tmp_path: Path):
    spec, mirror = small_cifar10
    batch = mirror / "cifar10" / spec.batches_folder / "data_batch_2"
    proof = tmp_path / "it-ran"
    for protocol in (0, 2, 5):
        batch.write_bytes(pickle.dumps({"data": RunsAProgram(proof), "labels": []}, protocol=protocol))
        with pytest.raises(UserError, match=r"data_batch_2: refused: this pickle asks for 'posix\.mkdir'"):
            prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)
    assert not proof.exists()
    pickle.loads(batch.read_bytes())
    assert proof.exists(), "the pickle of this test would not have run anything"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x02}q\x00(X", pickle.dumps([1]), pickle.dumps({"data": "x", "labels": [1]})],
    ids=["empty", "cut", "a list", "no array"],
)
def test_a_damaged_batch_is_named(content: bytes, small_cifar10: tuple[Cifar10Spec, Path], tmp_path: Path):
    spec, mirror = small_cifar10
    (mirror / "cifar10" / spec.batches_folder / "test_batch").write_bytes(content)
    with pytest.raises(UserError, match="test_batch: not a CIFAR-10 batch"):
        prepare(spec, tmp_path / "out", mirror=mirror, allow_unverified=True)


def test_an_interrupted_write_leaves_nothing_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "two_moons"
    spec = dataset_spec("two_moons")
    prepare(spec, folder, mirror=None, allow_unverified=False)
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        if Path(target).name == "test.safetensors":
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(spec.model_copy(update={"seed": 1}), folder, mirror=None, allow_unverified=False)
    assert sorted(path.name for path in folder.iterdir()) == ["test.safetensors", "train.safetensors"]
    with pytest.raises(UserError, match=r"manifest\.json: there is no such file.*Delete the folder"):
        load(folder, "train")


def test_a_tampered_truncated_or_missing_tensor_file_is_named(tmp_path: Path):
    prepare(dataset_spec("blobs"), tmp_path, mirror=None, allow_unverified=False)
    path = tmp_path / "train.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"train\.safetensors: sha256 .* found, .* expected.*Delete the folder"):
        load(tmp_path, "train")
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=rf"{len(content) - 1} bytes found, {len(content)} expected"):
        load(tmp_path, "train")
    path.unlink()
    with pytest.raises(UserError, match=r"train\.safetensors: there is no such file.*Delete the folder"):
        load(tmp_path, "train")
    assert len(load(tmp_path, "test").labels) == 1000


@pytest.mark.parametrize("text", ["", "{}", '{"name": 3}', "[1"])
def test_a_damaged_manifest_is_named(text: str, tmp_path: Path):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json: not a data set's manifest.*Delete the folder"):
        read_manifest(tmp_path)

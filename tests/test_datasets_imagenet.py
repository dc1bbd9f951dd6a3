"""A folder of ImageNet's validation images as a data set: read, cut, streamed, and told what it lacks."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import oracle
from PIL import Image

from robustrepro.datasets import tensors
from robustrepro.datasets.imagenet import make
from robustrepro.datasets.manifest import Manifest, read_manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.streamed import load_names
from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.spec.datasets import ImageNetSpec

MIRROR = Path(os.environ.get("ROBUSTREPRO_MIRROR") or Path(__file__).parents[2] / "shared" / "data")
SMALL = ImageNetSpec(classes=3, official_examples=6, official_name=r"image_\d\.JPEG")
WNIDS = ("n01440764", "n01443537", "n01484850")
COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250), (250, 0, 250))


def picture(number: int, size: tuple[int, int] = (300, 260)) -> Image.Image:
    """Return an image of one colour, by which it is known again."""
    return Image.new("RGB", size, COLOURS[number])


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Return a mirror with six images of three classes, side by side."""
    folder = tmp_path / "mirror" / "imagenet"
    (folder / "val").mkdir(parents=True)
    for number in range(6):
        picture(number).save(folder / "val" / f"image_{number}.JPEG")
    lines = ["file,label", *(f"image_{number}.JPEG,{number % 3}" for number in range(6))]
    (folder / "val_labels.csv").write_text("\n".join(lines))
    return tmp_path / "mirror"


@pytest.fixture
def by_class(tmp_path: Path) -> Path:
    """Return a mirror with the same images in a folder for each class."""
    for number in range(6):
        folder = tmp_path / "classes" / "imagenet" / "val" / WNIDS[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        picture(number).save(folder / f"image_{number}.JPEG")
    return tmp_path / "classes"


def prepared(mirror: Path, declared: ImageNetSpec = SMALL, *, allowed: bool = False) -> Manifest:
    return prepare(declared, mirror / "made", mirror=mirror, allow_unverified=allowed)


@pytest.mark.parametrize("layout", ["flat", "by_class"])
def test_both_layouts_give_the_images_in_the_order_of_their_names(layout: str, request: pytest.FixtureRequest) -> None:
    mirror: Path = request.getfixturevalue(layout)
    manifest = prepared(mirror)
    split = load(mirror / "made", "test")
    assert manifest.verified
    assert manifest.train is None
    assert split.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert (split.inputs.dtype, tuple(split.inputs.shape)) == (torch.uint8, (6, 3, 224, 224))
    means = split.inputs.float().mean((2, 3))
    assert torch.allclose(means, torch.tensor(COLOURS, dtype=torch.float32), atol=3)
    assert load_names(mirror / "made") == [f"image_{number}.JPEG" for number in range(6)]


def test_the_shorter_side_is_made_256_pixels_long_and_the_middle_is_cut_out(flat: Path) -> None:
    # Twice as large and of a left half and a right half: the cut's middle column is the border between them.
    image = np.zeros((512, 800, 3), np.uint8)
    image[:, 400:] = 255
    Image.fromarray(image).save(flat / "imagenet/val/image_0.JPEG", quality=100)
    prepared(flat)
    row = load(flat / "made", "test").inputs[0, 0, 100].tolist()
    assert row[:108] == [0] * 108
    assert row[116:] == [255] * 108


def test_real_images_are_those_that_the_corruptions_were_recorded_on() -> None:
    folder = oracle("imagenet_c")
    if not (MIRROR / "imagenet" / "val").is_dir():
        pytest.skip("no ImageNet images: ROBUSTREPRO_MIRROR names no folder with imagenet/val")
    recorded = json.loads((folder / "images4.json").read_text())
    names = {each["file"]: each for each in recorded}
    found = make_some(MIRROR / "imagenet", names)
    for each in recorded:
        clean = np.asarray(Image.open(folder / f"clean_{each['k']}.png")).transpose(2, 0, 1)
        assert found[each["file"]][0] == each["label"]
        assert np.array_equal(found[each["file"]][1], clean)


def make_some(folder: Path, names: dict[str, object]) -> dict[str, tuple[int, np.ndarray]]:
    """Return label and pixels of some of the real images, made as the whole data set is."""
    from robustrepro.datasets.imagenet import _decoded, labelled_images

    declared = ImageNetSpec()
    images = [image for image in labelled_images(folder, declared) if image.file.name in names]
    pixels = np.concatenate([*_decoded(images, declared, [], [])])
    return {image.file.name: (image.label, each) for image, each in zip(images, pixels, strict=True)}


def test_a_large_file_is_mapped_and_still_held_against_its_manifest(
    flat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(flat)
    read = load(flat / "made", "test")
    monkeypatch.setattr(tensors, "LARGE", 1000)
    monkeypatch.setattr(tensors, "parse_safetensors", None)
    mapped = load(flat / "made", "test")
    assert torch.equal(mapped.inputs, read.inputs)
    assert torch.equal(mapped.labels, read.labels)
    del mapped
    path = flat / "made" / "test.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"test\.safetensors: sha256 .* expected by manifest\.json"):
        load(flat / "made", "test")
    path.unlink()
    with pytest.raises(UserError, match="there is no such file"):
        load(flat / "made", "test")


def test_what_a_folder_lacks_is_counted_and_named_and_accepted_only_where_that_is_allowed(flat: Path) -> None:
    for number in (1, 4, 5):
        (flat / "imagenet/val" / f"image_{number}.JPEG").unlink()
    with pytest.raises(UserError, match=r"3 of 6 images found; 1 of 3 classes have none \(1\)\. Comp.*\[imagenet\]"):
        prepared(flat)
    assert not (flat / "made" / "manifest.json").exists()
    manifest = prepared(flat, allowed=True)
    assert not manifest.verified
    assert manifest.gaps is not None
    assert (manifest.gaps.images, manifest.gaps.missing_classes) == (3, (1,))
    assert read_manifest(flat / "made") == manifest
    assert load(flat / "made", "test").labels.tolist() == [0, 2, 0]
    assert not load(flat / "made", "test").verified


def test_unreadable_images_are_counted_and_named_and_left_out_only_where_that_is_allowed(flat: Path) -> None:
    for number in (2, 4):
        path = flat / "imagenet/val" / f"image_{number}.JPEG"
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"2 images \(image_2\.JPEG, image_4\.JPEG\) cannot be read\. Complete"):
        prepared(flat)
    assert not (flat / "made" / "manifest.json").exists()
    manifest = prepared(flat, allowed=True)
    assert manifest.gaps is not None
    assert manifest.gaps.unreadable == ("image_2.JPEG", "image_4.JPEG")
    assert load_names(flat / "made") == ["image_0.JPEG", "image_1.JPEG", "image_3.JPEG", "image_5.JPEG"]


def remove(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("val_labels.csv"), r"val_labels\.csv: there is no such file; .* columns 'file' and 'label'"),
        (
            write("val_labels.csv", "file,label\nimage_0.JPEG,1"),
            r"no label of 5 images \(image_1\.JPEG, .*image_5",
        ),
        (write("val_labels.csv", "name,class\na,1"), "expected the columns 'file' and 'label'"),
        (write("val_labels.csv", "file,label\nimage_0.JPEG,9"), r"1 label \(image_0\.JPEG\) not from 0 to 2"),
        (remove(*(f"val/image_{number}.JPEG" for number in range(6))), "there are no images in it"),
    ],
)
def test_a_mistake_in_a_folder_is_told_in_one_message(flat: Path, change: Callable[[Path], None], message: str) -> None:
    change(flat / "imagenet")
    with pytest.raises(UserError, match=message) as caught:
        prepared(flat, allowed=True)
    assert "\n" not in str(caught.value)


def test_folders_of_some_classes_alone_need_to_be_told_their_numbers(by_class: Path) -> None:
    folder = by_class / "imagenet"
    for file in (folder / "val" / WNIDS[1]).iterdir():
        file.unlink()
    (folder / "val" / WNIDS[1]).rmdir()
    with pytest.raises(UserError, match=r"it has 2 folders, and not one for each of 3 .* put class_index\.json beside"):
        prepared(by_class, allowed=True)
    names = {str(number): [wnid, "a word"] for number, wnid in enumerate(WNIDS)}
    (folder / "class_index.json").write_text(json.dumps(names))
    prepared(by_class, allowed=True)
    assert load(by_class / "made", "test").labels.tolist() == [0, 2, 0, 2]
    (folder / "val" / "n99999999").mkdir()
    (folder / "val" / "n99999998").mkdir()
    with pytest.raises(UserError, match=r"2 folders \(n99999998, n99999999\) named after no class of class_index"):
        prepared(by_class, allowed=True)


def test_without_a_mirror_it_is_said_that_nobody_may_hand_the_images_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded, since they may not be handed on; .* imagenet/val"):
        prepare(SMALL, tmp_path / "made")


def test_images_are_made_batch_by_batch(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from robustrepro.datasets import imagenet
    from robustrepro.datasets.examples import Ingredients

    monkeypatch.setattr(imagenet, "BATCH", 4)
    made = make(SMALL, Ingredients(flat / "made", flat))
    assert [len(batch) for batch in made.images.batches] == [4, 2]


def test_the_file_of_classes_says_their_numbers_where_there_is_one(by_class: Path) -> None:
    path = by_class / "imagenet" / "class_index.json"
    path.write_text(json.dumps({str(2 - number): [wnid, "a word"] for number, wnid in enumerate(WNIDS)}))
    prepared(by_class)
    assert load(by_class / "made", "test").labels.tolist() == [2, 1, 0, 2, 1, 0]
    path.write_text(json.dumps({"5000": [WNIDS[0], "a word"]}))
    with pytest.raises(UserError, match=r"the numbers of 1 class \(n01440764\) are not from 0 to 2"):
        prepared(by_class)


def test_folders_that_are_no_wordnet_ids_do_not_tell_a_number_by_their_order(by_class: Path) -> None:
    folder = by_class / "imagenet" / "val"
    for number, wnid in enumerate(WNIDS):
        (folder / wnid).rename(folder / str(9 + number))
    with pytest.raises(UserError, match="not one for each of 3 classes by its WordNet ID"):
        prepared(by_class)


def test_as_many_images_as_the_official_ones_are_not_taken_for_them(flat: Path) -> None:
    labels = flat / "imagenet" / "val_labels.csv"
    text = labels.read_text()
    labels.write_text(text.replace("image_5.JPEG,2", "image_5.JPEG,1"))
    with pytest.raises(UserError, match="not all classes have as many images"):
        prepared(flat)
    labels.write_text(text.replace("image_5.JPEG", "photo.JPEG"))
    (flat / "imagenet/val/image_5.JPEG").rename(flat / "imagenet/val/photo.JPEG")
    with pytest.raises(UserError, match=r"1 file \(photo\.JPEG\) not named as the official ones"):
        prepared(flat)
    assert not prepared(flat, allowed=True).verified


def test_an_image_in_two_folders_is_refused(by_class: Path) -> None:
    folder = by_class / "imagenet" / "val"
    shutil.copy(folder / WNIDS[0] / "image_0.JPEG", folder / WNIDS[1])
    with pytest.raises(UserError, match=r"1 name \(image_0\.JPEG\) of images in more than one folder"):
        prepared(by_class, allowed=True)


def test_an_image_of_sixteen_bits_is_not_cut_to_eight(flat: Path) -> None:
    path = flat / "imagenet/val/image_0.JPEG"
    path.unlink()
    Image.fromarray(np.full((300, 300), 40_000, np.uint16)).save(path, format="PNG")
    with pytest.raises(UserError, match=r"1 image \(image_0\.JPEG\) cannot be read"):
        prepared(flat)


def test_what_was_prepared_before_stays_where_a_new_preparation_fails(flat: Path) -> None:
    before = prepared(flat)
    (flat / "imagenet/val/image_3.JPEG").write_bytes(b"no image")
    with pytest.raises(UserError, match="cannot be read"):
        prepared(flat)
    assert read_manifest(flat / "made") == before
    assert len(load(flat / "made", "test").labels) == 6

"""The official ImageNet-C: read from folders and tar files alike, and held against what was published."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustrepro.corruptions import official
from robustrepro.corruptions.official import OfficialSets
from robustrepro.corruptions.registry import CORRUPTIONS, FAMILIES
from robustrepro.errors import UserError

NAMES = [f"ILSVRC2012_val_0000000{number}.JPEG" for number in (3, 1, 2)]
"""Not in the order of a folder or a tar file."""
CLASSES = dict(zip(NAMES, ("n01440764", "n01443537", "n01440764"), strict=True))
SETS = [("fog", 1), ("fog", 5), ("snow", 1), ("snow", 5)]

Files = dict[str, bytes]
"""The bytes of images by their path, ``<corruption>/<severity>/<class>/<name>``."""


def jpeg(seed: int, height: int = 224, width: int = 224) -> bytes:
    content = io.BytesIO()
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((width, height)).save(content, "JPEG", quality=85)
    return content.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content))).transpose(2, 0, 1)


def path_of(corruption: str, severity: int, name: str) -> str:
    return f"{corruption}/{severity}/{CLASSES[name]}/{name}"


@pytest.fixture(scope="module")
def published() -> Files:
    """Return three images in each of four sets of one family."""
    paths = sorted(path_of(*corrupted_set, name) for corrupted_set in SETS for name in NAMES)
    return {path: jpeg(seed) for seed, path in enumerate(paths)}


def unpack(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def pack(folder: Path, files: Mapping[str, bytes], leading: str = "") -> Path:
    """Write weather.tar as the official one is written: with its folders as members of their own."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "weather.tar", "w") as tar:
        for path, content in files.items():
            parent, member = tarfile.TarInfo(str(Path(leading + path).parent)), tarfile.TarInfo(leading + path)
            parent.type, member.size = tarfile.DIRTYPE, len(content)
            tar.addfile(parent)
            tar.addfile(member, io.BytesIO(content))
    return folder


def last_member(archive: Path) -> tarfile.TarInfo:
    with tarfile.open(archive) as tar:
        return tar.getmembers()[-1]


def declare_official(monkeypatch: pytest.MonkeyPatch, archive: Path) -> None:
    found = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(official, "OFFICIAL", {archive.name: found})


def read(
    folder: Path,
    names: Sequence[str] = NAMES,
    sets: Sequence[tuple[str, int]] = SETS,
    *,
    allow_unverified: bool = False,
) -> dict[tuple[str, int, int], np.ndarray]:
    corruptions, severities = (list(dict.fromkeys(values)) for values in zip(*sets, strict=True))
    found = list(OfficialSets(folder, corruptions, severities, allow_unverified=allow_unverified).images(names))
    images = {(each.corruption, each.severity, each.position): each.image for each in found}
    assert len(images) == len(found)
    return images


def assert_published(
    images: dict[tuple[str, int, int], np.ndarray], files: Files, names: Sequence[str] = NAMES
) -> None:
    assert set(images) == {(*corrupted_set, position) for corrupted_set in SETS for position in range(len(names))}
    for (corruption, severity, position), image in images.items():
        assert image.shape == (3, 224, 224)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, decoded(files[path_of(corruption, severity, names[position])]))


# -- where the sets are ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["", "weather/"])
def test_unpacked_images_are_found_in_any_class_with_the_folder_of_their_family_or_without(published, tmp_path, family):
    unpack(tmp_path, {family + path: content for path, content in published.items()})
    assert_published(read(tmp_path), published)


@pytest.mark.parametrize("leading", ["", "./", "imagenet-c/weather/"])
def test_a_tar_file_gives_the_published_images_whatever_folders_its_paths_begin_with(
    published, tmp_path, monkeypatch, leading
):
    declare_official(monkeypatch, pack(tmp_path, published, leading) / "weather.tar")
    assert_published(read(tmp_path), published)


def test_unpacked_sets_come_first_each_in_the_order_of_the_names_and_the_rest_from_the_tar_file(
    published, tmp_path, monkeypatch
):
    archived = {path: content for path, content in published.items() if not path.startswith("snow/5")}
    declare_official(monkeypatch, pack(tmp_path, archived) / "weather.tar")
    unpack(tmp_path, {path: content for path, content in published.items() if path.startswith("snow")})
    images = read(tmp_path)
    assert_published(images, published)
    assert list(images)[:6] == [("snow", severity, position) for severity in (1, 5) for position in range(3)]


def test_only_the_images_asked_for_are_decoded(published, tmp_path, monkeypatch):
    others = {path: b"no image" for path in published if path.startswith("snow") or path.endswith(NAMES[0])}
    damaged = published | others
    declare_official(monkeypatch, pack(tmp_path / "archived", damaged) / "weather.tar")
    for folder in (unpack(tmp_path / "unpacked", damaged), tmp_path / "archived"):
        images = read(folder, NAMES[1:], [("fog", 5)])
        assert sorted(images) == [("fog", 5, 0), ("fog", 5, 1)]
        np.testing.assert_array_equal(images["fog", 5, 1], decoded(published[path_of("fog", 5, NAMES[2])]))


def test_sets_that_are_nowhere_are_counted_and_listed_with_the_tar_files_to_put_there(published, tmp_path):
    unpack(tmp_path, published)
    (tmp_path / "blur.tar").touch()
    message = (
        f"ImageNet-C in {tmp_path}: 8 of 15 sets are missing: fog 2; snow 2; contrast 1, 2, 5; frost 1, 2, 5. "
        "Put them there as <corruption>/<severity>, or instead put the official weather.tar, digital.tar there"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        OfficialSets(tmp_path, ["fog", "snow", "zoom_blur", "contrast", "frost"], [1, 2, 5])
    with pytest.raises(UserError, match=r"leave out 'images: official'$"):
        OfficialSets(tmp_path, ["fog"], [2])
    with pytest.raises(UserError, match=r"75 of 75 sets are missing: gaussian_noise 1, 2, 3, 4, 5; shot_noise 1, "):
        OfficialSets(tmp_path / "elsewhere", list(CORRUPTIONS), [1, 2, 3, 4, 5])


def test_every_family_has_an_official_tar_file():
    assert set(official.OFFICIAL) == {f"{family}.tar" for family in FAMILIES}


# -- images that are absent or no good ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["unpacked", "archived"])
def test_images_absent_from_a_set_are_counted_and_the_first_three_named(published, tmp_path, monkeypatch, form):
    if form == "unpacked":
        place = unpack(tmp_path, published) / "fog/5"
        (tmp_path / path_of("fog", 5, NAMES[1])).unlink()
    else:
        place = tmp_path / "weather.tar"
        pack(tmp_path, {path: content for path, content in published.items() if path != path_of("fog", 5, NAMES[1])})
        declare_official(monkeypatch, place)
    assert len(read(tmp_path, [NAMES[0], NAMES[2]])) == 8
    message = f"ImageNet-C, fog at severity 5: 1 of 3 images are missing in {place}: {NAMES[1]}"
    with pytest.raises(UserError, match=re.escape(message) + "$"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"fog at severity 1: 4 of 5 images are missing in .*: d, b, c, \.\.\.$"):
        read(tmp_path, ["d", NAMES[0], "b", "c", "a"])


def test_an_image_that_cannot_be_read_is_named(published, tmp_path, monkeypatch):
    path = path_of("snow", 1, NAMES[0])
    damaged = published | {path: published[path][:-300]}
    declare_official(monkeypatch, pack(tmp_path / "archived", damaged) / "weather.tar")
    unpack(tmp_path / "unpacked", damaged)
    for folder, name in (("unpacked", f"unpacked/{path}"), ("archived", f"archived/weather.tar: {path}")):
        with pytest.raises(UserError, match=re.escape(f"{tmp_path}/{name}: cannot be read as a JPEG (")):
            read(tmp_path / folder)


def test_a_larger_image_is_cropped_at_its_centre_and_not_resized(published, tmp_path):
    path, content = path_of("fog", 1, NAMES[0]), jpeg(0, height=256, width=231)
    unpack(tmp_path, published | {path: content})
    expected = decoded(content)[:, 16:240, 4:228]  # 3.5 becomes 4, as in torchvision's CenterCrop
    np.testing.assert_array_equal(read(tmp_path)["fog", 1, 0], expected)


def test_a_smaller_image_is_refused_by_its_name(published, tmp_path):
    path = path_of("fog", 1, NAMES[0])
    unpack(tmp_path, published | {path: jpeg(0, height=224, width=223)})
    with pytest.raises(
        UserError, match=re.escape(f"{path}: found an image of 223 x 224 pixels, expected at least 224")
    ):
        read(tmp_path)


def test_a_name_that_comes_twice_is_refused(published, tmp_path):
    unpack(tmp_path, published)
    with pytest.raises(ValueError, match="found 3 different in 4"):
        read(tmp_path, [*NAMES, NAMES[0]])


# -- the checksum of a tar file ----------------------------------------------------------------------------------


def test_a_tar_file_that_differs_anywhere_is_refused_once_it_has_been_read(published, tmp_path, monkeypatch):
    archive = pack(tmp_path, published) / "weather.tar"
    declare_official(monkeypatch, archive)
    with archive.open("ab") as file:  # behind all that tarfile reads
        file.write(bytes(3 * 2**20))
    assert len(read(tmp_path, allow_unverified=True)) == 12
    expected = official.OFFICIAL["weather.tar"]
    message = rf"{re.escape(str(archive))}: MD5 [0-9a-f]{{32}} found, {expected} expected .*; nothing that was computed"
    images = OfficialSets(tmp_path, ["fog"], [1]).images(NAMES)
    assert [next(images).image.shape for _ in NAMES] == [(3, 224, 224)] * 3
    with pytest.raises(UserError, match=message):
        next(images)


def test_another_tar_file_is_accepted_with_a_warning_where_that_is_allowed(published, tmp_path, caplog):
    archive = pack(tmp_path, published) / "weather.tar"
    assert_published(read(tmp_path, allow_unverified=True), published)
    found = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    assert f"{archive}: MD5 {found} found, 33ffea4db4d93fe4a428c40a6ce0c25d expected" in caplog.text


def test_the_official_tar_file_is_read_without_a_warning(published, tmp_path, monkeypatch, caplog):
    declare_official(monkeypatch, pack(tmp_path, published) / "weather.tar")
    read(tmp_path)
    assert not caplog.records


@pytest.mark.parametrize("asked_for", [[NAMES[1]], [NAMES[0]]], ids=["the image cut", "another"])
def test_a_tar_file_cut_short_inside_an_image_is_refused_whichever_is_asked_for(published, tmp_path, asked_for):
    archive = pack(tmp_path, published) / "weather.tar"
    last = last_member(archive)
    assert last.name == path_of("snow", 5, NAMES[1])
    archive.write_bytes(archive.read_bytes()[: last.offset_data + 700])
    with pytest.raises(UserError, match=re.escape(f"{archive}: cannot be read to its end as a tar file (")):
        read(tmp_path, asked_for, allow_unverified=True)


@pytest.mark.parametrize("kept_of_header", [0, 100])
def test_a_tar_file_cut_short_before_an_image_is_refused_even_where_its_checksum_is_not(
    published, tmp_path, kept_of_header
):
    archive = pack(tmp_path, published) / "weather.tar"
    archive.write_bytes(archive.read_bytes()[: last_member(archive).offset + kept_of_header])
    with pytest.raises(UserError, match="snow at severity 5: 1 of 3 images are missing"):
        read(tmp_path, allow_unverified=True)
    with pytest.raises(UserError, match=r"weather\.tar: MD5 .* found, 33ffea4db4d93fe4a428c40a6ce0c25d expected"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a tar file" * 100])
def test_a_file_that_is_no_tar_file_is_refused(tmp_path, content):
    (tmp_path / "weather.tar").write_bytes(content)
    with pytest.raises(UserError, match=r"weather\.tar: cannot be read to its end as a tar file \("):
        read(tmp_path)

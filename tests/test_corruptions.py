"""The corruptions as functions of a batch: what they refuse, and that an image depends on its own stream alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from robustrepro.corruptions.batches import published_side, truncated
from robustrepro.corruptions.digital import saved_as_jpeg
from robustrepro.corruptions.frost import FILES, frost, load_textures, prepare_textures
from robustrepro.corruptions.noise import gaussian_noise
from robustrepro.corruptions.registry import CORRUPTIONS, FAMILIES, corruption
from robustrepro.errors import UserError

DETERMINISTIC = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    """Return four smooth images with some texture, (4, 3, 32, 32)."""
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(32) / random.uniform(2, 9, (4, 3, 1, 1)) + random.uniform(0, 6, (4, 3, 32, 1)))
    return (128 + 90 * waves + random.normal(0, 9, waves.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def frost_folder(tmp_path_factory):
    """Return a folder with pictures under the names of the textures; no more is needed to run frost."""
    folder, random = tmp_path_factory.mktemp("frost"), np.random.default_rng(1)
    for name in FILES:
        Image.fromarray(random.integers(0, 256, (340, 350, 3), dtype=np.uint8)).save(folder / name)
    return folder


def streams(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, index]) for index in range(count)]


# -- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_an_image_becomes_does_not_depend_on_its_batch(photographs, frost_folder, name, severity):
    corrupt = corruption(name, frost_folder=frost_folder)
    together = corrupt(photographs, streams(4), severity=severity)
    alone = [corrupt(photographs[i : i + 1], [stream], severity=severity)[0] for i, stream in enumerate(streams(4))]
    backwards = corrupt(photographs[::-1], streams(4)[::-1], severity=severity)[::-1]
    assert together.shape == photographs.shape
    assert together.dtype == np.uint8
    assert (together != photographs).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(together, np.stack(alone))
    np.testing.assert_array_equal(together, backwards)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_stream_decides_and_the_input_is_left_as_it_was(photographs, frost_folder, name):
    corrupt, before = corruption(name, frost_folder=frost_folder), photographs.copy()
    first, again, other = (corrupt(photographs, streams(4, seed), severity=3) for seed in (0, 0, 1))
    np.testing.assert_array_equal(photographs, before)
    np.testing.assert_array_equal(first, again)
    assert (first == other).all() == (name in DETERMINISTIC)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_in_any_memory_layout_and_empty_batches_are_corrupted(photographs, frost_folder, name):
    corrupt = corruption(name, frost_folder=frost_folder)
    channels_last = np.ascontiguousarray(photographs.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(
        corrupt(channels_last, streams(4), severity=2), corrupt(photographs, streams(4), severity=2)
    )
    assert corrupt(photographs[:0], [], severity=2).shape == (0, 3, 32, 32)


@pytest.mark.parametrize(
    ("side", "published"), [(28, 32), (32, 32), (33, 64), (64, 64), (65, 224), (224, 224), (299, 224)]
)
def test_the_image_side_chooses_the_published_parameters(side, published):
    assert published_side(side) == published


def test_severity_changes_with_the_size_of_the_images():
    grey = [np.full((1, 3, side, side), 128, dtype=np.uint8) for side in (32, 64, 224)]
    deviations = [gaussian_noise(image, streams(1), severity=2).std() / 255 for image in grey]
    assert deviations == pytest.approx([0.06, 0.08, 0.12], rel=0.05)


@pytest.mark.parametrize("side", [28, 47, 96])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_sides_that_were_never_published_work_too(frost_folder, name, side):
    image = np.random.default_rng(0).integers(0, 256, (1, 3, side, side), dtype=np.uint8)
    corrupted = corruption(name, frost_folder=frost_folder)(image, streams(1), severity=4)
    assert corrupted.shape == image.shape
    assert (corrupted != image).any()


# -- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", [0, 6, -1])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_severity_beyond_five_is_refused(photographs, frost_folder, name, severity):
    with pytest.raises(UserError, match=f"severity of a corruption: found {severity}, expected one of 1, 2, 3, 4, 5"):
        corruption(name, frost_folder=frost_folder)(photographs, streams(4), severity=severity)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 1, 32, 32), (2, 32, 32, 3), (2, 3, 32, 40)])
def test_images_that_are_not_square_and_in_colour_are_refused(shape):
    with pytest.raises(UserError, match=re.escape(f"found shape {shape}, expected (N, 3, H, H)")):
        gaussian_noise(np.zeros(shape, dtype=np.uint8), streams(2), severity=1)


def test_images_of_another_type_are_refused(photographs):
    with pytest.raises(UserError, match="found values of type float32, expected uint8"):
        gaussian_noise((photographs / 255).astype(np.float32), streams(4), severity=1)


@pytest.mark.parametrize("count", [3, 5])
def test_another_number_of_streams_than_images_is_refused(photographs, count):
    with pytest.raises(UserError, match=f"found {count}, expected one per image, 4"):
        gaussian_noise(photographs, streams(count), severity=1)


def test_an_unknown_corruption_is_answered_by_the_nearest_name():
    with pytest.raises(UserError, match="'gausian_noise'; did you mean 'gaussian_noise'"):
        corruption("gausian_noise")


def test_frost_without_textures_is_refused(photographs):
    with pytest.raises(UserError, match=r"frost needs the benchmark's textures \(frost1.png.*no folder"):
        frost(photographs, streams(4), severity=1)
    with pytest.raises(UserError, match="'frost' needs the folder"):
        corruption("frost")


def test_a_folder_without_all_textures_is_refused_by_its_name_and_the_missing_files(frost_folder, tmp_path):
    for name in FILES[:3]:
        (tmp_path / name).write_bytes((frost_folder / name).read_bytes())
    message = f"textures: frost4.jpg, frost5.jpg not found in {tmp_path} (expected there: frost1.png, "
    with pytest.raises(UserError, match=re.escape(message)):
        corruption("frost", frost_folder=tmp_path)


def test_a_texture_that_is_no_picture_is_refused_by_its_name(frost_folder, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes((frost_folder / name).read_bytes())
    (tmp_path / "frost2.png").write_text("not a picture")
    with pytest.raises(UserError, match=r"frost2\.png cannot be read as an image"):
        load_textures(tmp_path)


def test_frost_is_refused_on_images_no_smaller_than_a_texture():
    textures = prepare_textures([np.zeros((3, 100, 300), dtype=np.uint8)])
    with pytest.raises(UserError, match="found side 100, expected less than the textures' 100"):
        frost(np.zeros((1, 3, 100, 100), dtype=np.uint8), streams(1), severity=1, textures=textures)


# -- the registry, and how pixels are stored ---------------------------------------------------------------------


def test_every_corruption_belongs_to_one_family():
    assert [name for names in FAMILIES.values() for name in names] == list(CORRUPTIONS)
    assert {family: len(names) for family, names in FAMILIES.items()} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
    }


def test_pixels_are_truncated_and_not_rounded():
    values = np.array([-0.5, 0.9 / 255, 99.999 / 255, 254.9 / 255, 1.0, 1.5])
    assert truncated(values).tolist() == [0, 0, 99, 254, 255, 255]


def test_a_stored_jpeg_carries_the_noise_of_one_channel_into_the_others():
    grey = np.full((1, 3, 224, 224), 128, dtype=np.uint8)
    noisy = gaussian_noise(grey, streams(1), severity=2)
    stored = saved_as_jpeg(noisy)

    def correlation(images):
        return np.corrcoef(images[0, 0].ravel(), images[0, 1].ravel())[0, 1]

    assert abs(correlation(noisy)) < 0.02
    assert correlation(stored) > 0.6
    assert saved_as_jpeg(grey[:0]).shape == (0, 3, 224, 224)


def test_a_stored_jpeg_of_lower_quality_is_further_away(photographs):
    errors = [np.abs(saved_as_jpeg(photographs, quality).astype(int) - photographs).mean() for quality in (95, 85, 30)]
    assert errors == sorted(errors)

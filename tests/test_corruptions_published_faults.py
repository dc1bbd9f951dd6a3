"""What each corruption does to images made for it, with the faults of the published code."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from robustrepro.corruptions.brightness import brighten
from robustrepro.corruptions.defocus_blur import DISKS, convolve, disk_kernel
from robustrepro.corruptions.digital import lower_contrast, show_in_blocks
from robustrepro.corruptions.elastic_transform import ELASTICS, deform, draw_deformation
from robustrepro.corruptions.fog import cloud, lay_fog
from robustrepro.corruptions.frost import FILES, draw_pane, prepare_textures
from robustrepro.corruptions.glass_blur import Glass, draw_offsets, moved_pixels
from robustrepro.corruptions.motion_blur import Motion, blur_along
from robustrepro.corruptions.noise import alias_tables, draw_counts, gaussian_noise, impulse_noise, shot_noise
from robustrepro.corruptions.snow import SNOWFALLS, falling_flakes, let_snow
from robustrepro.corruptions.zoom_blur import RANGES, average_of_zooms, zoom_factors


def random_image(side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, side, side), dtype=np.uint8)


def grey(level: int, side: int = 224) -> np.ndarray:
    return np.full((3, side, side), level, dtype=np.uint8)


def corrupted_grey(corruption, severity: int, level: int = 128) -> np.ndarray:
    return corruption(grey(level)[None], [np.random.default_rng(0)], severity=severity)[0]


# -- noise -------------------------------------------------------------------------------------------------------


def test_gaussian_noise_darkens_by_half_a_level():
    noisy = corrupted_grey(gaussian_noise, 1).astype(float)
    assert noisy.mean() == pytest.approx(127.5, abs=4 * noisy.std() / np.sqrt(noisy.size))
    assert noisy.std() == pytest.approx(0.08 * 255, rel=0.01)


@pytest.mark.parametrize("noise", [gaussian_noise, shot_noise, impulse_noise])
def test_noise_is_independent_in_neighbours_and_channels(noise):
    noisy = corrupted_grey(noise, 3).astype(float)
    pairs = [(noisy[0], noisy[1]), (noisy[..., 1:], noisy[..., :-1]), (noisy[:, 1:], noisy[:, :-1])]
    assert max(abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) for one, other in pairs) < 4 / 224


@pytest.mark.parametrize("photons", [3, 60, 100])
def test_tables_of_photon_counts_hold_the_poisson_distribution(photons):
    bits, thresholds, aliases = alias_tables(photons)
    columns = 2**bits
    own = thresholds.reshape(256, columns) / 2**32
    probabilities = own.copy()
    rows = np.repeat(np.arange(256), columns)
    np.add.at(probabilities, (rows, aliases), 1 / columns - own.ravel())
    expected = stats.poisson.pmf(np.arange(columns), np.arange(256)[:, None] / 255 * photons)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=5e-9)


def test_counts_of_photons_have_the_variance_of_their_mean():
    counts = draw_counts(grey(100), np.random.default_rng(0), 60).astype(float)
    expected = 60 * 100 / 255
    assert counts.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / counts.size))
    assert counts.var() == pytest.approx(expected, rel=0.02)
    assert (draw_counts(grey(0), np.random.default_rng(0), 60) == 0).all()


@pytest.mark.parametrize(("severity", "amount"), [(1, 0.03), (5, 0.27)])
def test_impulses_are_half_white_and_half_black(severity, amount):
    noisy = corrupted_grey(impulse_noise, severity)
    assert set(np.unique(noisy)) == {0, 128, 255}
    for level in (0, 255):
        assert (noisy == level).mean() == pytest.approx(amount / 2, rel=0.05)


# -- blur --------------------------------------------------------------------------------------------------------


def test_disks_that_touch_their_kernel_s_border_weigh_more_than_one_and_brighten():
    kernels = [disk_kernel(disk) for disk in DISKS[224]]
    assert [len(kernel) for kernel in kernels] == [17, 17, 17, 17, 21]
    assert [kernel.sum(dtype=float) for kernel in kernels] == pytest.approx([1, 1, 1, 1.0130, 1.0108], abs=5e-5)
    assert [int(convolve(grey(200), disk).max()) for disk in DISKS[224][3:]] == [202, 202]


def test_a_disk_below_one_pixel_is_blurred_by_its_edge_alone():
    kernel = disk_kernel(DISKS[32][0])
    assert np.count_nonzero(kernel) == 9
    assert kernel[8, 8] < 1


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_copies_neighbours_in_sequence_and_swaps_none(reach, passes):
    side, image = 17, random_image(17)
    offsets = draw_offsets(np.random.default_rng(reach), Glass(1, reach, passes), side)
    copied, swapped = image.copy(), image.copy()
    for offsets_of_pass in offsets:
        remaining = iter(offsets_of_pass)
        for row in range(side - reach, reach, -1):
            for column in range(side - reach, reach, -1):
                right, below = next(remaining)
                copied[:, row, column] = copied[:, row + below, column + right]
                here, there = swapped[:, row, column].copy(), swapped[:, row + below, column + right].copy()
                swapped[:, row, column], swapped[:, row + below, column + right] = there, here
    moved = moved_pixels(image, offsets, reach)
    np.testing.assert_array_equal(moved, copied)
    assert (moved != swapped).any()


def test_offsets_of_glass_exclude_their_upper_end():
    offsets = draw_offsets(np.random.default_rng(0), Glass(1, 2, 2), 32)
    assert set(np.unique(offsets)) == {-2, -1, 0, 1}
    assert offsets.shape == (2, 28 * 28, 2)


@pytest.mark.parametrize("angle", [-45, 0, 30])
def test_motion_blur_smears_one_way_along_its_angle(angle):
    image = grey(0, 65)
    image[:, 32, 32] = 255
    blurred = blur_along(image, angle, Motion(10, 8)).astype(float)[0]
    rows, columns = np.nonzero(blurred)
    assert columns.max() == 32
    assert columns.min() == 32 - round(20 * np.cos(np.deg2rad(angle)))
    # What a pixel shows lies towards the angle, so a point is smeared away from it.
    furthest = columns.argmin()
    assert rows[furthest] - 32 == pytest.approx(-20 * np.sin(np.deg2rad(angle)), abs=0.51)
    assert blurred.sum() == pytest.approx(255, abs=21)  # truncated at 21 pixels


def test_motion_blur_keeps_an_even_area():
    assert (blur_along(grey(201, 40), 17, Motion(15, 12)) == 201).all()


def test_rounding_error_adds_a_twelfth_factor_to_the_mildest_zoom():
    assert [len(zoom_factors(*ends)) for ends in RANGES[224]] == [12, 16, 11, 13, 11]
    assert [len(zoom_factors(*ends)) for ends in RANGES[32]] == [7, 12, 16, 21, 26]
    assert zoom_factors(*RANGES[224][0])[-1] == pytest.approx(1.11)
    assert zoom_factors(*RANGES[224][4])[-1] == pytest.approx(1.30)


def test_zoom_blur_counts_the_image_once_more_than_its_factors():
    image = random_image(64)
    assert np.abs(average_of_zooms(image, np.array([1.0])).astype(int) - image).max() <= 1
    once, twice = (average_of_zooms(image, np.array(factors)).astype(float) for factors in ([1.3], [1.3, 1.0]))
    zoomed = 2 * once - image.astype(float)  # once is (image + zoomed) / 2
    assert np.abs(twice - (2 * image.astype(float) + zoomed) / 3).max() < 2


# -- weather -----------------------------------------------------------------------------------------------------


def test_snow_whitens_an_image_where_no_flake_falls():
    for snowfall in SNOWFALLS[224]:
        snowed = let_snow(grey(0), np.zeros((224, 224)), -90, snowfall)
        assert np.unique(snowed).tolist() == [int((1 - snowfall.image_weight) * 0.5 * 255)]


def test_flakes_fall_twice_the_second_time_turned_by_half_a_turn():
    snowfall = SNOWFALLS[32][0]
    layer = np.zeros((32, 32))
    layer[10, 5] = 1
    flakes = falling_flakes(layer, -90, snowfall).astype(int)
    snowed = let_snow(grey(0, 32), layer, -90, snowfall)[0].astype(int)
    background = snowed.min()
    assert flakes[10, 5] == flakes.max() > 0
    np.testing.assert_allclose(snowed - background, flakes + flakes[::-1, ::-1], atol=1)


def test_snow_below_its_threshold_is_no_flake():
    snowfall = SNOWFALLS[32][0]
    assert not falling_flakes(np.full((32, 32), snowfall.threshold - 0.01), -90, snowfall).any()
    assert falling_flakes(np.full((32, 32), snowfall.threshold), -90, snowfall).all()


def test_frost_draws_each_of_five_textures_and_knows_no_sixth():
    assert FILES == ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
    textures = prepare_textures([np.zeros((3, 300, 260), dtype=np.uint8)] * len(FILES))[224]
    stream = np.random.default_rng(0)
    panes = [draw_pane(stream, textures, 224) for _ in range(2000)]
    shares = np.bincount([pane.texture for pane in panes]) / len(panes)
    assert shares == pytest.approx([0.2] * 5, abs=0.04)
    assert {pane.top for pane in panes} == set(range(76))
    assert {pane.left for pane in panes} == set(range(36))


def test_textures_are_scaled_without_a_filter():
    texture = random_image(40)
    np.testing.assert_array_equal(prepare_textures([texture])[32][0], texture[:, 2::5, 2::5])
    assert prepare_textures([texture])[64][0].shape == (3, 12, 12)
    ramp = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (3, 100, 1))
    expected = 2 * ((np.arange(30) + 0.5) / 0.3 - 0.5)
    np.testing.assert_allclose(prepare_textures([ramp])[64][0][0, 0], expected, atol=0.51)


def test_each_level_of_a_cloud_is_weaker_by_the_square_of_the_decay():
    numbers, amplitudes = np.zeros(16 * 16 - 1), []
    numbers[0] = 1  # One bump of height 1 over a plain of height 0, so that the map is already scaled.
    for centre_of_a_square in (3, 15, 63):
        detailed = numbers.copy()
        detailed[centre_of_a_square] = 1e-6
        amplitudes.append(np.abs(cloud(detailed, 1.4) - cloud(numbers, 1.4)).max() / 1e-6)
    assert amplitudes == pytest.approx([1.4**-2, 1.4**-4, 1.4**-6], rel=1e-3)


def test_fog_scales_by_the_brightest_value_of_the_image_itself():
    image = grey(60)
    image[1, 0, 0] = 102
    clear = lay_fog(image, np.zeros((256, 256)), 1.5)
    assert int(clear[0, 0, 0]) == int(60 * 0.4 / (0.4 + 1.5))
    dense = lay_fog(image, np.ones((256, 256)), 1.5)
    assert 101 <= dense[1, 0, 0] <= 102


def test_brightness_keeps_hue_and_saturation_and_makes_black_grey():
    colour = np.array([40, 100, 80], dtype=np.uint8).reshape(3, 1, 1) * np.ones((1, 4, 4), dtype=np.uint8)
    brightened = brighten(colour, 0.3).astype(float)[:, 0, 0]
    value = 100 + 0.3 * 255
    np.testing.assert_allclose(brightened, np.array([40, 100, 80]) * value / 100, atol=1)
    assert (brighten(grey(0, 4), 0.5) == 127).all()
    np.testing.assert_array_equal(brighten(grey(250, 4), 0.1), grey(255, 4))


# -- digital -----------------------------------------------------------------------------------------------------


def test_contrast_keeps_the_mean_of_each_channel():
    image = random_image(64) // np.array([1, 2, 4], dtype=np.uint8).reshape(3, 1, 1)
    lowered = lower_contrast(image, 0.1)
    means = image.mean(axis=(1, 2))
    np.testing.assert_allclose(lowered.mean(axis=(1, 2)), means - 0.5, atol=0.1)
    np.testing.assert_allclose(lowered.std(axis=(1, 2)), 0.1 * image.std(axis=(1, 2)), rtol=0.1)


def test_the_second_elastic_severity_displaces_more_than_the_third():
    image = np.broadcast_to(np.arange(224, dtype=np.uint8), (3, 224, 224))
    displaced = []
    for elastic in ELASTICS[224]:
        drawn = [draw_deformation(np.random.default_rng(seed), elastic, 224) for seed in range(3)]
        displaced.append(np.mean([np.abs(deform(image, each, elastic) - image.astype(float)).mean() for each in drawn]))
    assert displaced[1] > 2 * displaced[2]
    assert displaced[0] > 2 * displaced[2]
    assert displaced[2] < displaced[4]


def test_small_elastic_images_of_the_first_severity_only_jump():
    elastic, image = ELASTICS[32][0], random_image(32)
    drawn = draw_deformation(np.random.default_rng(0), elastic, 32)
    unbent = drawn._replace(right=np.zeros((32, 32)), below=np.zeros((32, 32)))
    np.testing.assert_array_equal(deform(image, drawn, elastic), deform(image, unbent, elastic))
    still = unbent._replace(jitter=np.zeros((3, 2)))
    np.testing.assert_array_equal(deform(image, still, elastic), image)


@pytest.mark.parametrize(("resolution", "blocks"), [(0.6, 134), (0.5, 112), (0.4, 89), (0.3, 67), (0.25, 56)])
def test_pixelated_images_have_whole_blocks(resolution, blocks):
    ramp = np.broadcast_to(np.arange(224, dtype=np.uint8), (3, 224, 224))
    shown = show_in_blocks(ramp, resolution)
    assert len(np.unique(shown)) == blocks
    assert (np.diff(shown.astype(int), axis=1) == 0).all()

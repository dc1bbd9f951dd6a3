"""Every parameter of the corruptions beside those that were read from the published code by machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from oracles import oracle

from robustrepro.corruptions import (
    brightness,
    defocus_blur,
    digital,
    elastic_transform,
    fog,
    frost,
    glass_blur,
    motion_blur,
    noise,
    snow,
    zoom_blur,
)
from robustrepro.corruptions.registry import CORRUPTIONS


@pytest.fixture(scope="module")
def recorded() -> Path:
    return oracle("imagenet_c")


def ours_of(name: str, side: int, severity: int) -> dict[str, float]:
    """Return our parameters under the names of the recorded ones."""

    def published(table):
        return table[side][severity - 1]

    match name:
        case "gaussian_noise":
            return {"sigma": published(noise.STANDARD_DEVIATIONS)}
        case "shot_noise":
            return {"photons": published(noise.PHOTONS)}
        case "impulse_noise":
            return {"amount": published(noise.AMOUNTS)}
        case "defocus_blur":
            disk = published(defocus_blur.DISKS)
            kernel_side = len(defocus_blur.disk_kernel(disk))
            return {"radius": disk.radius, "alias_sigma": disk.edge_sigma, "kernel_side": kernel_side}
        case "glass_blur":
            glass = published(glass_blur.GLASSES)
            return {"sigma": glass.sigma, "max_delta": glass.reach, "iterations": glass.passes}
        case "motion_blur":
            return published(motion_blur.MOTIONS)._asdict()
        case "zoom_blur":
            factors = zoom_blur.zoom_factors(*published(zoom_blur.RANGES))
            end, step = published(zoom_blur.RANGES)
            return {"arange_stop": end, "arange_step": step, "n_factors": len(factors), "last_factor": factors[-1]}
        case "snow":
            mean, deviation, enlargement, threshold, fall, weight = published(snow.SNOWFALLS)
            layer = {"layer_loc": mean, "layer_scale": deviation, "layer_zoom": enlargement, "threshold": threshold}
            return layer | {"motion_radius": fall.radius, "motion_sigma": fall.sigma, "image_weight": weight}
        case "frost":
            more = {"n_textures_used": len(frost.FILES), "texture_scale": frost.SCALES[side]}
            return published(frost.FROSTS)._asdict() | more
        case "fog":
            thickness, decay = published(fog.FOGS)
            return {"amplitude": thickness, "wibble_decay": decay, "map_size": fog.map_side(side)}
        case "brightness":
            return {"value_add": published(brightness.ADDED_VALUES)}
        case "contrast":
            return {"factor": published(digital.CONTRASTS)}
        case "elastic_transform":
            amplitude, sigma, jitter = published(elastic_transform.ELASTICS)
            return {"alpha": amplitude, "sigma": sigma, "affine_jitter": jitter}
        case "pixelate":
            resolution = published(digital.RESOLUTIONS)
            return {"factor": resolution, "small_side": int(side * resolution)}
        case "jpeg_compression":
            return {"quality": published(digital.QUALITIES)}
    raise AssertionError(name)


@pytest.mark.parametrize(("side", "file"), [(224, "imagenet224"), (64, "tiny64"), (32, "cifar32")])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_parameters_are_those_of_the_published_code(recorded, name, side, file):
    table = pd.read_csv(recorded / f"params_{file}.csv").query("corruption == @name")
    for severity in range(1, 6):
        values = table[table["severity"] == severity].set_index("parameter")["value"].astype(float)
        ours = ours_of(name, side, severity)
        pd.testing.assert_series_equal(
            pd.Series(ours, dtype=float), values[list(ours)], check_names=False, rtol=1e-12, atol=0
        )


def test_kernels_are_the_recorded_ones(recorded):
    kernels = np.load(recorded / "disk_kernels.npz")
    disks = {f"r{disk.radius}": disk for disk in defocus_blur.DISKS[224]}
    disks |= {f"cifar_r{disk.radius}": disk for disk in defocus_blur.DISKS[32]}
    assert set(disks) == set(kernels)
    for name, disk in disks.items():
        np.testing.assert_allclose(defocus_blur.disk_kernel(disk), kernels[name], rtol=1e-6, atol=1e-12, err_msg=name)


def test_enlargements_take_the_recorded_pixels(recorded):
    sizes = pd.read_csv(recorded / "zoom_sizes.csv").drop_duplicates(["size", "factor"])
    for row in sizes.itertuples():
        factors = np.concatenate([zoom_blur.zoom_factors(*ends) for ends in zoom_blur.RANGES[row.size]])
        factor = factors[np.abs(factors - row.factor).argmin()]
        shown = zoom_blur.enlargement(row.size, factor) @ np.arange(row.size)
        step = (row.crop_side - 1) / (row.zoomed_side - 1)
        expected = row.crop_start + (row.trim_start + np.arange(row.size)) * step
        np.testing.assert_allclose(shown, expected, atol=1e-9, err_msg=str(row))

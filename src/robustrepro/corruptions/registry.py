"""The corruptions by name, and the four families that they are reported in."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from robustrepro.corruptions.batches import Corruption
from robustrepro.corruptions.brightness import brightness
from robustrepro.corruptions.defocus_blur import defocus_blur
from robustrepro.corruptions.digital import contrast, jpeg_compression, pixelate
from robustrepro.corruptions.elastic_transform import elastic_transform
from robustrepro.corruptions.fog import fog
from robustrepro.corruptions.frost import frost, load_textures
from robustrepro.corruptions.glass_blur import glass_blur
from robustrepro.corruptions.motion_blur import motion_blur
from robustrepro.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from robustrepro.corruptions.snow import snow
from robustrepro.corruptions.zoom_blur import zoom_blur
from robustrepro.errors import UserError, unknown_name

CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": gaussian_noise,
        "shot_noise": shot_noise,
        "impulse_noise": impulse_noise,
        "defocus_blur": defocus_blur,
        "glass_blur": glass_blur,
        "motion_blur": motion_blur,
        "zoom_blur": zoom_blur,
        "snow": snow,
        "frost": frost,
        "fog": fog,
        "brightness": brightness,
        "contrast": contrast,
        "elastic_transform": elastic_transform,
        "pixelate": pixelate,
        "jpeg_compression": jpeg_compression,
    }
)
"""In the order of the paper."""

FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
        "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
        "weather": ("snow", "frost", "fog", "brightness"),
        "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    }
)


def corruption(name: str, *, frost_folder: Path | None = None) -> Corruption:
    """Return a corruption, ready to be called: frost with its textures.

    Parameters
    ----------
    name
        One of `CORRUPTIONS`.
    frost_folder
        Where the textures of frost are; nothing else needs it.

    Raises
    ------
    UserError
        If there is no such corruption, or if it is frost and its textures are missing.
    """
    if name not in CORRUPTIONS:
        raise unknown_name("corruption", name, CORRUPTIONS)
    if name != "frost":
        return CORRUPTIONS[name]
    if frost_folder is None:
        raise UserError("corruption 'frost' needs the folder of the benchmark's textures, and none is given")
    return functools.partial(frost, textures=load_textures(frost_folder))

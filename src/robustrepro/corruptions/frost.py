"""Frost: photographs of frosted glass, mixed into the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustrepro.corruptions.batches import Published, chosen, corrupted, published_side
from robustrepro.errors import UserError
from robustrepro.files import sha256_of


class Frost(NamedTuple):
    """The weights of the image and of the frost; they do not sum to 1."""

    image_weight: float
    frost_weight: float


FROSTS: Published[Frost] = {
    224: (Frost(1, 0.4), Frost(0.8, 0.6), Frost(0.7, 0.7), Frost(0.65, 0.7), Frost(0.6, 0.75)),
    64: (Frost(1, 0.3), Frost(0.9, 0.4), Frost(0.8, 0.45), Frost(0.75, 0.5), Frost(0.7, 0.55)),
    32: (Frost(1, 0.2), Frost(1, 0.3), Frost(0.9, 0.4), Frost(0.85, 0.4), Frost(0.75, 0.45)),
}

FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
"""The textures that frost is drawn from. The benchmark's sixth, ``frost6.jpg``, is never drawn, by an error of one in
the published code; and ``frost2.png`` and ``frost3.png`` show the same, so that their texture comes up twice as often.
"""

OFFICIAL: Mapping[str, str] = {
    "frost1.png": "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755",
    "frost2.png": "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137",
    "frost3.png": "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504",
    "frost4.jpg": "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e",
    "frost5.jpg": "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2",
}
"""The SHA-256 of the published files."""

SCALES = {224: 1.0, 64: 0.3, 32: 0.2}
"""Of the textures, by the side of the published data set's images."""

Textures = Mapping[int, Sequence[NDArray[np.uint8]]]
"""The textures, each (3, height, width), by the side of the published data set's images whose scale they have."""


class Pane(NamedTuple):
    """Which texture lies over an image, and at which of its pixels the image's first one is."""

    texture: int
    top: int
    left: int


def frost(
    images: NDArray[np.uint8],
    streams: Sequence[np.random.Generator],
    *,
    severity: int,
    textures: Textures | None = None,
) -> NDArray[np.uint8]:
    """Lay a random piece of a random texture over every image; shapes as in `Corruption`.

    Parameters
    ----------
    images, streams, severity
        As in `Corruption`.
    textures
        From `load_textures`. There are none to fall back on, since frost from other pictures is another corruption.

    Raises
    ------
    UserError
        If there are no textures, or the images are no smaller than one.
    """
    weights, side = chosen(FROSTS, images, severity), images.shape[-1]
    if textures is None:
        raise UserError(f"frost needs the benchmark's textures ({', '.join(FILES)}), and no folder of them is given")
    panes = textures[published_side(side)]
    smallest = min(min(texture.shape[1:]) for texture in panes)
    if side >= smallest:
        raise UserError(f"images to lay frost over: found side {side}, expected less than the textures' {smallest}")

    def corrupt(image: NDArray[np.uint8], stream: np.random.Generator) -> NDArray[np.uint8]:
        return lay_over(image, piece(panes, draw_pane(stream, panes, side), side), weights)

    return corrupted(images, streams, corrupt)


def draw_pane(stream: np.random.Generator, textures: Sequence[NDArray[np.uint8]], side: int) -> Pane:
    """Draw a texture, and the place of an image of a side on it."""
    texture = int(stream.integers(len(textures)))
    height, width = textures[texture].shape[1:]
    return Pane(texture, int(stream.integers(height - side)), int(stream.integers(width - side)))


def piece(textures: Sequence[NDArray[np.uint8]], pane: Pane, side: int) -> NDArray[np.uint8]:
    """Return the piece of a texture that lies over an image, shape (3, side, side)."""
    return textures[pane.texture][:, pane.top : pane.top + side, pane.left : pane.left + side]


def lay_over(image: NDArray[np.uint8], texture: NDArray[np.uint8], weights: Frost) -> NDArray[np.uint8]:
    """Add a piece of texture to an image of its shape, clip, and truncate."""
    total = weights.image_weight * image.astype(np.float64)
    total += weights.frost_weight * texture.astype(np.float64)
    return np.minimum(total, 255, out=total).astype(np.uint8)


def load_textures(folder: Path) -> Textures:
    """Read the benchmark's textures from a folder, and scale them for each published data set.

    Raises
    ------
    UserError
        If a file is missing, or is no image.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"frost needs the benchmark's textures: {', '.join(missing)} not found in {folder} "
            f"(expected there: {', '.join(FILES)})"
        )
    return prepare_textures([_read(folder / name) for name in FILES])


def require_official(folder: Path) -> None:
    """Refuse other textures than the benchmark's.

    Raises
    ------
    UserError
        If one of them differs; files that are missing are left to `load_textures`.
    """
    for name, expected in OFFICIAL.items():
        path = folder / name
        if path.is_file() and (found := sha256_of(path)) != expected:
            raise UserError(
                f"texture of frost: {path} has sha256 {found}, the benchmark's {expected}; replace the file"
            )


def prepare_textures(textures: Sequence[NDArray[np.uint8]]) -> Textures:
    """Scale textures, each (3, height, width), for each published data set."""
    return {side: [_scaled(texture, scale) for texture in textures] for side, scale in SCALES.items()}


def _read(path: Path) -> NDArray[np.uint8]:
    """Return a picture as (3, height, width)."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except OSError as error:
        raise UserError(f"texture of frost: {path} cannot be read as an image ({error})") from error


def _scaled(texture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Return a texture with its sides scaled, bilinear between the four nearest pixels and without a filter before."""
    if scale == 1:
        return texture
    rows_last = _scaled_along_rows(texture.astype(np.float64), scale).swapaxes(1, 2)
    return np.rint(_scaled_along_rows(rows_last, scale).swapaxes(1, 2)).astype(np.uint8)


def _scaled_along_rows(values: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return pictures (3, height, width) with their width scaled."""
    width = values.shape[-1]
    positions = np.clip((np.arange(round(width * scale)) + 0.5) / scale - 0.5, 0, width - 1)
    before = np.minimum(positions.astype(int), width - 2)
    share = positions - before
    scaled: NDArray[np.float64] = values[..., before] * (1 - share) + values[..., before + 1] * share
    return scaled

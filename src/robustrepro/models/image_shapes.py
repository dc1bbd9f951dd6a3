"""What convolutional networks ask of the shape of an image."""

from __future__ import annotations

Shape = tuple[int, ...]


def image_shape(input_shape: Shape, taker: str = "a convolutional network") -> tuple[int, int, int]:
    """Return channels, height and width of an image.

    Raises
    ------
    ValueError
        If it is no image; the message begins with who would take it.
    """
    if len(input_shape) != 3:
        raise ValueError(f"{taker} takes images (channels, height, width), not {input_shape}")
    channels, height, width = input_shape
    return channels, height, width


def require_left(height: int, width: int, input_shape: Shape, after: str) -> None:
    """Refuse images of which strides and pooling leave nothing.

    Parameters
    ----------
    height, width
        Of the maps, after so many layers.
    input_shape
        (channels, height, width) of an image.
    after
        After how many of which, such as ``3 convolution(s)``.

    Raises
    ------
    ValueError
        If there is no pixel.
    """
    if min(height, width) < 1:
        raise ValueError(f"nothing is left of images of {input_shape[1]}x{input_shape[2]} after {after}")

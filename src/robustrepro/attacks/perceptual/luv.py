"""CIE 1976 L*u*v*, in which equal distances are about equally visible, from sRGB and back.

Colours lie along the last dimension. L*u*v* is scaled to about [0, 1]: L*/100, (u* + 100)/200, (v* + 100)/200. Some of
sRGB's colours have a scaled u* up to 1.38, or a scaled v* from -0.17 to 1.04. Gradients are finite for all of them.

References
----------
CIE 15:2004, Section 8.2, and IEC 61966-2-1 for sRGB. Matrices and white are rounded as in the code of Laidlaw & Feizi,
"Functional Adversarial Attacks", 2019, so that a colour comes back changed by up to 1e-3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

XYZ_OF_RGB: Matrix = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9504))
RGB_OF_XYZ: Matrix = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
WHITE = (0.1978, 0.4683)
"""u' and v' of the daylight D65, which is sRGB's white."""
LARGEST_XYZ = 1.1
"""X, Y and Z are clipped there; the largest of white is Z, 1.089."""

DARK_ENCODED, DARK_LIGHT, DARK_SLOPE = 0.04045, 0.0031308, 12.92
"""Up to these values, sRGB's are proportional to light."""
OFFSET, EXPONENT = 0.055, 2.4
"""Of sRGB's other values."""
DARK_LIGHTNESS, LIGHTNESS_SLOPE = 8.0, (29 / 3) ** 3
"""Up to this L*, it is proportional to Y."""

TINY = 1e-10
"""The least number that is raised to a fractional power, which has no finite gradient at 0, or divided by."""


def luv_of(colours: Tensor) -> Tensor:
    """Return the scaled L*u*v* of sRGB colours in [0, 1]; both have shape (..., 3)."""
    curved = ((colours.clamp(min=0) + OFFSET) / (1 + OFFSET)) ** EXPONENT
    light = torch.where(colours > DARK_ENCODED, curved, colours / DARK_SLOPE)
    x, y, z = _product(XYZ_OF_RGB, light.unbind(-1))
    curved = 116 * y.clamp(min=TINY) ** (1 / 3) - 16
    lightness = torch.where(curved > DARK_LIGHTNESS, curved, LIGHTNESS_SLOPE * y)
    total = x + 15 * y + 3 * z + TINY
    u = 13 * lightness * (4 * x / total - WHITE[0])
    v = 13 * lightness * (9 * y / total - WHITE[1])
    return torch.stack([lightness / 100, (u + 100) / 200, (v + 100) / 200], -1)


def rgb_of(colours: Tensor) -> Tensor:
    """Return the sRGB colours, in [0, 1], of scaled L*u*v*; both have shape (..., 3).

    X, Y, Z and then R, G, B are clipped. That goes for places that are no colour, too: where v' is negative, X and Z
    get the signs that the formulas give them, as in the reference.
    """
    lightness, u, v = colours.unbind(-1)
    lightness, u, v = 100 * lightness, 200 * u - 100, 200 * v - 100
    # u' and v' are multiplied by 13 L*, since black has none.
    scale = 13 * lightness
    u, v = u + WHITE[0] * scale, v + WHITE[1] * scale
    y = torch.where(lightness > DARK_LIGHTNESS, ((lightness + 16) / 116) ** 3, lightness / LIGHTNESS_SLOPE)
    share = y / (4 * torch.where(v.abs() > TINY, v, TINY))
    xyz = [9 * u * share, y, (12 * scale - 3 * u - 20 * v) * share]
    light = torch.stack(_product(RGB_OF_XYZ, [value.clamp(0, LARGEST_XYZ) for value in xyz]), -1)
    curved = (1 + OFFSET) * light.clamp(min=TINY) ** (1 / EXPONENT) - OFFSET
    return torch.where(light > DARK_LIGHT, curved, DARK_SLOPE * light).clamp(0, 1)


def _product(matrix: Matrix, values: Sequence[Tensor]) -> list[Tensor]:
    """Multiply by a matrix, in full precision also where a GPU rounds the factors of matrix products."""
    first, second, third = values
    return [row[0] * first + row[1] * second + row[2] * third for row in matrix]

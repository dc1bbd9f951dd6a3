"""Corruptions whose randomness depends on the image alone: the same images for every model and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robustrepro.corruptions.batches import Corruption
from robustrepro.corruptions.digital import saved_as_jpeg
from robustrepro.corruptions.frost import require_official
from robustrepro.corruptions.registry import corruption
from robustrepro.mirror import in_mirror
from robustrepro.seeds import derive_seed


class SeededCorruptions:
    """Some corruptions, ready to be called; frost with the textures in the mirror.

    Parameters
    ----------
    names
        Which.
    jpeg_quality
        Of the JPEG that a corrupted image is saved as; None for none.

    Raises
    ------
    UserError
        If frost is among them, and there is no mirror, or the textures in it are not the benchmark's.
    """

    def __init__(self, names: Sequence[str], jpeg_quality: int | None) -> None:
        self._corruptions = {name: _corruption(name) for name in names}
        self._jpeg_quality = jpeg_quality

    def corrupted(
        self, name: str, severity: int, images: NDArray[np.uint8], places: Sequence[int]
    ) -> NDArray[np.uint8]:
        """Return images of one corrupted set.

        Parameters
        ----------
        name, severity
            Which set.
        images
            uint8, shape (N, 3, H, H).
        places
            Their indices in the split, on which their random numbers depend.
        """
        seeds = (derive_seed(0, f"corruption {name}", severity, place) for place in places)
        streams = [np.random.default_rng(seed) for seed in seeds]
        made = self._corruptions[name](images, streams, severity=severity)
        return made if self._jpeg_quality is None else saved_as_jpeg(made, quality=self._jpeg_quality)


def _corruption(name: str) -> Corruption:
    if name != "frost":
        return corruption(name)
    folder = in_mirror("imagenet/frost", "the textures of frost", "leave frost out of 'corruptions'")
    require_official(folder)
    return corruption(name, frost_folder=folder)

"""Random crops and flips: every image is a window of its padded self, mirrored or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor

from robustrepro.training.augmentation import CropAndFlip


def windows(image: Tensor, padding: int) -> list[Tensor]:
    """Return every crop of one padded image, as it is and mirrored, one by one."""
    _, height, width = image.shape
    padded = F.pad(image, (padding,) * 4)
    places = range(2 * padding + 1)
    crops = [padded[:, top : top + height, left : left + width] for top in places for left in places]
    return crops + [crop.flip(2) for crop in crops]


@pytest.mark.parametrize("shape", [(3, 5, 5), (1, 4, 6)])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_every_image_becomes_one_of_its_own_windows(shape: tuple[int, ...], padding: int) -> None:
    images = torch.rand(40, *shape, generator=torch.Generator().manual_seed(0))
    changed = CropAndFlip(padding)(images, torch.Generator().manual_seed(1))
    assert changed.shape == images.shape
    which = set()
    for image, result in zip(images, changed, strict=True):
        matches = [number for number, window in enumerate(windows(image, padding)) if torch.equal(window, result)]
        assert matches
        which.add(matches[0])
    assert len(which) > 1  # images draw for themselves


def test_the_draws_depend_on_the_generator_alone() -> None:
    images = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    augment = CropAndFlip(2)
    torch.manual_seed(5)
    first = augment(images, torch.Generator().manual_seed(1))
    torch.manual_seed(6)
    assert torch.equal(first, augment(images, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, augment(images, torch.Generator().manual_seed(2)))

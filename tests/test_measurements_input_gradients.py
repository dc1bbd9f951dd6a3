"""Gradients with respect to pixels, as a measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from measuring import checkpoint, described, measured
from torch.func import grad, vmap

from robustrepro.datasets.tensors import as_float, load
from robustrepro.errors import UserError
from robustrepro.logit_functions import FUNCTIONS

STRIDED = {"architecture": {"name": "strided_convnet", "channels": [2, 3], "kernel": 5, "stride": 2, "hidden": [6]}}


def gradients(digits: Path, folder: Path, **options: object):
    weights, model = checkpoint(folder / "weights", STRIDED, seed=1)
    declared = {"input_gradients": {"images": [5, 2], **options}}
    subject = described(weights, seed=1, network=STRIDED)
    columns, _ = measured(folder / "gradients/m/seed1.parquet", digits, declared, [subject])
    return {name: np.array(values) for name, values in columns.items()}, model


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_pixel_has_the_gradient_of_another_differentiator(digits: Path, tmp_path: Path, function: str) -> None:
    columns, model = gradients(digits, tmp_path, function=function)
    split = load(digits, "test")
    index = torch.tensor([5, 2])
    images, labels = as_float(split.inputs)[index], split.labels[index]

    def of_one(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return FUNCTIONS[function](model(image[None]), label[None])[0]

    expected = vmap(grad(of_one))(images, labels)
    assert list(dict.fromkeys(columns["index"])) == [5, 2]
    assert len(columns["gradient"]) == 2 * 28 * 28
    for row in (0, 333, 1000, 1567):
        image, place = divmod(row, 28 * 28)
        y, x = divmod(place, 28)
        assert (columns["channel"][row], columns["y"][row], columns["x"][row]) == (0, y, x)
        assert columns["value"][row] == pytest.approx(images[image, 0, y, x].item())
    assert columns["gradient"] == pytest.approx(expected.detach().flatten().numpy(), rel=1e-4, abs=1e-7)
    assert columns["label"][[0, -1]].tolist() == labels.tolist()


def test_an_image_that_is_not_there_is_named(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"m: there is no test image 99999, only [0-9]+ of them"):
        gradients(digits, tmp_path, images=[99999])

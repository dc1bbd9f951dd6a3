"""Images beside gradients: what is drawn, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from figure_cases import declared_with_data, write
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from robustrepro.errors import UserError
from robustrepro.figures.image_gradients import draw

SIDE = 3
PIXELS = SIDE * SIDE


def gradients(folder: Path, model: str, *images: int, channels: int = 1, factor: float = 1.0) -> None:
    """Write images whose pixels are 0, 1/8 ... 1 in every channel, and gradients that fall with them."""
    channel, y, x = (places.ravel() for places in np.indices((channels, SIDE, SIDE)))
    value = (y * SIDE + x) / (PIXELS - 1)
    count = len(images)
    columns = {"channel": channel, "y": y, "x": x, "value": value, "gradient": -factor * value}
    repeated = {name: np.tile(values, count) for name, values in columns.items()}
    write(folder, "g", model, 0, index=np.repeat(images, channels * PIXELS), **repeated)


def drawn(folder: Path, *models: str) -> Figure:
    panels = [{"label": model.upper(), "model": model} for model in models]
    return draw(*declared_with_data(folder, {"name": "image_gradients", "measure": "g", "panels": panels}))


def pictures(figure: Figure) -> list[Any]:
    return [axis.findobj(AxesImage)[0].get_array() for axis in figure.axes]


def test_every_image_has_a_row_with_the_gradient_of_each_model_from_black_to_white(tmp_path: Path) -> None:
    gradients(tmp_path, "a", 4, 9)
    gradients(tmp_path, "b", 4, 9, factor=-50.0)
    figure = drawn(tmp_path, "a", "b")
    assert [axis.get_title() for axis in figure.axes] == ["image", "A", "B", "", "", ""]
    image, falling, rising, *_ = pictures(figure)
    assert image.shape == (SIDE, SIDE)
    assert image[0, 0] == 0
    assert image[-1, -1] == 1
    # Whatever its size, a gradient is drawn from its least value to its largest.
    assert np.allclose(falling, 1 - image)
    assert np.allclose(rising, image)
    assert "scale quick; seed 0" in figure.get_suptitle()


def test_colours_are_kept(tmp_path: Path) -> None:
    gradients(tmp_path, "a", 4, channels=3)
    assert [picture.shape for picture in pictures(drawn(tmp_path, "a"))] == [(SIDE, SIDE, 3)] * 2


def test_models_have_to_be_measured_on_the_same_images(tmp_path: Path) -> None:
    gradients(tmp_path, "a", 4)
    gradients(tmp_path, "b", 5)
    with pytest.raises(UserError, match=r"panel B: .*it is of other images than the first panel"):
        drawn(tmp_path, "a", "b")


def test_a_gradient_that_is_the_same_everywhere_is_no_picture(tmp_path: Path) -> None:
    gradients(tmp_path, "a", 4, factor=0.0)
    with pytest.raises(UserError, match=r"panel A: .*the gradient of image 4 is the same in every pixel"):
        drawn(tmp_path, "a")

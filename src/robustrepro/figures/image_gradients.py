"""Images beside the gradients of models with respect to them: what of an image a model goes by."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.figures import style
from robustrepro.figures.adversarial_samples import pixels
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import ImageGradients

LARGEST = 1.5
"""Width of one image, in inches."""
RGB = 3


def draw(declared: ImageGradients, data: FigureData) -> Figure:
    """Draw an image in each row and, beside it, the gradient of each model, from its least value to its largest.

    Raises
    ------
    UserError
        If the models were measured on other images than the first one, or a gradient is the same in every pixel.
    """
    frames = {panel.label: data.frame(panel.model, declared.measure, panel.seed) for panel in declared.panels}
    first, *others = frames.values()
    shown = first["index"].drop_duplicates().tolist()
    for panel, frame in zip(declared.panels[1:], others, strict=True):
        if frame["index"].drop_duplicates().tolist() != shown:
            file = data.file(panel.model, declared.measure, panel.seed)
            raise data.unusable(panel.label, file, "it is of other images than the first panel")
    width = 1 + len(frames)
    figure, axes = style.panels(len(shown) * width, columns=width)
    side = min(LARGEST, style.WIDTH / width)
    figure.set_size_inches(side * width, side * len(shown) + 0.6)
    for row, index in enumerate(shown):
        pictures = {"image": pixels(_of_image(first, index)).clip(0, 1)}
        for panel in declared.panels:
            rows = _of_image(frames[panel.label], index)
            if style.all_equal(rows["gradient"]) is not None:
                file = data.file(panel.model, declared.measure, panel.seed)
                raise data.unusable(panel.label, file, f"the gradient of image {index} is the same in every pixel")
            pictures[panel.label] = stretched(pixels(rows.assign(value=rows["gradient"])))
        for column, (label, picture) in enumerate(pictures.items()):
            axis = axes[row * width + column]
            shape = {"X": picture} if picture.shape[-1] == RGB else {"X": picture[..., 0], "cmap": "gray"}
            axis.imshow(**shape, vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 0:
                axis.set_title(label, fontsize=style.LABEL)
    remarks = [
        style.seeds_of([panel.seed for panel in declared.panels]),
        "gradients from their least value to their largest",
    ]
    style.note(figure, data.scale, *remarks)
    return figure


def _of_image(frame: pd.DataFrame, index: int) -> pd.DataFrame:
    return frame[frame["index"] == index]


def stretched(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a gradient scaled to [0, 1], from its least value to its largest over all channels."""
    low, high = gradient.min(), gradient.max()
    scaled: NDArray[np.float64] = (gradient - low) / (high - low)
    return scaled

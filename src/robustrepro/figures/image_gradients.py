"""Images beside the gradients of models with respect to them: what of an image a model goes by."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.images import draw_image, pixels, stretched
from robustrepro.spec.figures import ImageGradients

LARGEST = 1.5
"""Width of one image, in inches."""


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
            gradient = pixels(rows.assign(value=rows["gradient"]))
            pictures[panel.label] = stretched(gradient, gradient)
        for column, (label, picture) in enumerate(pictures.items()):
            axis = axes[row * width + column]
            draw_image(axis, picture)
            if row == 0:
                axis.set_title(label, fontsize=style.LABEL)
    remarks = [
        style.seeds_of([panel.seed for panel in declared.panels]),
        "gradients from least to largest",
    ]
    style.note(figure, data.scale, *remarks)
    return figure


def _of_image(frame: pd.DataFrame, index: int) -> pd.DataFrame:
    return frame[frame["index"] == index]

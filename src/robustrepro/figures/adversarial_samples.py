"""Images and the adversarial examples made of them: what was changed, and what the model says."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.images import draw_image, pixels, stretched
from robustrepro.spec.figures import AdversarialSamples
from robustrepro.words import norm_in_words

PARTS = ("original", "adversarial")
RING = 110
"""Area of a circle around a pixel, in square points."""
LARGEST, NARROWEST = 1.3, 3.6
"""Width of one image and of the figure, in inches."""


def draw(declared: AdversarialSamples, data: FigureData) -> Figure:
    """Draw the originals in a row and, below each, its adversarial example; over each what the model takes it for.

    Raises
    ------
    UserError
        If there are no samples, or one of them is the same before and after.
    """
    file = data.file(declared.model, declared.measure, declared.seed)
    rows = data.frame(declared.model, declared.measure, declared.seed)
    samples = [of_one for _, of_one in rows.groupby("sample")]
    if not samples:
        raise data.unusable("samples", file, "there are none")
    figure, axes = style.panels(2 * len(samples), columns=len(samples))
    side = min(LARGEST, style.WIDTH / len(samples))
    figure.set_size_inches(max(NARROWEST, side * len(samples)), 2 * side + 0.9)
    in_range = bool(rows.loc[rows["part"] == PARTS[0], "value"].between(0, 1).all())
    originals = np.stack([pixels(sample[sample["part"] == PARTS[0]]) for sample in samples])
    for column, sample in enumerate(samples):
        pictures = {part: pixels(sample[sample["part"] == part]) for part in PARTS}
        change = np.abs(pictures["adversarial"] - pictures["original"]).sum(axis=-1)
        if not change.any():
            raise data.unusable(f"sample {column}", file, "it is the same before and after the attack")
        for row, part in enumerate(PARTS):
            axis = axes[row * len(samples) + column]
            draw_image(axis, pictures[part].clip(0, 1) if in_range else stretched(pictures[part], originals))
            axis.set_title(str(sample.loc[sample["part"] == part, "prediction"].iloc[0]), fontsize=style.LABEL, pad=3)
        if declared.circled:
            y, x = np.unravel_index(change.argmax(), change.shape)
            axes[len(samples) + column].scatter(
                [x], [y], s=RING, facecolors="none", edgecolors=style.VERMILLION, linewidths=1.4, clip_on=False
            )
        axes[len(samples) + column].set_xlabel(norm_in_words(sample["origin_norm"].iloc[0]), fontsize=style.SMALL)
    for row, name in enumerate(PARTS):
        axes[row * len(samples)].set_ylabel(name, fontsize=style.LABEL)
    remarks = [f"seed {declared.seed}", f"over each image what {declared.model} takes it for"]
    if not in_range:
        remarks.append("every channel is drawn from the least value of these originals to their largest")
    elif not rows["value"].between(0, 1).all():
        remarks.append("pixels below 0 and above 1 are drawn as 0 and 1")
    style.note(figure, data.scale, *remarks)
    return figure

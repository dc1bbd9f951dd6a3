"""An image under every corruption at every severity, side by side."""

from __future__ import annotations

from matplotlib.figure import Figure

from robustrepro.corruptions.names import CLEAN
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.images import draw_image, pixels
from robustrepro.spec.figures import ContactSheet

SIDE = 0.75
"""Of one image, in inches."""
FRAME = 2.0
"""Width of the frame of what is misclassified, in points."""


def draw(declared: ContactSheet, data: FigureData) -> Figure:
    """Draw a row per corruption and a column per severity, with a frame where the model errs.

    Raises
    ------
    UserError
        If a corruption left the image as it was at every severity.
    """
    file = data.file(declared.model, declared.measure, declared.seed)
    rows = data.frame(declared.model, declared.measure, declared.seed)
    clean = pixels(rows[rows["corruption"] == CLEAN])
    corrupted = rows[rows["corruption"] != CLEAN]
    names = list(dict.fromkeys(corrupted["corruption"]))
    severities = sorted(corrupted["severity"].unique())
    figure = Figure(figsize=(SIDE * (len(severities) + 1.3), SIDE * len(names) + 0.8), layout="constrained")
    axes = figure.subplots(len(names), len(severities), squeeze=False)
    panels = dict(iter(corrupted.groupby(["corruption", "severity"])))
    for name, row in zip(names, axes, strict=True):
        changed = False
        for severity, axis in zip(severities, row, strict=True):
            panel = panels[name, severity]
            image = pixels(panel)
            changed |= bool((image != clean).any())
            draw_image(axis, image)
            if panel["prediction"].iloc[0] != panel["label"].iloc[0]:
                for spine in axis.spines.values():
                    spine.set(color=style.VERMILLION, linewidth=FRAME)
        if not changed:
            raise data.unusable(name, file, "the image is as it was at every severity")
        row[0].set_ylabel(name.replace("_", " "), rotation=0, ha="right", va="center", fontsize=style.LABEL)
    for severity, axis in zip(severities, axes[0], strict=True):
        axis.set_title(str(severity), fontsize=style.LABEL, pad=3)
    as_it_is = rows[rows["corruption"] == CLEAN].iloc[0]
    verdict = "right" if as_it_is["prediction"] == as_it_is["label"] else "wrong"
    style.note(
        figure,
        data.scale,
        f"test image {int(as_it_is['index'])}; columns are severities",
        f"framed: misclassified by {declared.model} ({verdict} without corruption)",
    )
    return figure

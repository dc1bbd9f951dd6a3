"""What the figures share: colours, sizes, the line under the title, and the error of a panel that shows nothing."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# A label is a text of paper.yaml: its dollars and backslashes are no formula.
matplotlib.rcParams["text.parse_math"] = False

# Hues that colour-blind readers tell apart (Okabe & Ito 2008).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE, VERMILLION = PALETTE[:2]
GREY = "#888888"
COLOUR_MAP = "viridis"
"""For magnitudes and times; its lightness grows evenly."""

PERCENT = (-2.0, 102.0)
"""The limits of an axis from 0% to 100%, so that a line at either end is whole."""

TITLE, LABEL, SMALL = 10, 9, 8
"""Font sizes in points. A figure is 9.6 inches wide at most, so the smallest is read at 900 pixels."""

WIDTH = 9.6
LABEL_GAP = 0.055
"""Between the names of two lines, as a share of the height of the axis."""

CHARACTER = 0.6
"""Mean width of a character, rounded up, as a share of the font size."""

HEIGHT_TO_WIDTH = 1.06
"""Of a panel with its title."""


def panels(count: int, *, columns: int | None = None, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many axes, row by row.

    Parameters
    ----------
    count
        The number of panels.
    columns
        Panels a row; all in one row when not said.
    options
        Of :meth:`matplotlib.figure.Figure.subplots`.
    """
    columns = min(columns or count, count)
    rows = math.ceil(count / columns)
    side = min(3.2, WIDTH / columns)
    figure = Figure(figsize=(side * columns, side * HEIGHT_TO_WIDTH * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def note(figure: Figure, scale: str, *remarks: str) -> None:
    """Write the small line over the panels: the scale, and what a reader has to know; lines, in a narrow figure."""
    text = "; ".join([f"scale {scale}", *remarks])
    figure.suptitle(wrapped(text, figure.get_figwidth(), SMALL), fontsize=SMALL)


def wrapped(text: str, width: float, size: float) -> str:
    """Return a text in lines of at most ``width`` inches, at a size in points; ``ε = 0.3`` stays on one line."""
    unbroken = text.replace(" = ", "\u00a0=\u00a0")
    return textwrap.fill(unbroken, int(72 * width / (CHARACTER * size)), break_long_words=False).replace("\u00a0", " ")


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name, the same in every figure of the same names."""
    return dict(zip(sorted(names), PALETTE, strict=False))


def counted(counts: Iterable[int], what: str, *, plural: str = "s") -> str:
    """Return "3 seeds", or "1 to 3 seeds" where the counts differ."""
    different = sorted(set(counts))
    shown = f"{different[0]} to {different[-1]}" if len(different) > 1 else f"{different[0]}"
    return f"{shown} {what}" + (plural if different[-1] != 1 else "")


def seeds_of(seeds: Sequence[int]) -> str:
    """Return "seed 3" or "seeds 0, 1"."""
    different = sorted(set(seeds))
    return f"seed{'s' if len(different) > 1 else ''} {', '.join(map(str, different))}"


def all_equal(values: pd.Series) -> float | None:
    """Return the value that all of them are; None if they differ."""
    return float(values.iloc[0]) if values.nunique() == 1 else None


def without_frame(axis: Axes) -> None:
    """Leave only the two sides that carry ticks."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=SMALL)


def label_ends(
    axis: Axes, x: float, ends: Mapping[str, float], colours: Mapping[str, str], gap: float = LABEL_GAP
) -> None:
    """Write each line's name right of its end, pushed apart where two would overlap.

    Parameters
    ----------
    axis
        With a linear vertical axis whose limits are set.
    x
        Where the lines end.
    ends
        The height of each line's end, by its name.
    colours
        The colour of each line, by its name.
    gap
        How far apart two names have to stand, as a share of the axis.
    """
    low, high = axis.get_ylim()
    names = sorted(ends, key=lambda name: ends[name])
    wanted = np.array([ends[name] for name in names])
    steps = gap * (high - low) * np.arange(len(names))
    heights = np.maximum.accumulate(wanted - steps) + steps
    for name, height in zip(names, heights, strict=True):
        axis.annotate(
            name,
            (x, height),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=colours[name],
            fontsize=LABEL,
            annotation_clip=False,  # one that was pushed beyond the axis would be left out
        )

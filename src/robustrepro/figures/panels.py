"""What figures that compare series share: their panels, colours, markers and legend."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.spec.figures import Comparison, Quantity

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (3, 1, 1, 1), (5, 1, 1, 1, 1, 1))
PANEL_SIZES = {1: (5.6, 3.9), 2: (4.4, 3.5), 3: (3.2, 2.8), 4: (2.4, 2.3)}
"""Width and height of a panel in inches, by the number of panels per row."""

COLUMN = 1.6
"""Width of a legend's column in inches."""

BRIGHTEST = 0.88
"""How far the colour map is used for numbers; its end is hard to see on white."""


@dataclass(frozen=True)
class Look:
    """The colour of each hue, and the marker and dashes of each style."""

    colours: Mapping[Hashable, Any]
    markers: Mapping[Hashable, str]
    dashes: Mapping[Hashable, Any]

    @classmethod
    def of(cls, points: pd.DataFrame, figure: str, *, dashed: bool) -> Look:
        """Return the look of all points; numbers are shades of one colour map, in their order.

        Raises
        ------
        UserError
            If there are more hues or styles than a reader tells apart.
        """
        hues, styles = levels(points["hue"]), levels(points["style"])
        numeric = pd.api.types.is_numeric_dtype(points["hue"])
        for what, found, most in (
            ("hues", hues, len(MARKERS) if numeric else len(style.PALETTE)),
            ("styles", styles, len(DASHES) if dashed else len(MARKERS)),
        ):
            if len(found) > most:
                raise UserError(f"{figure}: {len(found)} {what}, of which a reader tells at most {most} apart: {found}")
        shades = mpl.colormaps[style.COLOUR_MAP](np.linspace(0, BRIGHTEST, len(hues)))
        named_colours = style.colours_of(map(str, hues))
        return cls(
            colours={
                hue: tuple(shade) if numeric else named_colours[hue] for hue, shade in zip(hues, shades, strict=True)
            },
            markers=dict(zip(styles, MARKERS, strict=False)),
            dashes=dict(zip(styles, DASHES, strict=False)) if dashed else dict.fromkeys(styles, ""),
        )

    def seaborn(self) -> dict[str, Any]:
        """Return the options that have seaborn draw in this look."""
        return {
            "hue": "hue",
            "hue_order": list(self.colours),
            "palette": dict(self.colours),
            "style": "style",
            "style_order": list(self.markers),
            "markers": dict(self.markers),
            "legend": False,
        }


def levels(values: pd.Series) -> list[Any]:
    """Return the different values: numbers in increasing order, anything else in order of appearance."""
    different = list(values.unique())
    return sorted(different) if pd.api.types.is_numeric_dtype(values) else different


def named(name: str, value: Any) -> str:
    """Return a value as a title or legend says it: ``p = 3``; a text says itself what it is."""
    return value if isinstance(value, str) else f"{name} = {value:g}"


def panels_of(points: pd.DataFrame, declared: Comparison) -> tuple[Figure, dict[str, tuple[Axes, pd.DataFrame]]]:
    """Return a figure, and the axes and points of each of its panels, by the panel's title."""
    values = levels(points["panel"])
    columns = min(declared.panels_per_row, len(values))
    figure, axes = style.panels(len(values), columns=columns, sharex=declared.shared_x, sharey=True)
    width, height = PANEL_SIZES[columns]
    figure.set_size_inches(width * columns, height * math.ceil(len(values) / columns) + 0.4)
    for axis in axes[-columns:]:
        axis.tick_params(labelbottom=True)  # the place below may be empty
    return figure, {
        named(str(declared.panels), value): (axis, points[points["panel"] == value])
        for value, axis in zip(values, axes, strict=True)
    }


def finish(figure: Figure, axes: Sequence[Axes], x: Quantity, y: Quantity) -> None:
    """Label and scale the axes, which the panels share."""
    for axis in axes:
        style.without_frame(axis)
        for name, quantity in (("x", x), ("y", y)):
            if quantity.log:
                axis.set(**{f"{name}scale": "log"})
            if quantity.limits is not None:
                low, high = quantity.limits
                margin = 0 if quantity.log else 0.02 * (high - low)
                axis.set(**{f"{name}lim": (low - margin, high + margin)})
            axis.set(**{f"{name}label": ""})
    label_x, label_y = (f"{each.label} ({each.unit})" if each.unit else each.label for each in (x, y))
    if len(axes) == 1:
        axes[0].set_xlabel(label_x, fontsize=style.LABEL)
        axes[0].set_ylabel(label_y, fontsize=style.LABEL)
    else:
        figure.supxlabel(label_x, fontsize=style.LABEL)
        figure.supylabel(label_y, fontsize=style.LABEL)


def legend(figure: Figure, look: Look, hue: str, styled_by: str | None, *, line: Literal["-", ""]) -> None:
    """Put a legend below the panels: of the hues, and of the styles where they say something else.

    Parameters
    ----------
    figure
        With its panels.
    look
        The colours, markers and dashes in it.
    hue, styled_by
        The names of what they stand for; ``styled_by`` is None where markers and colours stand for the same.
    line
        Whether lines connect the points: the line style of matplotlib, ``-`` or an empty text.
    """
    entries: list[tuple[str, dict[str, Any]]] = [
        (named(hue, value), {"color": colour, "marker": "s" if styled_by else look.markers[value]})
        for value, colour in look.colours.items()
    ]
    if styled_by is not None:
        entries += [
            (named(styled_by, value), {"color": style.GREY, "marker": marker, "dashes": look.dashes[value]})
            for value, marker in look.markers.items()
        ]
    handles = [_handle(label, line=line, **options) for label, options in entries]
    if len(handles) > 1:
        columns = min(len(handles), max(2, int(figure.get_figwidth() / COLUMN)))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=style.LABEL)


def _handle(label: str, *, line: Literal["-", ""], dashes: Any = "", **options: Any) -> Line2D:
    handle = Line2D([], [], label=label, linestyle=line, markersize=5, **options)
    if line and dashes:
        handle.set_dashes(dashes)
    return handle

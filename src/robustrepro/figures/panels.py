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
from matplotlib.ticker import LogFormatter

from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.spec.figures import Comparison, Quantity

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DASHES: tuple[Any, ...] = ("", (4, 1.5), (1, 1), (3, 1, 1, 1), (5, 1, 1, 1, 1, 1))
PANEL_SIZES = {1: (5.6, 3.9), 2: (4.4, 3.5), 3: (3.2, 2.8), 4: (2.4, 2.3)}
"""Width and height of a panel in inches, by the number of panels per row."""

LIMIT_MARGIN = 0.02
"""Beyond the limits of an axis, as a share of it, so that a line at either end is whole."""

SAMPLE = 0.7
"""Width of what stands before and after a name in a legend, in inches."""

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
                hue: tuple(shade) if numeric else named_colours[str(hue)]
                for hue, shade in zip(hues, shades, strict=True)
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
    return figure, {
        named(str(declared.panels), value): (axis, points[points["panel"] == value])
        for value, axis in zip(values, axes, strict=True)
    }


class PlainLogFormatter(LogFormatter):
    """Labels a logarithmic axis with plain numbers: 0.1, 20."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick; an empty text where there is no room for one."""
        return f"{x:g}" if super().__call__(x, pos) else ""


def make_logarithmic(axis: Axes, name: str) -> None:
    """Give axes a logarithmic ``x`` or ``y`` axis, with plain numbers at it."""
    side = axis.xaxis if name == "x" else axis.yaxis
    axis.set(**{f"{name}scale": "log"})
    side.set_major_formatter(PlainLogFormatter())
    side.set_minor_formatter(PlainLogFormatter(minor_thresholds=(1, 0.4)))
    side.set_tick_params(which="minor", labelsize=style.SMALL, pad=5)


def with_unit(label: str, unit: str) -> str:
    """Return the label of an axis."""
    return f"{label} ({unit})" if unit else label


def finish(axes: Sequence[Axes], declared: Comparison, x: Quantity, y: Quantity) -> None:
    """Scale and label the axes of all panels, whose titles are set; what an axis is stands at the outer sides only."""
    columns = min(declared.panels_per_row, len(axes))
    for axis in axes:
        style.without_frame(axis)
        title = style.wrapped(axis.get_title(), PANEL_SIZES[columns][0], style.TITLE)
        axis.set_title(title, fontsize=style.TITLE)
        for quantity, side, name in ((x, axis.xaxis, "x"), (y, axis.yaxis, "y")):
            if quantity.log:
                make_logarithmic(axis, name)
            if quantity.limits is not None:
                low, high = quantity.limits
                margin = 0 if quantity.log else LIMIT_MARGIN * (high - low)
                axis.set(**{f"{name}lim": (low - margin, high + margin)})
            side.set_label_text("")
    for axis in axes[-columns:]:
        axis.tick_params(which="both", labelbottom=True)  # the place below may be empty
        axis.set_xlabel(with_unit(x.label, x.unit), fontsize=style.LABEL, visible=True)
    for axis in axes[::columns]:
        axis.set_ylabel(with_unit(y.label, y.unit), fontsize=style.LABEL)


def legend(
    figure: Figure,
    look: Look,
    hue: str,
    styled_by: str | None,
    *,
    line: Literal["-", ""],
    marked: bool = True,
    more: Sequence[Line2D] = (),
) -> None:
    """Put a legend below the panels: of the hues, of the styles where they say something else, and of what is more.

    Parameters
    ----------
    figure
        With its panels.
    look
        The colours, markers and dashes in it.
    hue, styled_by
        The names of what they stand for; ``styled_by`` is None where markers and colours stand for the same.
    line
        The line style that connects the points.
    marked
        Whether points have markers.
    more
        What else is in the panels, each with its label.
    """
    hue_marker = {value: "o" if styled_by else look.markers[value] for value in look.colours}
    entries: list[tuple[str, dict[str, Any]]] = [
        (named(hue, value), {"color": colour, "marker": hue_marker[value] if not (styled_by and line) else ""})
        for value, colour in look.colours.items()
    ]
    if styled_by is not None:
        entries += [
            (named(styled_by, value), {"color": style.GREY, "marker": marker, "dashes": look.dashes[value]})
            for value, marker in look.markers.items()
        ]
    handles = [_handle(label, line=line, marked=marked, **options) for label, options in entries] + list(more)
    if len(handles) > 1:
        width = SAMPLE + max(len(str(handle.get_label())) for handle in handles) * style.CHARACTER * style.LABEL / 72
        columns = min(len(handles), max(1, int(figure.get_figwidth() / width)))
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=style.LABEL,
            handlelength=3 if line else 1,
        )


def _handle(label: str, *, line: Literal["-", ""], marked: bool, marker: str, dashes: Any = "", color: Any) -> Line2D:
    handle = Line2D([], [], label=label, linestyle=line, color=color, marker=marker if marked else "", markersize=5)
    if line and dashes:
        handle.set_dashes(dashes)
    return handle

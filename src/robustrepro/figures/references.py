"""Horizontal lines at numbers to compare with, such as those that a paper prints."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from robustrepro.errors import UserError, unknown_name
from robustrepro.figures import style
from robustrepro.figures.panels import Look
from robustrepro.spec.figures import Reference

LOOK: Mapping[str, Any] = {"linestyle": (0, (1.2, 2.2)), "linewidth": 1.1}
"""Thinner than any line of measurements, and more loosely dotted."""


def draw_references(
    references: Sequence[Reference], look: Look, panels: Mapping[Hashable, Axes], figure: str
) -> list[Line2D]:
    """Draw references across their panels, below the lines of measurements, and return what names them in a legend.

    Parameters
    ----------
    references
        With heights in the unit that the axes show.
    look
        The colour of each hue.
    panels
        The axes of each panel, by what tells the panels apart.
    figure
        The figure's key, for messages.

    Returns
    -------
    A handle per label, in the colour of its references, or grey where they have several.

    Raises
    ------
    UserError
        If no series has a reference's hue or panel.
    """
    colours: dict[str, set[Any]] = {}
    for reference in references:
        assert isinstance(reference.y, float)  # printed numbers are put in by the plan
        if reference.hue is not None and reference.hue not in look.colours:
            raise _unknown("hue", reference.hue, look.colours, figure)
        if reference.panel is not None and reference.panel not in panels:
            raise _unknown("panel", reference.panel, panels, figure)
        colour = style.GREY if reference.hue is None else look.colours[reference.hue]
        colours.setdefault(reference.label, set()).add(colour)
        for axis in panels.values() if reference.panel is None else [panels[reference.panel]]:
            axis.axhline(reference.y, color=colour, zorder=1.5, **LOOK)
    return [
        Line2D([], [], label=label, color=next(iter(found)) if len(found) == 1 else style.GREY, **LOOK)
        for label, found in colours.items()
    ]


def _unknown(what: str, value: Any, known: Mapping[Hashable, Any], figure: str) -> UserError:
    return unknown_name(f"{what} of a reference in {figure}", str(value), map(str, known))

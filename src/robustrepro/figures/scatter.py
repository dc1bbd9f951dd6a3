"""Two columns of measurements against each other."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.panels import Look, finish, legend, panels_of
from robustrepro.figures.points import points_of, require_positive, scaled
from robustrepro.spec.figures import Scatter, Series


def draw(declared: Scatter, data: FigureData) -> Figure:
    """Draw a point per row, of all seeds.

    Raises
    ------
    UserError
        If all points of a panel have the same x or y.
    """

    def located(rows: pd.DataFrame, _: Series) -> pd.DataFrame:
        return rows.assign(x=scaled(rows, declared.x), y=scaled(rows, declared.y))

    roles = {"hue": declared.hue, "style": declared.style or declared.hue, "panel": declared.panels}
    points = points_of(declared, data, roles, located)
    look = Look.of(points, data.figure, dashed=False)
    for axis_name, quantity in (("x", declared.x), ("y", declared.y)):
        require_positive(points, axis_name, quantity, data)
    figure, panels = panels_of(points, declared)
    for title, (axis, part) in panels.items():
        for axis_name, quantity in (("x", declared.x), ("y", declared.y)):
            equal = style.all_equal(part[axis_name])
            if equal is not None:
                why = f"every {quantity.label} is {equal:g}"
                raise data.unusable(title or quantity.label, part["file"].iloc[0], why)
        sns.scatterplot(part, x="x", y="y", ax=axis, **look.seaborn(), s=14, alpha=0.6, linewidth=0, rasterized=True)
        axis.set_title(title)
    finish([axis for axis, _ in panels.values()], declared, declared.x, declared.y)
    if declared.panels != declared.hue or declared.style is not None:
        legend(figure, look, declared.hue, declared.style, line="")
    seeds = style.counted(points.groupby(["panel", "hue"])["seed"].nunique(), "seed")
    style.note(figure, data.scale, seeds, f"{style.counted(points.groupby('panel').size(), 'point')} per panel")
    return figure

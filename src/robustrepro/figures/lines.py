"""One quantity against another, such as accuracy against ε or the epoch: means over seeds with their interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robustrepro.accuracy import classified_right, right_within
from robustrepro.errors import UserError
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.figures.panels import Look, finish, legend, panels_of
from robustrepro.figures.points import points_of, require_positive, scaled
from robustrepro.figures.references import draw_references
from robustrepro.spec.figures import Lines, Series

RESAMPLES = 200
"""Of the seeds, for the bootstrap interval: there are only a few seeds to draw from."""

MARKED = 20
"""Lines of more points than that have no markers."""

LINE = ["panel", "hue", "style"]
POINT = [*LINE, "seed", "x"]
"""What tells the lines of a figure apart, and the points of its seeds."""


def draw(declared: Lines, data: FigureData) -> Figure:
    """Draw a line per hue and style in each panel, with its 95% bootstrap interval over seeds.

    Raises
    ------
    UserError
        If two series would be one line, a reference has no place, or a panel is constant; but a share in percent may be
        the same everywhere, and then the panel's title says so.
    """
    means = _means(declared, data)
    look = Look.of(means, data.figure, dashed=declared.style is not None)
    figure, panels = panels_of(means, declared)
    by_value = {part["panel"].iloc[0]: axis for axis, part in panels.values()}
    references = draw_references(declared.references, look, by_value, data.figure)
    marked = means.groupby(LINE)["x"].nunique().max() <= MARKED
    for title, (axis, part) in panels.items():
        _draw_panel(axis, part, look, marked=marked)
        equal = style.all_equal(part["y"])
        if equal is not None and declared.y.column != Lines.ACCURACY and declared.y.unit != "%":
            raise data.unusable(
                title or declared.y.label, part["file"].iloc[0], f"every {declared.y.label} is {equal:g}"
            )
        remark = "" if equal is None else f"all {equal:g}{declared.y.unit}"
        axis.set_title(": ".join(filter(None, [title, remark])))
    axes = [axis for axis, _ in panels.values()]
    if not declared.x.log and (means["x"] % 1 == 0).all():
        for axis in axes:
            axis.locator_params(axis="x", integer=True)  # there is no epoch 1.5
    finish(axes, declared, declared.x, declared.y)
    if not _label_directly(axes, means, look, declared):
        legend(figure, look, declared.hue, declared.style, line="-", marked=marked, more=references)
    seeds = means.groupby(LINE)["seed"].nunique()
    interval = ["mean and 95% bootstrap interval over seeds"] if seeds.max() > 1 else []
    style.note(figure, data.scale, style.counted(seeds, "seed"), *interval, *_words(declared, data))
    return figure


def _means(declared: Lines, data: FigureData) -> pd.DataFrame:
    """Return the mean of ``y`` at every ``x`` for each seed and line."""

    def located(rows: pd.DataFrame, series: Series) -> pd.DataFrame:
        column = getattr(series, "y", None) or declared.y.column
        if declared.bounds is not None:
            return _within(rows, declared, data)
        if column == Lines.ACCURACY and Lines.ACCURACY not in rows:
            rows = rows.assign(accuracy=classified_right(rows))
        placed = rows.assign(x=scaled(rows, declared.x), y=scaled(rows, declared.y, column))
        of_one_attack = declared.x.column in series.columns  # a point beside the curves, which begin without attack
        if declared.clean_at is None or column != Lines.ACCURACY or of_one_attack:
            return placed
        clean = rows.assign(accuracy=rows["clean_prediction"] == rows["label"])
        return pd.concat([placed, clean.assign(x=declared.clean_at * declared.x.factor, y=scaled(clean, declared.y))])

    roles = {"hue": declared.hue, "style": declared.style or declared.hue, "panel": declared.panels}
    points = points_of(declared, data, roles, located)
    for axis, quantity in (("x", declared.x), ("y", declared.y)):
        require_positive(points, axis, quantity, data)
    groups = points.groupby(POINT, sort=False)
    twice = points[groups["series"].transform("nunique") > 1]
    if len(twice):
        both = ", ".join(map(str, sorted(twice["series"].unique())))
        raise UserError(
            f"{data.figure}: series {both} (from 0) have the same hue, style and panel, and would be one line"
        )
    return groups.agg(y=("y", "mean"), series=("series", "first"), file=("file", "first")).reset_index()


def _within(rows: pd.DataFrame, declared: Lines, data: FigureData) -> pd.DataFrame:
    """Return the accuracy within every bound, for each seed and line."""
    roles = (declared.hue, declared.style, declared.panels)
    groups = [*dict.fromkeys(["seed", *(name for name in roles if name is not None and name != "label")])]
    if rows.duplicated([*groups, "index"]).any():
        raise UserError(
            f"{data.figure}: a line would be of several rows per image; select by 'rows', or tell them apart"
        )
    parts = []
    for bound in declared.bounds or ():
        shares = rows.assign(y=right_within(rows, bound)).groupby(groups, sort=False)["y"].mean().reset_index()
        parts.append(shares.assign(x=bound * declared.x.factor, y=shares["y"] * declared.y.factor))
    return pd.concat(parts, ignore_index=True)


def _draw_panel(axis: Axes, means: pd.DataFrame, look: Look, *, marked: bool) -> None:
    sns.lineplot(
        means,
        x="x",
        y="y",
        ax=axis,
        **{**look.seaborn(), "markers": dict(look.markers) if marked else False},
        dashes=dict(look.dashes),
        errorbar=("ci", 95) if means["seed"].nunique() > 1 else None,
        n_boot=RESAMPLES,
        seed=0,
        linewidth=1.4,
        markersize=5,
    )


def _label_directly(axes: list[Axes], means: pd.DataFrame, look: Look, declared: Lines) -> bool:
    """Write names at the ends of the lines of a single panel, if they end together and apart; return whether so."""
    last = means["x"].max()
    ends = means[means["x"] == last].groupby("hue", sort=False)["y"].mean()
    low, high = axes[0].get_ylim()
    apart = np.diff(np.sort(ends)).min(initial=np.inf) > style.LABEL_GAP * (high - low)
    several = len(axes) > 1 or declared.style is not None or declared.y.log or len(look.colours) < 2
    several |= bool(declared.references)  # which would run through the names
    if several or not apart or len(ends) < len(look.colours):
        return False
    if not all(isinstance(hue, str) for hue in look.colours):
        return False
    style.label_ends(axes[0], last, ends.to_dict(), {str(hue): colour for hue, colour in look.colours.items()})
    return True


def _words(declared: Lines, data: FigureData) -> list[str]:
    """Return the words for what was measured, where few words say it."""
    words = list(dict.fromkeys(data.words(series.measure) for series in declared.series))
    return words if len(words) <= 2 else []

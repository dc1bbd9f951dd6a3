"""How much of CEM its diagonal is, and how robust models are, against the batch size (`hrm`, Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.accuracy import classified_right
from robustrepro.figures import style
from robustrepro.figures.data import FigureData
from robustrepro.spec.figures import BatchSize, DiagonalDominance

Floats = NDArray[np.float64]
SPREAD = (10, 90)
"""The percentiles that a bar spans."""

APART = 1.04
"""By which factor of the batch size the lines of two objectives are drawn apart."""


def diagonal_shares(losses: Floats, batch_size: int) -> Floats:
    """Return the share of the diagonal in the cross error matrix, ΣLᵢ / (Σ√Lᵢ)², of batch after batch.

    It is 1/N if all N losses are equal, and 1 if a single one is not 0.

    Parameters
    ----------
    losses
        Per-example losses Lᵢ ≥ 0 in the order in which batches are drawn, shape (M,).
    batch_size
        N. What is left over at the end is no batch.

    Returns
    -------
    Shape (batches,); a batch whose losses are all 0 has no share, and is left out.
    """
    whole = len(losses) // batch_size * batch_size
    batches = losses[:whole].reshape(-1, batch_size)
    batches = batches[batches.any(axis=1)]
    shares: Floats = batches.sum(1) / np.square(np.sqrt(batches).sum(1))
    return shares


def draw(declared: DiagonalDominance, data: FigureData) -> Figure:
    """Draw the diagonal's share on the left and the accuracy under attack on the right.

    Raises
    ------
    UserError
        If there are no batches, or all losses are equal.
    """
    batches = sorted(declared.batches, key=lambda batch: batch.batch_size)
    figure, (left, right) = style.panels(2)
    figure.set_size_inches(8.4, 3.6)
    sizes = [batch.batch_size for batch in batches]
    _draw_shares(left, sizes, [_shares(batch, declared.losses_measure, data) for batch in batches])
    accuracies = {
        label: [_accuracies(data.frames(batch.accuracy[label], declared.measure)) for batch in batches]
        for label in sorted(batches[0].accuracy)
    }
    attack = style.wrapped(data.words(declared.measure), figure.get_figwidth() / 2, style.TITLE)
    _draw_accuracies(right, sizes, accuracies, f"accuracy (%) under\n{attack}")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axis.minorticks_off()
        axis.set_xlabel("batch size", fontsize=style.LABEL)
        style.without_frame(axis)
    style.note(
        figure,
        data.scale,
        style.counted([len(seeds) for line in accuracies.values() for seeds in line], "seed"),
        f"left: mean and {SPREAD[0]}th to {SPREAD[1]}th percentile of batches",
        "right: mean and range of seeds",
    )
    return figure


def _shares(batch: BatchSize, measure: str, data: FigureData) -> Floats:
    """Return the diagonal's shares in batches drawn from each seed's training losses."""
    panel = f"diagonal, batch size {batch.batch_size}"
    shares_per_seed = []
    for seed in data.seeds(batch.losses):
        file = data.file(batch.losses, measure, seed)
        losses = data.frame(batch.losses, measure, seed)["loss"].to_numpy(np.float64)
        shares = diagonal_shares(np.random.default_rng(0).permutation(losses), batch.batch_size)
        if not len(shares):
            raise data.unusable(panel, file, f"its {len(losses)} losses make no batch with a loss other than 0")
        if np.ptp(losses) == 0:
            raise data.unusable(panel, file, f"all {len(losses)} losses are equal")
        shares_per_seed.append(shares)
    return np.concatenate(shares_per_seed)


def _accuracies(rows: pd.DataFrame) -> pd.Series:
    """Return the accuracy of each seed, in percent."""
    return 100 * classified_right(rows).groupby(rows["seed"]).mean()


def _draw_shares(axis: Axes, sizes: Sequence[int], shares: Sequence[Floats]) -> None:
    means = np.array([values.mean() for values in shares])
    low, high = (np.array([np.percentile(values, percent) for values in shares]) for percent in SPREAD)
    axis.vlines(sizes, low, high, color="black", linewidth=1.2)
    axis.plot(sizes, means, "o-", color="black")
    equal = [1 / size for size in sizes]
    axis.plot(sizes, equal, ":", color=style.GREY)
    axis.axhline(1, linestyle=":", color=style.GREY)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda share, _: f"{share:g}")
    for text, y, above, colour in (
        ("1: all losses but one are 0", 1, -11, style.GREY),
        ("diagonal of CEM", means[0], 5, "black"),
        # As low as the line gets: it falls, and would cross a text below its beginning.
        ("1/N: all losses equal", equal[-1], 0, style.GREY),
    ):
        axis.annotate(text, (sizes[0], y), (8, above), textcoords="offset points", color=colour, fontsize=style.SMALL)
    axis.set_title("share of the diagonal", fontsize=style.TITLE)


def _draw_accuracies(axis: Axes, sizes: Sequence[int], accuracies: dict[str, list[pd.Series]], title: str) -> None:
    """Draw each objective's accuracy against the batch size."""
    colours = style.colours_of(accuracies)
    for place, (label, line) in enumerate(accuracies.items()):
        # Beside one another, or the bars would hide one another.
        beside = np.array(sizes) * APART ** (place - (len(accuracies) - 1) / 2)
        low, high = [seeds.min() for seeds in line], [seeds.max() for seeds in line]
        axis.vlines(beside, low, high, color=colours[label], linewidth=1.2)
        axis.plot(beside, [seeds.mean() for seeds in line], "o-", color=colours[label])
    equal = style.all_equal(pd.concat([seeds for line in accuracies.values() for seeds in line]))
    if equal is not None:
        axis.set_ylim(*style.PERCENT)
        title += f"\n(all {equal:g}%)"
    end = sizes[-1] * APART ** ((len(accuracies) - 1) / 2)
    style.label_ends(axis, end, {label: float(line[-1].mean()) for label, line in accuracies.items()}, colours)
    axis.set_title(title, fontsize=style.TITLE)

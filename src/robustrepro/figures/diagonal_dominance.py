"""How much of CEM its diagonal is, and how robust models are, against the batch size (`hrm`, Figure 6)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from robustrepro.figures import style
from robustrepro.measurements.store import read_measurement
from robustrepro.words import attack_in_words

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


def draw(spec: dict[str, Any]) -> Figure:
    """Draw the diagonal's share on the left and the accuracy under attack on the right.

    Parameters
    ----------
    spec
        The figure's spec: ``figure.attack``, the one behind the accuracies, and ``figure.batches``, each with a
        ``batch_size``, ``losses_measurements`` (one a seed) and ``accuracy_measurements`` (for each label, one a seed).

    Raises
    ------
    UserError
        If there are no batches, all losses are equal, or all accuracies are.
    """
    batches = sorted(spec["figure"]["batches"], key=lambda batch: int(batch["batch_size"]))
    figure, (left, right) = style.panels(2)
    figure.set_size_inches(8.4, 3.6)
    sizes = [batch["batch_size"] for batch in batches]
    _draw_shares(left, sizes, [_shares(batch, spec["id"]) for batch in batches])
    accuracies = {
        label: [_accuracies(batch["accuracy_measurements"][label]) for batch in batches]
        for label in sorted(batches[0]["accuracy_measurements"])
    }
    if np.ptp(np.concatenate([values for line in accuracies.values() for values in line])) == 0:
        first = next(iter(batches[0]["accuracy_measurements"].values()))[0]
        raise style.unusable(spec["id"], "accuracy", first, "every model has the same accuracy, at every batch size")
    _draw_accuracies(right, sizes, accuracies, spec["figure"]["attack"])
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.set_xticks(sizes, [str(size) for size in sizes], minor=False)
        axis.minorticks_off()
        axis.set_xlabel("batch size", fontsize=style.LABEL)
        style.without_frame(axis)
    seeds = [len(files) for batch in batches for files in batch["accuracy_measurements"].values()]
    style.note(
        figure,
        spec["scale"],
        style.counted(seeds, "seed"),
        f"left: mean and {SPREAD[0]}th to {SPREAD[1]}th percentile of batches",
        "right: mean and range of seeds",
    )
    return figure


def _shares(batch: dict[str, Any], figure: str) -> Floats:
    """Return the diagonal's shares in batches drawn from each seed's training losses."""
    found = []
    for file in batch["losses_measurements"]:
        measured, _ = read_measurement(Path(file))
        losses = measured.column("loss").to_numpy().astype(np.float64)
        shares = diagonal_shares(np.random.default_rng(0).permutation(losses), batch["batch_size"])
        panel = f"diagonal, batch size {batch['batch_size']}"
        if not len(shares):
            why = f"its {len(losses)} losses make no batch with a loss other than 0"
            raise style.unusable(figure, panel, file, why)
        if np.ptp(losses) == 0:
            raise style.unusable(figure, panel, file, f"all {len(losses)} losses are equal")
        found.append(shares)
    return np.concatenate(found)


def _accuracies(files: Sequence[str]) -> Floats:
    """Return the accuracy of each seed, in percent."""
    accuracies = []
    for file in files:
        measured, _ = read_measurement(Path(file))
        accuracies.append(
            100 * np.mean(measured.column("prediction").to_numpy() == measured.column("label").to_numpy())
        )
    return np.array(accuracies)


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


def _draw_accuracies(
    axis: Axes, sizes: Sequence[int], accuracies: dict[str, list[Floats]], attack: dict[str, Any]
) -> None:
    """Draw each objective's accuracy against the batch size."""
    colours = style.colours_of(accuracies)
    for place, (label, line) in enumerate(accuracies.items()):
        # Beside one another, or the bars would hide one another.
        beside = np.array(sizes) * APART ** (place - (len(accuracies) - 1) / 2)
        low, high = [values.min() for values in line], [values.max() for values in line]
        axis.vlines(beside, low, high, color=colours[label], linewidth=1.2)
        axis.plot(beside, [values.mean() for values in line], "o-", color=colours[label])
    end = sizes[-1] * APART ** ((len(accuracies) - 1) / 2)
    style.label_ends(axis, end, {label: float(line[-1].mean()) for label, line in accuracies.items()}, colours)
    axis.set_title(f"accuracy (%) under\n{attack_in_words(attack)}", fontsize=style.TITLE)

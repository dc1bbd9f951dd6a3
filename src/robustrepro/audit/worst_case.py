"""The worst case an image over every attack on a model in one ball, read from the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from robustrepro.errors import UserError
from robustrepro.measurements.store import read_measurement
from robustrepro.words import attack_in_words

Mask = npt.NDArray[np.bool_]
AUDIT = "audit: "
"""What the names of the audit's attacks begin with, to tell them from the tables'."""


@dataclass(frozen=True)
class WorstCase:
    """One model with one seed in one ball.

    Attributes
    ----------
    resisted
        By attack: which of the audit's images resist it; bool, shape (N,). A misclassified image resists nothing.
    smaller
        The same at smaller ε, by ε.
    own
        The claim's own measure, a key of ``resisted``.
    constant
        Whether the model gives every image the same class.
    alarms
        What the alarms said.
    words
        The tables' and the audit's attacks among ``resisted`` as a sentence would name them.
    """

    resisted: Mapping[str, Mask]
    smaller: Mapping[float, Mask]
    own: str
    constant: bool
    alarms: list[dict[str, Any]]
    words: Mapping[str, str] = field(default_factory=dict)

    def accuracy(self, *attacks: str) -> float:
        """Return the share of images, in percent, that resist each of these attacks; all attacks when none is named."""
        masks = [self.resisted[name] for name in attacks or self.resisted]
        return 100 * float(np.logical_and.reduce(masks).mean())

    @property
    def images(self) -> int:
        """How many images every attack was tried on."""
        return len(self.resisted[self.own])


def read_worst_case(cell: Mapping[str, Any], files: Mapping[str, Any], seed: int) -> WorstCase:
    """Read all that attacked a model in one ball.

    Parameters
    ----------
    cell
        ``model``, ``norm``, ``epsilon`` and ``measure`` (the claim's own).
    files
        The measurements, as :meth:`robustrepro.spec.layout.Layout.worst_case` returns them.
    seed
        The model's.

    Raises
    ------
    UserError
        If a measurement is missing or unreadable, or is of other images.
    """
    battery, origin = read_measurement(Path(files["battery"]))
    balls = [(ball["norm"], ball["epsilon"]) for ball in origin["spec"]["balls"]]
    ball = (cell["norm"], cell["epsilon"])
    ours = _rows(battery, norm=ball[0], ball=ball[1])
    read = {name: read_measurement(Path(file)) for name, file in files["attacks"].items()}
    own = {name: measured for name, (measured, _) in read.items()}
    # A measure may be of fewer images than the audit, and the worst case is of those that every attack was tried on.
    count = min([int(ours.column("index").to_numpy().max()) + 1, *map(len, own.values())])
    resisted = {name: _resisted(measured, count, files["attacks"][name]) for name, measured in own.items()}
    smaller = {}
    names, epsilons = (ours.column(name).to_pylist() for name in ("attack", "epsilon"))
    for attack, epsilon in dict.fromkeys(zip(names, epsilons, strict=True)):
        mask = _resisted(_rows(ours, attack=attack, epsilon=epsilon), count, files["battery"])
        if attack == "smaller":
            smaller[epsilon] = mask
        else:
            resisted[f"{AUDIT}{attack}"] = mask
    for source, file in files["transfer"].items():
        measured, _ = read_measurement(Path(file))
        rows = _rows(measured, target=cell["model"], target_seed=seed, norm=ball[0], epsilon=ball[1])
        resisted[f"transfer from {source}"] = _resisted(rows, count, file)
    clean = ours.column("clean_prediction").to_numpy()
    place = balls.index(ball)
    declared = origin["spec"]["balls"][place]
    return WorstCase(
        resisted,
        smaller,
        cell["measure"],
        bool((clean == clean[0]).all()),
        origin["alarms"][place],
        {
            **{name: attack_in_words(one["spec"]["attack"], with_epsilon=False) for name, (_, one) in read.items()},
            **{name: _of_the_audit(name, declared) for name in resisted if name.startswith(AUDIT)},
        },
    )


def _of_the_audit(name: str, ball: Mapping[str, Any]) -> str:
    """Return an attack of the audit in words, also where it is on a copy: ``audit: pgd-10, rescaled copy``."""
    key, _, copied = name.removeprefix(AUDIT).partition(", ")
    attack = {**ball["attacks"], **ball["escalation"]["attacks"]}[key]
    return attack_in_words(attack, with_epsilon=False) + (f", on a {copied}" if copied else "")


def _rows(table: pa.Table, **values: object) -> pa.Table:
    """Return the rows that have these values."""
    keep = np.ones(len(table), dtype=bool)
    for name, value in values.items():
        keep &= table.column(name).to_numpy() == value
    return table.filter(pa.array(keep))


def _resisted(rows: pa.Table, count: int, file: str) -> Mask:
    """Return which of the first ``count`` images are right both as they are and under attack."""
    index = rows.column("index").to_numpy()[:count]
    if not np.array_equal(index, np.arange(count)):
        raise UserError(f"{file}: expected the images 0 to {count - 1} in order; delete it and run again")
    label, clean, found = (rows.column(name).to_numpy()[:count] for name in ("label", "clean_prediction", "prediction"))
    resisted: Mask = (clean == label) & (found == label)
    return resisted

"""The per-image worst case over every attack on a model in one ball, read from the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from robustrepro.audits.added import UNIFORM_NOISE
from robustrepro.errors import UserError
from robustrepro.layout import Layout
from robustrepro.measures.frames import read_frame
from robustrepro.words import attack_in_words

BATTERY = "audit: "
"""What the names of the battery's attacks begin with, to tell them from the tables'."""
TRANSFER = "transfer from "
"""What the names of attacks that were made for another model begin with."""
VERDICT = ("index", "label", "clean_prediction", "prediction")
LAST = frozenset({"autoattack", "rays", "hop_skip_jump"})
"""The attacks that are run on the images alone that the others have left."""
NEARLY_ALL = 0.98
"""A model that gives so large a share of the images one class, and more than have it, is as good as a constant."""
SMALLER = "smaller"
"""The battery's attack at smaller ε, which is no part of the worst case."""
VOWELS = "aeiou"


@dataclass(frozen=True)
class WorstCase:
    """One model with one seed in one ball.

    Attributes
    ----------
    resisted
        Which of the audit's images resist which attack: bool, one row per image and one column per attack. A
        misclassified image resists nothing.
    smaller
        Which of them resist one attack at smaller ε, one column per ε.
    own
        The claim's own measure, a column of ``resisted``.
    one_class
        The share of the images that the model gives its most frequent class, where that is a constant or nearly one and
        the images are not of one class themselves (`NEARLY_ALL`); else None.
    alarms
        What the alarms said.
    words
        The tables' and the battery's attacks among ``resisted`` as a sentence would name them.
    ran_last
        Those of the battery that were not run on the images that the others had broken already.
    """

    resisted: pd.DataFrame
    smaller: pd.DataFrame
    own: str
    one_class: float | None
    alarms: Sequence[Mapping[str, Any]]
    words: Mapping[str, str] = field(default_factory=dict)
    ran_last: frozenset[str] = frozenset()

    def accuracy(self, *attacks: str) -> float:
        """Return the share of images, in percent, that resist each of these attacks; all attacks when none is named."""
        return 100 * float(self.resisted[list(attacks or self.resisted)].all(axis="columns").mean())

    def accuracy_within(self, epsilon: float) -> float:
        """Return the share of images, in percent, that resist at a smaller ε."""
        return 100 * float(self.smaller[epsilon].mean())

    @property
    def smaller_epsilons(self) -> list[float]:
        """The smaller ε, the largest first."""
        return sorted(self.smaller.columns, reverse=True)

    @property
    def rings(self) -> bool:
        """Whether an alarm still goes off after everything that the alarms have added."""
        return any(alarm.get("still_goes_off", False) for alarm in self.alarms)

    @property
    def images(self) -> int:
        """How many images every attack was tried on."""
        return len(self.resisted)


@dataclass(frozen=True)
class AttackFiles:
    """The measurements that the worst case of a model with one seed in one ball is read from.

    Attributes
    ----------
    tables
        By measure, that of the tables.
    battery
        The audit's own attacks.
    transfer
        By source and its seed, examples that were made for it and tried on the model.
    """

    tables: Mapping[str, Path]
    battery: Path
    transfer: Mapping[str, Path]

    @classmethod
    def of(cls, layout: Layout, cell: Mapping[str, Any], sources: Mapping[str, int], seed: int) -> AttackFiles:
        """Return where the measurements lie.

        Parameters
        ----------
        layout
            The scale's.
        cell
            ``model``, and the measures in its ball: ``measures``, those of the tables, ``battery``, and ``transfer``,
            under which models are tried on one another, if they are.
        sources
            The models whose examples were tried on this one, each with its number of seeds.
        seed
            The model's.
        """

        def measurement(measure: str, subject: str, subject_seed: int) -> Path:
            return Path(layout.measurement(measure, subject, subject_seed))

        model = cell["model"]
        tried = sources if cell["transfer"] else {}
        others = [(source, other) for source, seeds in tried.items() for other in range(seeds)]
        return cls(
            {measure: measurement(measure, model, seed) for measure in cell["measures"]},
            measurement(cell["battery"], model, seed),
            {
                f"{source}, seed {other}": measurement(cell["transfer"], source, other)
                for source, other in others
                if (source, other) != (model, seed)
            },
        )


class Transfers:
    """Measurements of transfer, each read once: a source's file has every model that its examples were tried on."""

    def __init__(self) -> None:
        self._targets: dict[Path, dict[tuple[str, int, str, float], pd.DataFrame]] = {}

    def on(self, path: Path, cell: Mapping[str, Any], seed: int) -> pd.DataFrame:
        """Return the rows of a measurement that are about a cell's model with one seed, in the cell's ball."""
        if path not in self._targets:
            groups = read_frame(path)[0].groupby(["target", "target_seed", "norm", "epsilon"], sort=False)
            self._targets[path] = dict(iter(groups))
        none: pd.DataFrame = next(iter(self._targets[path].values())).head(0)
        return self._targets[path].get((cell["model"], seed, cell["norm"], cell["epsilon"]), none)


def read_worst_case(
    cell: Mapping[str, Any], seed: int, files: AttackFiles, transfers: Transfers | None = None
) -> WorstCase:
    """Read all that attacked a model in one ball.

    Parameters
    ----------
    cell
        ``model``, ``norm``, ``epsilon`` and ``measure`` (the claim's own).
    seed
        The model's.
    files
        The measurements.
    transfers
        What was read of transfer before, by whoever reads several worst cases.

    Raises
    ------
    UserError
        If a measurement is missing or unreadable, or is of other images.
    """
    battery, battery_origin = read_frame(files.battery)
    tables = {measure: _in_ball(*read_frame(path), cell["epsilon"]) for measure, path in files.tables.items()}
    # A measure may be of fewer images than the audit; the worst case is over those that every attack was tried on.
    count = min([int(battery["index"].max()) + 1, *(len(rows) for rows, _ in tables.values())])
    resisted = {measure: _resisted(rows, count, files.tables[measure]) for measure, (rows, _) in tables.items()}
    smaller = {}
    for (attack, epsilon), rows in battery.groupby(["attack", "epsilon"], sort=False):
        mask = _resisted(rows, count, files.battery)
        if attack == SMALLER:
            smaller[epsilon] = mask
        else:
            resisted[f"{BATTERY}{attack}"] = mask
    transfers = transfers or Transfers()
    for source, path in files.transfer.items():
        resisted[f"{TRANSFER}{source}"] = _resisted(transfers.on(path, cell, seed), count, path)
    notes = battery_origin["notes"]
    of_battery = [name.removeprefix(BATTERY) for name in resisted if name.startswith(BATTERY)]
    battery_attacks = list(attacks_of_ball(of_battery, notes["ball"]))
    found = one_class(battery)
    share_of_one = None if found is None else found[1]
    of_tables = {measure: attack for measure, (_, attack) in tables.items()}
    return WorstCase(
        pd.DataFrame(resisted),
        pd.DataFrame(smaller),
        cell["measure"],
        share_of_one,
        notes["alarms"],
        {
            **{measure: attack_in_words(attack, with_epsilon=False) for measure, attack in of_tables.items()},
            **{f"{BATTERY}{name}": words for name, words in words_of_ball(of_battery, notes["ball"]).items()},
        },
        frozenset(f"{BATTERY}{name}" for name, attack, _ in battery_attacks if attack["name"] in LAST),
    )


def one_class(rows: pd.DataFrame) -> tuple[int, float] | None:
    """Return the class that all images get, or nearly all, with their share; None for any other model.

    Parameters
    ----------
    rows
        One or more per image: ``index``, ``label`` and ``clean_prediction``.
    """
    first = rows.drop_duplicates("index")
    shares = first["clean_prediction"].value_counts(normalize=True)
    predicted, share = int(shares.index[0]), float(shares.iloc[0])
    labelled = float(first["label"].value_counts(normalize=True).iloc[0])
    return (predicted, share) if share >= NEARLY_ALL and (share == 1.0 or share > labelled) else None


def _in_ball(rows: pd.DataFrame, origin: Mapping[str, Any], epsilon: float) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """Return the rows of a measurement, of a curve those at one ε, and the attack as declared."""
    measure = origin["spec"]["measure"]
    if "curve" in measure:
        return rows[rows["epsilon"] == epsilon], measure["curve"]["attack"]
    return rows, measure["attack"]


def attacks_of_ball(names: Iterable[str], ball: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Yield the name of each of the battery's attacks, what it was declared as, and the copy that it was made for.

    On a copy it is called ``pgd-10, rescaled copy``.
    """
    attacks = {**ball["attacks"], **ball["escalation"], **ball["without_gradients"], UNIFORM_NOISE: ball["noise"]}
    for name in names:
        key, _, copied = name.partition(", ")
        yield name, attacks[key], copied


def words_of_ball(names: Iterable[str], ball: Mapping[str, Any]) -> dict[str, str]:
    """Return what the battery's attacks are called in a sentence, by name."""
    return {name: _in_words(attack, copied) for name, attack, copied in attacks_of_ball(names, ball)}


def _in_words(attack: Mapping[str, Any], copied: str) -> str:
    if not copied:
        return attack_in_words(attack, with_epsilon=False)
    once = {key: value for key, value in attack.items() if key != "restarts"}  # as copies are attacked
    return f"{attack_in_words(once, with_epsilon=False)}, on {'an' if copied[0] in VOWELS else 'a'} {copied}"


def _resisted(rows: pd.DataFrame, count: int, path: Path) -> npt.NDArray[np.bool_]:
    """Return which of the first ``count`` images are right both as they are and under attack."""
    index, label, clean, predicted = (rows[name].to_numpy()[:count] for name in VERDICT)
    if not np.array_equal(index, np.arange(count)):
        raise UserError(f"{path}: expected the images 0 to {count - 1} in order; delete it and run again")
    mask: npt.NDArray[np.bool_] = (clean == label) & (predicted == label)
    return mask

"""What a scale's tables and scorecards say: the number in every cell, the verdict on every claim."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from robustrepro.comparison.settings import PROVENANCE
from robustrepro.errors import UserError
from robustrepro.grammar import Cell
from robustrepro.scorecard.judged import Judged

JUDGED = TypeAdapter(tuple[Judged, ...])
Interval = tuple[float, float]


@dataclass(frozen=True)
class Number:
    """A measured cell.

    Attributes
    ----------
    mean, std
        Over the seeds; ``std`` is None for one seed.
    interval
        The table's own 95% interval; None where neither seeds nor rows give one.
    seeds
        How many.
    decimals, unit
        As the table prints it.
    """

    mean: float
    std: float | None
    interval: Interval | None
    seeds: int
    decimals: int
    unit: str

    @property
    def text(self) -> str:
        """The mean as the table prints it, with its standard deviation where there are several seeds."""
        spread = "" if self.std is None else f" ± {self.std:.{self.decimals}f}"
        return f"{self.mean:.{self.decimals}f}{spread}"


@dataclass(frozen=True)
class Claim:
    """What is said of a claim under its headline reading.

    Attributes
    ----------
    verdict, audit
        In the words of the scorecard.
    reading
        Which reading; empty where there is one.
    comparisons
        What was measured, in words, by condition; or why nothing was.
    """

    verdict: str
    audit: str
    reading: str
    comparisons: Mapping[str, str]


@dataclass(frozen=True)
class Results:
    """What a scale came to.

    Attributes
    ----------
    cells
        By paper and cell; None where a cell was not measured.
    claims
        By paper and claim.
    """

    cells: Mapping[tuple[str, Cell], Number | None]
    claims: Mapping[tuple[str, str], Claim]

    @property
    def papers(self) -> frozenset[str]:
        """The papers that it has something of."""
        return frozenset(paper for paper, _ in (*self.cells, *self.claims))


def read_results(files: Mapping[str, str], name: str) -> Results:
    """Return what a scale's tables and scorecards say.

    Parameters
    ----------
    files
        Their text, by path below the scale's folder.
    name
        What they are of, for messages.

    Raises
    ------
    UserError
        If a file is not what this version writes.
    """
    cells: dict[tuple[str, Cell], Number | None] = {}
    claims: dict[tuple[str, str], Claim] = {}
    for path, text in files.items():
        if not path.startswith("papers/") or path.endswith(PROVENANCE):
            continue
        _, paper, *_, file = path.split("/")
        try:
            content = json.loads(text)
            if file == "scorecard.json":
                claims |= {(paper, entry["claim"]): _claim(entry) for entry in content}
            else:
                cells |= {(paper, cell): number for cell, number in _cells(file.removesuffix(".json"), content).items()}
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise UserError(f"{name}: {path} is not what this version writes ({error!r})") from None
    return Results(cells, claims)


def _cells(name: str, table: Mapping[str, Any]) -> dict[Cell, Number | None]:
    columns = {column["key"]: column for column in table["columns"]}
    return {
        Cell(name, cell["row"], cell["column"]): _number(cell, columns[cell["column"]])
        for cell in table["cells"]
        if cell["status"] != "published only"
    }


def _number(cell: Mapping[str, Any], column: Mapping[str, Any]) -> Number | None:
    if cell["mean"] is None:
        return None
    interval = cell["interval"] and (cell["interval"][0], cell["interval"][1])
    return Number(cell["mean"], cell["std"], interval, cell["seeds"], column["decimals"], column["unit"])


def _claim(entry: Mapping[str, Any]) -> Claim:
    said = next(reading for reading in entry["readings"] if reading["reading"] == entry["reading"])
    conditions = JUDGED.validate_python(said["conditions"])
    comparisons = {
        condition.condition: condition.text.removeprefix(f"{condition.condition}: ") for condition in conditions
    }
    return Claim(said["verdict"], said["audit"], entry["reading"], comparisons or {"": said["why"]})

"""The cells of a paper's tables as data frames, which the verdicts are taken from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.grammar import Cell, Expression, Place
from robustrepro.layout import Layout

KEYS = ["table", "row", "column"]
OF_CELL = ("status", "why", "printed", "given")
OF_COLUMN = ("unit", "decimals", "accuracy")
OF_SAMPLE = ("value", "low", "high")


@dataclass(frozen=True)
class TableCells:
    """The cells of some tables of one paper.

    Attributes
    ----------
    cells
        One row per cell, with the index ``KEYS``: ``status`` and ``why``; ``printed``, empty where the paper prints
        nothing; ``given``, whether all models behind it have given weights; and the column's ``unit``, ``decimals`` and
        ``accuracy`` (whether it is one, in percent).
    samples
        Every measured cell with every seed, with the index ``KEYS`` and ``seed``: its ``value``, and the ends ``low``
        and ``high`` of the 95% interval that this seed's rows alone give, NaN where they give none.
    """

    cells: pd.DataFrame
    samples: pd.DataFrame

    @classmethod
    def of_tables(cls, tables: Mapping[str, Mapping[str, Any]]) -> TableCells:
        """Return the cells of tables by id, each as its JSON has it."""
        cells, samples = [], []
        for name, table in tables.items():
            columns = {column["key"]: column for column in table["columns"]}
            for cell in table["cells"]:
                place = {"table": name, "row": cell["row"], "column": cell["column"]}
                column = columns[cell["column"]]
                said = {key: cell.get(key) or "" for key in OF_CELL}
                cells.append({**place, **said, **{key: column[key] for key in OF_COLUMN}})
                samples += [{**place, **_sample(value)} for value in cell.get("values", ())]
        return cls(
            pd.DataFrame(cells, columns=[*KEYS, *OF_CELL, *OF_COLUMN]).set_index(KEYS).sort_index(),
            pd.DataFrame(samples, columns=[*KEYS, "seed", *OF_SAMPLE]).set_index([*KEYS, "seed"]).sort_index(),
        )

    def of(self, cell: Cell, field: str) -> Any:
        """Return one field of a cell, a column of ``cells``."""
        return self.cells.at[astuple(cell), field]

    def samples_of(self, cell: Cell) -> pd.DataFrame:
        """Return a cell's samples, indexed by seed."""
        return self.samples.loc[astuple(cell)]

    def why_not_measured(self, cells: Iterable[Cell]) -> list[str]:
        """Return a sentence for each of the tables that was not made and each cell that was not measured."""
        wanted = list(cells)
        made = set(self.cells.index.unique("table"))
        missing = sorted({cell.table for cell in wanted if cell.table not in made})
        reasons = [f"{', '.join(missing)} was not made at this scale"] if missing else []
        for cell in wanted:
            if cell.table in made and (status := self.of(cell, "status")) != "measured":
                why = self.of(cell, "why")
                reasons.append(f"{cell} is {status}" + (f": {why}" if why else ""))
        return reasons

    def with_samples(self, samples: Mapping[Cell, pd.DataFrame]) -> TableCells:
        """Return the same with other samples in some cells, of which the paper prints nothing.

        Parameters
        ----------
        samples
            By cell, its samples, indexed by seed.
        """
        cells = self.cells.copy()
        for cell in samples:
            cells.at[astuple(cell), "printed"] = ""
        kept = self.samples[~self.samples.index.droplevel("seed").isin([astuple(cell) for cell in samples])]
        others = pd.concat({astuple(cell): of_cell for cell, of_cell in samples.items()}, names=[*KEYS, "seed"])
        return replace(self, cells=cells, samples=pd.concat([kept, others]).sort_index())

    def recomputed(self, values: Mapping[Cell, Expression]) -> TableCells:
        """Return the same with some cells computed anew, seed by seed, over the seeds that all of their cells have.

        Parameters
        ----------
        values
            What is computed in which cell, each behind those that it is computed from.
        """
        tables = self
        for cell, expression in values.items():
            parts = {place: tables.samples_of(Cell(cell.table, *place))["value"] for place in expression.cells}
            numbers = pd.DataFrame(parts).dropna()
            computed = [_evaluated(expression, dict(row)) for _, row in numbers.iterrows()]
            none = [math.nan] * len(computed)
            samples = pd.DataFrame({"value": computed, "low": none, "high": none}, index=numbers.index)
            tables = tables.with_samples({cell: samples})
        return tables


def _evaluated(expression: Expression, numbers: Mapping[Place, float]) -> float:
    """Return what an expression comes to; no number where it divides by 0."""
    try:
        return expression.evaluated(numbers)
    except ZeroDivisionError:
        return math.nan


def _sample(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return one seed's value as its table's JSON has it, with the ends of its interval."""
    low, high = value.get("interval") or (math.nan, math.nan)
    return {"seed": value["seed"], "value": float(value["value"]), "low": float(low), "high": float(high)}


def read_tables(layout: Layout, paper: str, tables: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return tables of a paper by id, each as its JSON has it."""
    return {name: json.loads(Path(layout.table(paper, name)).read_text(encoding="utf-8")) for name in tables}

"""The cells of a paper's tables as data frames, which the verdicts are taken from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.grammar import Cell
from robustrepro.layout import Layout
from robustrepro.tables.statistics import Estimate

KEYS = ["table", "row", "column"]
OF_COLUMN = ("unit", "decimals", "accuracy")


@dataclass(frozen=True)
class TableCells:
    """The cells of some tables of one paper.

    Attributes
    ----------
    cells
        One row per cell, with the index ``KEYS``: ``status`` and ``why``; ``mean``, ``low`` and ``high`` (the ends of
        the 95% interval), NaN where there is none; ``printed``, empty where the paper prints nothing; and the column's
        ``unit``, ``decimals`` and ``accuracy`` (whether it is one, in percent).
    samples
        The value of every measured cell with every seed: a series with the index ``KEYS`` and ``seed``.
    stand_ins
        By table, where other data stand in for the paper's: which for which, in words.
    """

    cells: pd.DataFrame
    samples: pd.Series
    stand_ins: Mapping[str, str]

    @classmethod
    def of_tables(cls, tables: Mapping[str, Mapping[str, Any]]) -> TableCells:
        """Return the cells of tables by id, each as its JSON has it."""
        cells, samples = [], []
        for name, table in tables.items():
            columns = {column["key"]: column for column in table["columns"]}
            for cell in table["cells"]:
                place = {"table": name, "row": cell["row"], "column": cell["column"]}
                column = columns[cell["column"]]
                cells.append({**place, **_summary(cell), **{key: column[key] for key in OF_COLUMN}})
                samples += [
                    {**place, "seed": sample["seed"], "value": float(sample["value"])}
                    for sample in cell.get("values", ())
                ]
        summary = ["status", "why", "mean", "low", "high", "printed"]
        return cls(
            pd.DataFrame(cells, columns=[*KEYS, *summary, *OF_COLUMN]).set_index(KEYS).sort_index(),
            pd.DataFrame(samples, columns=[*KEYS, "seed", "value"]).set_index([*KEYS, "seed"])["value"].sort_index(),
            {name: table["stand_in_note"] for name, table in tables.items() if table["stand_in"]},
        )

    def of(self, cell: Cell, field: str) -> Any:
        """Return one field of a cell, a column of ``cells``."""
        return self.cells.at[astuple(cell), field]

    def interval(self, cell: Cell) -> tuple[float, float] | None:
        """Return a cell's own 95% interval, where it has one."""
        low, high = float(self.of(cell, "low")), float(self.of(cell, "high"))
        return None if math.isnan(low) else (low, high)

    def samples_of(self, cell: Cell) -> pd.Series:
        """Return a cell's values, indexed by seed."""
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

    def with_samples(self, samples: Mapping[Cell, pd.Series], estimates: Mapping[Cell, Estimate]) -> TableCells:
        """Return the same with other values in some cells, of which the paper prints nothing.

        Parameters
        ----------
        samples
            By cell, its values, indexed by seed.
        estimates
            By cell, the estimate from its values.
        """
        cells = self.cells.copy()
        for cell, estimate in estimates.items():
            low, high = estimate.interval or (math.nan, math.nan)
            for field, value in {"mean": estimate.mean, "low": low, "high": high, "printed": ""}.items():
                cells.at[astuple(cell), field] = value
        kept = self.samples[~self.samples.index.droplevel("seed").isin([astuple(cell) for cell in samples])]
        others = pd.concat({astuple(cell): values for cell, values in samples.items()}, names=[*KEYS, "seed"])
        return replace(self, cells=cells, samples=pd.concat([kept, others]).sort_index())


def _summary(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a cell's JSON says of all its values together."""
    mean, interval = cell.get("mean"), cell.get("interval")
    low, high = interval or (math.nan, math.nan)
    return {
        "status": cell["status"],
        "why": cell.get("why") or "",
        "mean": math.nan if mean is None else float(mean),
        "low": float(low),
        "high": float(high),
        "printed": cell.get("printed") or "",
    }


def read_tables(layout: Layout, paper: str, tables: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return tables of a paper by id, each as its JSON has it."""
    return {name: json.loads(Path(layout.table(paper, name)).read_text(encoding="utf-8")) for name in tables}

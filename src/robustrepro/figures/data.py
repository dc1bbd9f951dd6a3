"""What a figure is drawn from: measurements and tables as data frames, found by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.errors import UserError
from robustrepro.layout import Layout
from robustrepro.measures.frames import read_frame

CELL = ("row", "column", "status", "mean", "interval", "seeds", "printed_value")
"""What figures read of a table's cell."""


class FigureData:
    """The measurements and tables behind one figure.

    Parameters
    ----------
    spec
        The figure's spec: its ``id``, ``paper``, ``folder`` and ``scale``; where it is drawn from measurements, the
        number of seeds of each model under ``seeds``, and the words for each measure under ``measures``.

    Attributes
    ----------
    figure, scale
        The figure's key, and the scale of its measurements.
    """

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.figure: str = spec["id"]
        self.scale: str = spec["scale"]
        self._paper: str = spec["paper"]
        self._seeds: Mapping[str, int] = spec.get("seeds", {})
        self._words: Mapping[str, str] = spec.get("measures", {})
        self._layout = Layout(spec["folder"])

    def seeds(self, model: str) -> range:
        """Return the seeds that a model was trained with."""
        return range(self._seeds[model])

    def words(self, measure: str) -> str:
        """Return a measure as a sentence would name it."""
        return self._words[measure]

    def file(self, model: str, measure: str, seed: int) -> str:
        """Return the path of a measurement."""
        return self._layout.measurement(measure, model, seed)

    def frame(self, model: str, measure: str, seed: int) -> pd.DataFrame:
        """Return a measurement's rows.

        Raises
        ------
        UserError
            If the file is missing or unreadable.
        """
        rows, _ = read_frame(Path(self.file(model, measure, seed)))
        return rows

    def frames(self, model: str, measure: str) -> pd.DataFrame:
        """Return the rows of all seeds of a model, told apart by a column ``seed``."""
        return pd.concat(
            [self.frame(model, measure, seed).assign(seed=seed) for seed in self.seeds(model)], ignore_index=True
        )

    def table_file(self, name: str) -> str:
        """Return the path of one of the paper's tables."""
        return self._layout.table(self._paper, name)

    def table(self, name: str) -> dict[str, Any]:
        """Return one of the paper's tables.

        Raises
        ------
        UserError
            If the file is missing or unreadable.
        """
        table: dict[str, Any] = self._read("table", self.table_file(name))
        return table

    def verdicts_file(self) -> str:
        """Return the path of the verdicts on the paper's claims."""
        return self._layout.scorecard(self._paper)

    def verdicts(self) -> list[dict[str, Any]]:
        """Return the paper's claims as judged under each reading, one mapping per claim.

        Raises
        ------
        UserError
            If the file is missing or unreadable.
        """
        verdicts: list[dict[str, Any]] = self._read("scorecard", self.verdicts_file())
        return verdicts

    def audit(self) -> list[dict[str, Any]]:
        """Return how the paper's claims fared in the audit, one mapping per claim and reading.

        Raises
        ------
        UserError
            If the file is missing or unreadable.
        """
        audit: list[dict[str, Any]] = self._read("audit", self._layout.audit(self._paper))
        return audit

    def cells(self, name: str) -> pd.DataFrame:
        """Return the cells of a table, one per row of the frame; what a cell does not have is missing."""
        return pd.DataFrame(self.table(name)["cells"]).reindex(columns=list(CELL))

    def unusable(self, panel: str, file: str, why: str) -> UserError:
        """Return the error of a panel that would be empty or constant."""
        return UserError(f"{self.figure}, panel {panel}: {file}: {why}")

    def _read(self, what: str, file: str) -> Any:
        try:
            return json.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{self.figure}: {file}: unreadable {what} ({error}); run snakemake {file}") from error

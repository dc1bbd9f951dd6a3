"""Where everything that one scale makes lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUDIT = "audit"
"""The measure under which every other model attacks an audited one, and the name of the audit's own measurement."""


@dataclass(frozen=True)
class Layout:
    """The files of one scale, under ``folder``."""

    folder: str

    def weights(self, model: str, seed: int | str) -> str:
        """Return a model's checkpoint."""
        return f"{self.folder}/models/{model}/seed{seed}/weights.safetensors"

    def measurement(self, kind: str, model: str, seed: int | str, what: str) -> str:
        """Return a measurement of a model."""
        return f"{self.folder}/measurements/{kind}/{model}/seed{seed}/{what}.parquet"

    def worst_case(self, cell: Mapping[str, Any], sources: Mapping[str, int], seed: int) -> dict[str, Any]:
        """Return where the worst case of a model with one seed is read from, over all attacks in one ball.

        Parameters
        ----------
        cell
            ``model``, and ``measures``: all of the tables' that are in this ball.
        sources
            The models whose adversarial examples were tried on it, each with its number of seeds.
        seed
            The model's.

        Returns
        -------
        ``attacks`` (by measure), ``battery`` and ``transfer`` (by source).
        """
        model = cell["model"]
        others = [(source, other) for source, seeds in sources.items() for other in range(seeds)]
        return {
            "attacks": {name: self.measurement("attack", model, seed, name) for name in cell["measures"]},
            "battery": self.measurement("audit", model, seed, AUDIT),
            "transfer": {
                f"{source}, seed {other}": self.measurement("transfer", source, other, AUDIT)
                for source, other in others
                if (source, other) != (model, seed)
            },
        }

    def table(self, paper: str, table: str) -> str:
        """Return a table, as the report and the scorecard read it."""
        return f"{self.folder}/papers/{paper}/tables/{table}.json"

    def figure(self, paper: str, figure: str) -> str:
        """Return a figure, as the report shows it."""
        return f"{self.folder}/papers/{paper}/figures/{figure}.png"

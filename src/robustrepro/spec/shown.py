"""What tables and figures are made from: the measurements behind each cell, panel and curve."""

from __future__ import annotations

from robustrepro.spec.attacks import TransferAttack
from robustrepro.spec.config import Tree
from robustrepro.spec.declarations import Declared
from robustrepro.spec.figures import (
    BatchSize,
    DecisionBoundaries,
    DiagonalDominance,
    HeatMap,
    Panel,
    TrainingGradients,
    TrainingPaths,
)
from robustrepro.spec.layout import Layout
from robustrepro.spec.paper import Column, Row
from robustrepro.spec.robustness import Robustness


class Shown:
    """The files behind what a plan shows.

    Parameters
    ----------
    declared
        Everything that is declared.
    layout
        Where the measurements lie.
    robustness
        Which seed of a target each source attacks.
    """

    def __init__(self, declared: Declared, layout: Layout, robustness: Robustness) -> None:
        self._declared, self._layout, self._robustness = declared, layout, robustness

    def cell(self, row: Row, column: Column) -> Tree:
        """Return what a cell is computed from: its kind, models, and one measurement a seed."""
        if column.distance is not None:
            models = row.models or {}
            first, second = (models[key] for key in column.distance)
            seeds = range(min(len(self._declared.seeds(first)), len(self._declared.seeds(second))))
            files = {str(seed): self._layout.measurement("parameter_distance", first, seed, second) for seed in seeds}
            return {"kind": "parameter_distance", "models": [first, second], "measurements": files}
        model = str(row.model)
        if column.transfer is None:
            return self._measured(model, str(column.measure))
        target = column.transfer.target
        return {
            "kind": "transfer",
            "models": list(dict.fromkeys([model, target])),
            "measurements": self._files("transfer", model, column.transfer.measure),
            "target": target,
            "target_seeds": {
                str(seed): self._robustness.target_seed(model, seed, column.transfer)
                for seed in self._declared.seeds(model)
            },
        }

    def _measured(self, model: str, measure: str) -> Tree:
        """Return what a model's accuracy under a measure is computed from."""
        attack = self._declared.measure(measure).attack
        if not isinstance(attack, TransferAttack):
            return {"kind": "attack", "models": [model], "measurements": self._files("attack", model, measure)}
        seeds = self._declared.seeds(model)
        sources = {seed: self._robustness.source_seed(attack.source, seed) for seed in seeds}
        return {
            "kind": "transfer",
            "models": list(dict.fromkeys([attack.source, model])),
            "measurements": {
                str(seed): self._layout.measurement("transfer", attack.source, source, measure)
                for seed, source in sources.items()
            },
            "target": model,
            "target_seeds": {str(seed): seed for seed in seeds},
        }

    def drawing(self, paper: str, figure: str) -> Tree:
        """Return what a figure's declaration becomes with the files that each of its parts is drawn from."""
        drawn = self._declared.figure(paper, figure).figure
        match drawn:
            case DecisionBoundaries():
                return {
                    "panels": [
                        self._panel(panel, "decision_boundary", f"grid{drawn.resolution}") for panel in drawn.panels
                    ]
                }
            case TrainingGradients() | TrainingPaths():
                return {
                    "panels": [self._panel(panel, "training_path", f"every{drawn.every}") for panel in drawn.panels]
                }
            case DiagonalDominance():
                attack = self._declared.measure(drawn.measure).attack.model_dump(mode="json", exclude_none=True)
                return {"attack": attack, "batches": [self._batch(batch, drawn.measure) for batch in drawn.batches]}
            case HeatMap():
                return {"measurement": self._layout.table(paper, drawn.table)}
        return {}

    def _panel(self, panel: Panel, kind: str, what: str) -> Tree:
        return {
            **panel.model_dump(mode="json"),
            "measurement": self._layout.measurement(kind, panel.model, panel.seed, what),
        }

    def _batch(self, batch: BatchSize, measure: str) -> Tree:
        """Return the training losses behind a diagonal's share, and the accuracies beside it, one file a seed."""
        accuracies = {
            label: list(self._files("attack", model, measure).values()) for label, model in batch.accuracy.items()
        }
        losses = list(self._files("losses", batch.losses, "train").values())
        added = {"losses_measurements": losses, "accuracy_measurements": accuracies}
        return {**batch.model_dump(mode="json"), **added}

    def _files(self, kind: str, model: str, what: str) -> dict[str, str]:
        """Return a measurement of each seed of a model."""
        return {str(seed): self._layout.measurement(kind, model, seed, what) for seed in self._declared.seeds(model)}

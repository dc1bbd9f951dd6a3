"""Figures as declared in ``paper.yaml``: what each kind shows, and of which models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from robustrepro.spec.base import Declaration, Key

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]


class Panel(Declaration):
    """One panel of a figure: a model with one seed."""

    label: str
    model: Key
    seed: int = Field(default=0, ge=0)


class DecisionBoundaries(Declaration):
    """Decision regions of models on points of the plane.

    ``resolution`` is the grid's points a side; ``columns`` the panels a row, all in one row when not said.
    """

    name: Literal["decision_boundaries"]
    resolution: int = Field(default=200, ge=20)
    columns: int | None = Field(default=None, ge=1)
    panels: list[Panel] = Field(min_length=1)


class GradientPair(Declaration):
    """The gradients of ERM, HRM and CEM of two examples, in the plane of the two examples' own gradients.

    ``losses`` are L₁ < L₂ in nats, ``lengths`` those of the two gradients, ``angle`` the one between them in degrees.
    """

    name: Literal["gradient_pair"]
    losses: list[Positive] = Field(min_length=2, max_length=2)
    lengths: list[Positive] = Field(min_length=2, max_length=2)
    angle: float = Field(gt=0, lt=180)

    @model_validator(mode="after")
    def _second_loss_is_larger(self) -> GradientPair:
        if self.losses[1] <= self.losses[0]:
            raise ValueError(f"losses: expected the second one to be the larger, found {self.losses}")
        return self


class TrainingGradients(Declaration):
    """Directions of the gradients of every n-th update of each model's training; n is ``every``."""

    name: Literal["training_gradients"]
    every: int = Field(default=1, ge=1)
    panels: list[Panel] = Field(min_length=1)


class TrainingPaths(Declaration):
    """The parameters, and where the gradient would move them, at every n-th update of each model; n is ``every``."""

    name: Literal["training_paths"]
    every: int = Field(default=1, ge=1)
    panels: list[Panel] = Field(min_length=1)


class KernelSketch(Declaration):
    """The kernel G(x, x') = exp(−γ‖x − x'‖²) from the first two of five points of the plane to all; γ is ``gamma``."""

    name: Literal["kernel_sketch"]
    points: list[Annotated[list[Coordinate], Field(min_length=2, max_length=2)]] = Field(min_length=5, max_length=5)
    gamma: Positive


class BatchSize(Declaration):
    """The models that were trained with one batch size.

    ``losses`` is the one whose training losses are shown; ``accuracy`` maps each label, one a colour, to the one whose
    accuracy is.
    """

    batch_size: int = Field(ge=2)
    losses: Key
    accuracy: dict[str, Key] = Field(min_length=1, max_length=5)


class DiagonalDominance(Declaration):
    """The diagonal's share in CEM, and accuracy under ``measure``, both against the batch size."""

    name: Literal["diagonal_dominance"]
    measure: Key
    batches: list[BatchSize] = Field(min_length=2)

    @model_validator(mode="after")
    def _batches_are_comparable(self) -> DiagonalDominance:
        sizes = [batch.batch_size for batch in self.batches]
        if len(set(sizes)) < len(sizes):
            raise ValueError(f"batches: expected different batch sizes, found {sizes}")
        if any(set(batch.accuracy) != set(self.batches[0].accuracy) for batch in self.batches):
            raise ValueError("batches: expected the same labels under 'accuracy' for every batch size")
        return self


class HeatMap(Declaration):
    """A table of percentages as colours; its rows are sources and its columns targets."""

    name: Literal["heat_map"]
    table: Key


Drawing = Annotated[
    DecisionBoundaries | GradientPair | TrainingGradients | TrainingPaths | KernelSketch | DiagonalDominance | HeatMap,
    Field(discriminator="name"),
]


class Figure(Declaration):
    """A figure: what it shows, and how it is drawn."""

    where: str
    caption: str
    figure: Drawing


def models_of(drawing: Drawing) -> list[str]:
    """Return the models that a figure is drawn from, but for those of a table that it shows."""
    match drawing:
        case DecisionBoundaries() | TrainingGradients() | TrainingPaths():
            return [panel.model for panel in drawing.panels]
        case DiagonalDominance():
            return [model for batch in drawing.batches for model in (batch.losses, *batch.accuracy.values())]
    return []

"""A paper as declared in ``papers/<paper>/paper.yaml``: models, measures, tables, figures, claims."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from robustrepro.spec.attacks import AttackSpec
from robustrepro.spec.base import Declaration
from robustrepro.spec.training import ModelDeclaration

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""A name that becomes part of a path, a target, or a claim's condition."""


class Measure(Declaration):
    """What is measured on a model, example by example: an attack on a split.

    ``examples`` limits it to the first so many examples of the split; all of them when not said.
    """

    attack: AttackSpec
    split: Literal["train", "test"] = "test"
    examples: int | None = Field(default=None, ge=1)


class Row(Declaration):
    """A row of a table: one model, or several that the columns compare."""

    label: str
    model: Key | None = None
    models: dict[Key, Key] | None = None

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Row:
        if (self.model is None) == (self.models is None):
            raise ValueError("expected either 'model' or 'models'")
        return self


class Column(Declaration):
    """A column of a table: the accuracy under a measure, or the distance between two of the row's models."""

    label: str
    measure: Key | None = None
    distance: tuple[Key, Key] | None = None

    @model_validator(mode="before")
    @classmethod
    def _pair_from_list(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("distance"), list):
            return {**value, "distance": tuple(value["distance"])}
        return value

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Column:
        if (self.measure is None) == (self.distance is None):
            raise ValueError("expected either 'measure' or 'distance'")
        return self


class Table(Declaration):
    """A table: as the paper prints it when ``published`` names its numbers, else one that the paper lacks."""

    where: str
    caption: str
    unit: Literal["%", ""] = "%"
    decimals: int = Field(default=2, ge=0, le=6)
    published: str | None = None
    row_header: str = ""
    rows: dict[Key, Row] = Field(min_length=1)
    columns: dict[Key, Column] = Field(min_length=1)

    def in_order(self) -> dict[str, Any]:
        """Return the declaration as plain data with rows and columns as lists, since a spec's keys are sorted."""
        tree = self.model_dump(mode="json", exclude={"published"})
        for part in ("rows", "columns"):
            tree[part] = [{"key": key, **line} for key, line in tree[part].items()]
        return tree

    @classmethod
    def from_order(cls, tree: dict[str, Any]) -> Table:
        """Return the declaration that :meth:`in_order` was called on, without the file of its printed numbers."""
        parts = {
            part: {line["key"]: {name: value for name, value in line.items() if name != "key"} for line in tree[part]}
            for part in ("rows", "columns")
        }
        return cls.model_validate({**tree, **parts})


class Panel(Declaration):
    """One panel of a figure: a model with one seed."""

    label: str
    model: Key
    seed: int = Field(default=0, ge=0)


class DecisionBoundaries(Declaration):
    """Decision regions of models on points of the plane; ``resolution`` is the grid's points a side."""

    name: Literal["decision_boundaries"]
    resolution: int = Field(default=200, ge=20)
    panels: list[Panel] = Field(min_length=1)


class Figure(Declaration):
    """A figure: what it shows, and how it is drawn."""

    where: str
    caption: str
    figure: DecisionBoundaries


class Claim(Declaration):
    """A claim of the paper: its words, where it makes them, and the conditions under which it holds."""

    says: str
    where: str
    holds_if: list[str] = Field(min_length=1)
    margins: str


class Departure(Declaration):
    """Where this reproduction does other than the paper says, or has to choose what it leaves unsaid."""

    where: str
    paper: str
    ours: str
    why: str


class Paper(Declaration):
    """Everything that is asked for of one paper."""

    title: str
    authors: str
    summary: str
    departures: list[Departure] = Field(default_factory=list)
    models: dict[Key, ModelDeclaration]
    measures: dict[Key, Measure]
    tables: dict[Key, Table]
    figures: dict[Key, Figure] = Field(default_factory=dict)
    claims: dict[Key, Claim] = Field(default_factory=dict)

"""A paper as declared in ``papers/<paper>/paper.yaml``: models, measures, tables, figures, claims."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from robustrepro.spec.attacks import Attack, TransferAttack
from robustrepro.spec.base import Declaration, Key
from robustrepro.spec.figures import Figure
from robustrepro.spec.models import ModelDeclaration


class Measure(Declaration):
    """What is measured on a model, example by example: an attack on a split.

    ``examples`` limits it to the first so many examples of the split; all of them when not said.
    """

    attack: Annotated[Attack | TransferAttack, Field(discriminator="name")]
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

    @property
    def all_models(self) -> list[str]:
        """The row's models, one or several."""
        return [self.model] if self.model else list((self.models or {}).values())


class Transfer(Declaration):
    """The accuracy of ``target`` on the examples that the row's model makes under ``measure``.

    The target is trained independently, from another seed. Where it is the row's own model, ``white_box`` asks for the
    very network that was attacked instead.
    """

    target: Key
    measure: Key
    white_box: bool = False


class Column(Declaration):
    """A column of a table: an accuracy under a measure, one by transfer, or the distance of two of the row's models."""

    label: str
    measure: Key | None = None
    distance: tuple[Key, Key] | None = None
    transfer: Transfer | None = None

    @model_validator(mode="before")
    @classmethod
    def _pair_from_list(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("distance"), list):
            return {**value, "distance": tuple(value["distance"])}
        return value

    @model_validator(mode="after")
    def _has_one_of_them(self) -> Column:
        if sum(value is not None for value in (self.measure, self.distance, self.transfer)) != 1:
            raise ValueError("expected either 'measure', 'distance' or 'transfer'")
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


SECTIONS = ("audit", "departures")
"""What else the report has of a paper, beside tables and figures."""


class Paper(Declaration):
    """Everything that is asked for of one paper; ``terms`` are words of its own, explained in the report."""

    title: str
    authors: str
    summary: str
    terms: dict[str, str] = Field(default_factory=dict)
    departures: list[Departure] = Field(default_factory=list)
    models: dict[Key, ModelDeclaration]
    measures: dict[Key, Measure]
    tables: dict[Key, Table]
    figures: dict[Key, Figure] = Field(default_factory=dict)
    claims: dict[Key, Claim] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _places_have_names_of_their_own(self) -> Paper:
        taken = {*self.tables} & {*self.figures} | {*self.tables, *self.figures} & {*SECTIONS}
        if taken:
            raise ValueError(f"'{min(taken)}' names two places of the report; give the table or figure another key")
        return self

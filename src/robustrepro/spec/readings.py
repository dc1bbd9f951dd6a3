"""Readings: what a paper leaves unsaid, as declared alternatives over its own models and measures.

A reading is an overlay, as a scale is one, limited to the tables and claims that it concerns. Running every one of them
is a multiverse analysis (Steegen et al. 2016).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.base import Declaration, Key, OneLine
from robustrepro.spec.config import validated
from robustrepro.spec.strict_yaml import Tree

Answer = Annotated[str, BeforeValidator(lambda value: f"{value:g}" if type(value) in (int, float) else value)]
"""What a reading chooses, in a word or two: a number may stand without quotes."""
WITHOUT_READINGS = ""
"""The name of the one reading of a paper that declares none."""


class Concerned(Declaration):
    """The tables and claims that a reading concerns; all of the paper's where nothing is said."""

    tables: list[Key] | None = None
    claims: list[Key] | None = None


class Alternative(Declaration):
    """What lies over the paper's models and measures, by name or pattern."""

    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Candidate(Declaration):
    """One of the models, or sets of models, that a search compares."""

    models: dict[str, dict[str, Any]] = Field(min_length=1)


class Search(Declaration):
    """How a reading is tuned without a look at the test images: the candidate that comes out best on validation images.

    Attributes
    ----------
    candidates
        What is compared, by name; each lies over the reading.
    data
        By data set, the one whose training images lack some, which are its test images: see ``held_out``.
    closest_to
        The table whose printed numbers the candidates are held against: the smallest mean absolute difference is best.
    largest, among
        Instead, a sum of cells as in a claim's condition, whose largest value is best, among the candidates under which
        these conditions hold at the mean. Only the rows that they name are trained and measured for it.
    seeds
        With how many seeds the candidates are compared. The one that is chosen is then trained with the images that
        were held out, too, and with all seeds of its model: that is the reading's.
    """

    candidates: Annotated[dict[Key, Candidate], Field(min_length=2)]
    data: Annotated[dict[str, str], Field(min_length=1)]
    closest_to: Key | None = None
    largest: OneLine | None = None
    among: list[OneLine] = Field(default_factory=list)
    seeds: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_thing_is_compared(self) -> Search:
        if (self.closest_to is None) == (self.largest is None):
            raise ValueError("expected either 'closest_to' or 'largest'")
        if self.among and self.largest is None:
            raise ValueError("'among' goes with 'largest'")
        return self


class Reading(Alternative):
    """One way to read what a paper leaves unsaid.

    Attributes
    ----------
    unsaid, where
        What the paper does not say, and the place where it would stand.
    why
        Why its authors may well have meant this.
    choices
        What it answers, by question: the default answers all, the others those that they answer otherwise.
    differs
        What of it contradicts the paper, in words; its verdicts are then indicative.
    over
        The reading that it lies over, if not the default.
    concerns
        Its tables and claims.
    search
        How it is tuned, if it is.
    """

    unsaid: OneLine
    where: OneLine
    why: OneLine
    choices: dict[str, Answer]
    differs: list[OneLine] = Field(default_factory=list)
    over: Key | None = None
    concerns: Concerned = Concerned()
    search: Search | None = None

    @property
    def changes_something(self) -> bool:
        """Whether it is another than the default."""
        return bool(self.models or self.measures or self.over or self.search)


class PaperReadings:
    """The readings of one paper.

    Parameters
    ----------
    paper
        The paper's id.
    content
        Its file.

    Raises
    ------
    UserError
        At the first mistake in any reading.
    """

    def __init__(self, paper: str, content: Tree) -> None:
        self.paper, self._file = paper, f"papers/{paper}/paper.yaml"
        declared = content.get("readings") or {}
        if not isinstance(declared, Mapping):
            raise UserError(f"{self._file}: readings: expected a mapping of names to readings, found {declared!r}")
        self.declared: dict[str, Reading] = {
            name: validated(Reading, tree, f"{self._file}: readings.{name}") for name, tree in declared.items()
        }
        """By name, the default first."""
        self.default = self._checked(content) if self.declared else WITHOUT_READINGS
        """The name of the reading without an overlay."""
        self.declared = dict(sorted(self.declared.items(), key=lambda entry: entry[0] != self.default))

    def place(self, name: str) -> str:
        """Return where a reading is declared, for messages."""
        return f"{self._file}: readings.{name}"

    def used(self, patterns: list[str] | None, where: str) -> dict[str, Reading]:
        """Return the readings but for the default, as far as they are asked for.

        Parameters
        ----------
        patterns
            Names or patterns; None asks for all.
        where
            Where these stand, for messages.

        Raises
        ------
        UserError
            If one fits no reading.
        """
        others = {name: reading for name, reading in self.declared.items() if name != self.default}
        if patterns is None:
            return others
        for pattern in patterns:
            if not fnmatch.filter(self.declared, pattern):
                raise unknown_name(f"reading of {self.paper} in {where}", pattern, self.declared)
        return {
            name: reading
            for name, reading in others.items()
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }

    def overlays(self, name: str) -> list[Alternative]:
        """Return what lies over the paper under a reading, the lowest first."""
        reading = self.declared[name]
        return [*(self.overlays(reading.over) if reading.over else []), reading]

    def choices(self, name: str) -> dict[str, str]:
        """Return what a reading chooses, by question: its own answers over those of the readings that it lies over."""
        reading = self.declared[name]
        below = reading.over or self.default
        return {**(self.choices(below) if name != self.default else {}), **reading.choices}

    def differs(self, name: str) -> list[str]:
        """Return what of a reading, and of those that it lies over, contradicts the paper."""
        reading = self.declared[name]
        return [*(self.differs(reading.over) if reading.over else []), *reading.differs]

    def _checked(self, content: Tree) -> str:
        """Check the readings against one another and the paper, and return the default's name."""
        defaults = [name for name, reading in self.declared.items() if not reading.changes_something]
        if len(defaults) != 1:
            found = ", ".join(defaults) or "none"
            raise UserError(
                f"{self._file}: readings: expected one that changes nothing, which is the default; found {found}"
            )
        (default,) = defaults
        if len(self.declared) == 1:
            raise UserError(f"{self._file}: readings: expected two or more, the default among them; found {default}")
        for name, reading in self.declared.items():
            self._check(name, reading, default, content)
        return default

    def _check(self, name: str, reading: Reading, default: str, content: Tree) -> None:
        place = self.place(name)
        lineage = [name]
        while over := self.declared[lineage[-1]].over:
            if over not in self.declared:
                raise unknown_name(f"reading in {self.place(lineage[-1])}.over", over, self.declared)
            if over in lineage:
                raise UserError(f"{place}: over: in a circle: {' over '.join([*lineage, over])}")
            lineage.append(over)
        if any(self.declared[below].search for below in lineage[1:]):
            raise UserError(f"{place}: over: {lineage[1]} is searched, so that nothing can lie over it")
        questions = self.declared[default].choices
        for question in reading.choices:
            if question not in questions:
                raise unknown_name(f"question in {place}.choices, which the default answers", question, questions)
        for kind in ("tables", "claims"):
            known = _mapping(content, kind)
            for concerned in getattr(reading.concerns, kind) or ():
                if concerned not in known:
                    raise unknown_name(f"{kind.removesuffix('s')} in {place}.concerns", concerned, known)
        table = reading.search and reading.search.closest_to
        if table and table not in _mapping(content, "tables"):
            raise unknown_name(f"table in {place}.search.closest_to", table, _mapping(content, "tables"))


def _mapping(content: Tree, key: str) -> Mapping[str, Any]:
    """Return what a paper declares under a key; nothing where that is no mapping, which is refused elsewhere."""
    declared = content.get(key)
    return declared if isinstance(declared, Mapping) else {}

"""Declarations in layers: as the papers have them, as the scale changes them, and as the user does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from robustrepro.spec.models import DerivedModel, GivenModel, ModelDeclaration
from robustrepro.spec.reading import Tree

Declared = TypeVar("Declared")
NOT_OF_THE_WEIGHTS = {"seeds", "dataset", "test_accuracy"}
"""Keys of a trained model that say nothing of how it is made, or are told apart: its data set has stand-ins."""


@dataclass(frozen=True)
class Layers(Generic[Declared]):
    """One kind of declaration.

    Attributes
    ----------
    in_papers, at_scale, used
        By name: as the papers declare it, with the scale's changes, and with the user's on top.
    """

    in_papers: Mapping[str, Declared]
    at_scale: Mapping[str, Declared]
    used: Mapping[str, Declared]

    def __iter__(self) -> Any:
        """Yield the layers from the papers up."""
        return iter((self.in_papers, self.at_scale, self.used))


def making_of(name: str, models: Mapping[str, ModelDeclaration]) -> Tree:
    """Return what decides how a model is made, but for its data set, as plain data.

    Parameters
    ----------
    name
        The model.
    models
        One layer of all models.
    """
    match models[name]:
        case DerivedModel(derived=derived):
            return {"change": derived.change.model_dump(mode="json"), "from": making_of(derived.source, models)}
        case GivenModel() as given:
            return given.model_dump(mode="json", exclude={"dataset"})
        case trained:
            return trained.model_dump(mode="json", exclude=NOT_OF_THE_WEIGHTS)


def seed_count(name: str, models: Mapping[str, ModelDeclaration], default: int) -> int:
    """Return how many seeds a model has; a given one has a single seed, a derived one at most those of its source.

    Parameters
    ----------
    name
        The model.
    models
        One layer of all models.
    default
        The number of a model that does not say its own.
    """
    match models[name]:
        case GivenModel():
            return 1
        case DerivedModel(derived=derived, seeds=seeds):
            return min(seeds or sys.maxsize, seed_count(derived.source, models, default))
        case trained:
            return trained.seeds or default

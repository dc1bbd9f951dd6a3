"""Declarations in layers: as the papers have them, as the scale changes them, and as the user does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from robustrepro.spec.datasets import DatasetSpec, DerivedDataset, HeldOutDataset, SampledDataset
from robustrepro.spec.models import ChosenModel, DerivedModel, GivenModel, ModelDeclaration
from robustrepro.spec.strict_yaml import Tree

Declared = TypeVar("Declared")
NOT_OF_THE_WEIGHTS = {"seeds", "test_accuracy", "checkpoints"}
"""Keys of a trained model that say nothing of how it is made."""


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


def lineage_of(name: str, datasets: Mapping[str, DatasetSpec]) -> Tree:
    """Return a data set, and what it is generated from or a part of, as plain data.

    Parameters
    ----------
    name
        The data set.
    datasets
        One layer of all data sets.
    """
    declared = datasets[name]
    lineage: Tree = {"name": name}
    if isinstance(declared, HeldOutDataset):
        lineage["examples"] = declared.examples
    if isinstance(declared, SampledDataset):
        lineage |= {"train": declared.train, "test": declared.test}
    if isinstance(declared, DerivedDataset):
        lineage["from"] = lineage_of(declared.source, datasets)
    return lineage


def making_of(name: str, models: Mapping[str, ModelDeclaration], datasets: Mapping[str, DatasetSpec]) -> Tree:
    """Return what decides how a model is made, as plain data.

    Parameters
    ----------
    name
        The model.
    models, datasets
        One layer of all models and data sets.
    """
    match models[name]:
        case DerivedModel(derived=derived):
            source = making_of(derived.source, models, datasets)
            return {"change": derived.change.model_dump(mode="json"), "from": source}
        case ChosenModel(chosen=chosen):
            made = {key: making_of(model, models, datasets) for key, model in chosen.among.items()}
            return {"search": chosen.search, "among": made}
        case GivenModel() as given:
            content = given.model_dump(mode="json") | {"given": given.given.in_words}
            return content | {"dataset": lineage_of(given.dataset, datasets)}
        case trained:
            content = trained.model_dump(mode="json", exclude=NOT_OF_THE_WEIGHTS)
            return content | {"dataset": lineage_of(trained.dataset, datasets)}


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

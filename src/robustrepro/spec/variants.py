"""What readings make of the papers' declarations: a variant of whatever they change, under a name that says so.

``mnist-lenet5-hrm`` under the reading ``clipped`` is ``mnist-lenet5-hrm@clipped``. What refers to something that is
changed is changed, too: a model that is derived from it or trained with its features, a data set that is made from it,
a measure that is on such data or compares such features. A variant that comes to what is there already, once scale and
user have laid their changes over it, is that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from robustrepro.errors import UserError
from robustrepro.keys import AT
from robustrepro.spec.config import laid_over
from robustrepro.spec.datasets import AdversarialDataset, DatasetSpec, DerivedDataset
from robustrepro.spec.datasets.base import Dataset
from robustrepro.spec.measurements import Measurement, Transfer
from robustrepro.spec.models import (
    Chosen,
    ChosenModel,
    DerivedModel,
    GivenModel,
    ModelDeclaration,
    TrainedModel,
    changes_that_fit,
)
from robustrepro.spec.readings import Alternative, Candidate, PaperReadings, Reading, Search
from robustrepro.spec.reads import reading_others
from robustrepro.spec.strict_yaml import Tree

REFIT = "refit"
"""What the name of a candidate ends in with the images that are held out; of such, only the chosen one is trained."""

Names = dict[str, str]
"""By declared name, the name of its variant."""
Things = Mapping[str, Mapping[str, Any]]
"""Declarations by kind (``models``, ``datasets``, ``measures``) and name."""
Thing = TypeVar("Thing")


@dataclass(eq=False)
class Variant:
    """What one reading, or one candidate of its search, changes of a paper's declarations.

    Attributes
    ----------
    paper
        The paper's id.
    name
        The reading's name; of a candidate ``clipped-searched.12``.
    overlays
        What lies over the paper, the lowest first.
    data
        By data set, the one that models are trained on instead.
    seeds
        How many seeds its models have, if it says so.
    models, datasets, measures
        By declared name, what its variant is called.
    """

    paper: str
    name: str
    overlays: Sequence[Alternative | Candidate]
    data: Mapping[str, str] = field(default_factory=dict)
    seeds: int | None = None
    models: Names = field(default_factory=dict)
    datasets: Names = field(default_factory=dict)
    measures: Names = field(default_factory=dict)

    def named(self, name: str) -> str:
        """Return what the variant of something declared is called, unless it comes to something else."""
        return f"{name}{AT}{self.name}"

    def model(self, name: str) -> str:
        """Return what a declared model is called under this variant."""
        return self.models.get(name, name)

    def measure(self, name: str) -> str:
        """Return what a declared measure is called under this variant."""
        return self.measures.get(name, name)

    def laid_over(self, kind: str, trees: Mapping[str, Tree]) -> dict[str, Tree]:
        """Return a paper's models or measures as this variant has them.

        Parameters
        ----------
        kind
            ``models`` or ``measures``.
        trees
            As the paper declares them.
        """
        result = dict(trees)
        where = f"{kind.removesuffix('s')} in papers/{self.paper}/paper.yaml: readings.{self.name}"
        for overlay in self.overlays:
            fitting = changes_that_fit if kind == "models" else None
            result = laid_over(result, getattr(overlay, kind, {}), where, fitting)
        if kind == "models":
            return {name: self._on_its_data(tree) for name, tree in result.items()}
        return result

    def renamed(self, declared: Any) -> Any:
        """Return a declaration with the variants of what it refers to."""
        changes: dict[str, Any]
        declared = reading_others(declared, self.model)
        match declared:
            case DerivedModel(derived=derived):
                changes = {"derived": derived.model_copy(update={"source": self.model(derived.source)})}
            case TrainedModel() | GivenModel():
                changes = {"dataset": self.datasets.get(declared.dataset, declared.dataset)}
            case DerivedDataset():
                changes = {"source": self.datasets.get(declared.source, declared.source)}
            case AdversarialDataset():
                changes = {"model": self.model(declared.model)}
            case Measurement():
                changes = {"data": declared.data and self.datasets.get(declared.data, declared.data)}
                if isinstance(declared, Transfer):
                    changes["source"] = declared.source and self.model(declared.source)
                    changes["targets"] = [self.model(target) for target in declared.targets]
            case _:  # a chosen model, whose candidates have their variants' names
                return declared
        if self.seeds is not None and isinstance(declared, TrainedModel | DerivedModel):
            changes["seeds"] = self.seeds
        return declared.model_copy(update=changes)

    def _on_its_data(self, tree: Tree) -> Tree:
        dataset = self.data.get(tree.get("dataset", ""))
        return {**tree, "dataset": dataset} if dataset else tree


class Variants:
    """Everything that the readings of all papers change.

    Parameters
    ----------
    readings
        By paper, its readings.
    used
        By paper, those that are asked for, but for the default.
    papers
        By paper, its file.
    models, datasets, measures
        What all papers declare, by name.
    """

    def __init__(
        self,
        readings: Mapping[str, PaperReadings],
        used: Mapping[str, Mapping[str, Reading]],
        papers: Mapping[str, Tree],
        models: Mapping[str, ModelDeclaration],
        datasets: Mapping[str, DatasetSpec],
        measures: Mapping[str, Measurement],
    ) -> None:
        self._declared: Things = {"models": models, "datasets": datasets, "measures": measures}
        self._trees = {
            paper: {kind: content.get(kind) or {} for kind in ("models", "measures")}
            for paper, content in papers.items()
        }
        self._ordered: list[Variant] = []
        self._chosen: dict[str, tuple[str, Variant, Mapping[str, Variant]]] = {}
        """By name, a model that a search chooses: the declared one, its variant, and that of each candidate."""
        for paper, asked_for in used.items():
            for name, reading in asked_for.items():
                self._add(paper, name, reading, readings[paper].overlays(name))

    def of(self, paper: str, name: str) -> Variant:
        """Return a variant of a paper by its name; of the default, one that changes nothing."""
        found = (variant for variant in self._ordered if (variant.paper, variant.name) == (paper, name))
        return next(found, Variant(paper, name, []))

    def place(self, kind: str, name: str) -> str:
        """Return where a variant comes from, for messages."""
        declared, _, reading = name.partition(AT)
        paper = next(each.paper for each in self._ordered if each.name == reading and declared in getattr(each, kind))
        return f"papers/{paper}/paper.yaml: readings.{reading}: {kind}.{declared}"

    def trees(self, kind: str) -> dict[str, Tree]:
        """Return all variants of models or measures, as trees whose references are to what is declared.

        Raises
        ------
        UserError
            If the readings of two papers make different things of one name.
        """
        made: dict[str, Tree] = {}
        for variant in self._ordered:
            laid = variant.laid_over(kind, self._trees[variant.paper][kind])
            for declared, name in getattr(variant, kind).items():
                if made.setdefault(name, laid[declared]) != laid[declared]:
                    raise UserError(
                        f"papers/{variant.paper}/paper.yaml: readings.{variant.name}: another paper has a reading of "
                        f"this name that makes something else of {declared}; give one of them another name"
                    )
        return made

    def datasets(self) -> dict[str, DatasetSpec]:
        """Return all variants of data sets, whose references are to what is declared."""
        return {
            name: self._declared["datasets"][declared].model_copy(update={"name": name})
            for variant in self._ordered
            for declared, name in variant.datasets.items()
        }

    def settle(self, used: Things) -> None:
        """Let every variant that comes to the same as what is there already have its name.

        Parameters
        ----------
        used
            All declarations as used, variants included; their references are to what is declared.
        """
        self._settle(used, apart=self._chosen.keys())
        chosen = {name: self._chosen_model(name, used["models"]) for name in self._chosen}
        for name, (declared, variant, _) in self._chosen.items():
            among = {*chosen[name].chosen.among.values()}
            if len(among) == 1:
                (variant.models[declared],) = among
        self._settle({**used, "models": {**used["models"], **chosen}})

    def referring(self, kind: str, layer: Mapping[str, Thing]) -> dict[str, Thing]:
        """Return a layer of declarations whose variants refer to variants, without those that come to the same.

        Parameters
        ----------
        kind
            ``models``, ``datasets`` or ``measures``.
        layer
            By name, variants included; their references are to what is declared.
        """
        result = {name: thing for name, thing in layer.items() if AT not in name}
        for variant in self._ordered:
            for declared, name in getattr(variant, kind).items():
                if name == variant.named(declared):
                    thing: Any = self._chosen_model(name, layer) if name in self._chosen else layer[name]
                    result[name] = variant.renamed(thing)
        return result

    def _add(self, paper: str, name: str, reading: Reading, overlays: Sequence[Alternative | Candidate]) -> None:
        """Name what a reading changes, behind what the candidates of its search do."""
        variant = Variant(paper, name, overlays)
        candidates: dict[str, Variant] = {}
        chosen: set[str] = set()
        for key, both, search in _candidates(reading, overlays):
            self._name(Variant(paper, f"{name}.{key}", both, search.data, search.seeds))
            candidates[key] = Variant(paper, f"{name}.{key}.{REFIT}", both)
            self._name(candidates[key])
            chosen |= self._changed("models", variant, Variant(paper, name, both))
        self._name(variant, chosen)
        self._chosen |= {variant.named(model): (model, variant, candidates) for model in sorted(chosen)}

    def _name(self, variant: Variant, chosen: Collection[str] = ()) -> None:
        """Find everything that a variant changes, and name it."""
        trees, plain = self._trees[variant.paper], Variant(variant.paper, variant.name, [])
        models = {*chosen, *self._changed("models", plain, variant)}
        measures = self._changed("measures", plain, variant)
        datasets: set[str] = set()
        found = -1
        while found != len(models) + len(datasets):
            found = len(models) + len(datasets)
            models |= self._referring_to("models", trees["models"], models, datasets)
            datasets |= self._referring_to("datasets", self._declared["datasets"], models, datasets)
        measures |= self._referring_to("measures", trees["measures"], models, datasets)
        for names, changed in ((variant.models, models), (variant.datasets, datasets), (variant.measures, measures)):
            names.update({name: variant.named(name) for name in sorted(changed)})
        self._ordered.append(variant)

    def _referring_to(self, kind: str, names: Iterable[str], models: set[str], datasets: set[str]) -> set[str]:
        """Return which of these declarations refer to one of these models or data sets."""
        changing = Variant("", "", (), models=dict.fromkeys(models, AT), datasets=dict.fromkeys(datasets, AT))
        things = self._declared[kind]
        return {name for name in names if changing.renamed(things[name]) != things[name]}

    def _changed(self, kind: str, before: Variant, after: Variant) -> set[str]:
        """Return which of a paper's own models or measures are others under the second variant."""
        trees = self._trees[after.paper][kind]
        ours, theirs = before.laid_over(kind, trees), after.laid_over(kind, trees)
        return {name for name in trees if ours[name] != theirs[name]}

    def _chosen_model(self, name: str, layer: Mapping[str, Any]) -> ChosenModel:
        """Return the model that is trained as a search chooses, with as many seeds as are asked for it in a layer."""
        declared, variant, candidates = self._chosen[name]
        among = {key: candidate.model(declared) for key, candidate in candidates.items()}
        seeds = getattr(layer[name], "seeds", None)
        return ChosenModel(chosen=Chosen(search=f"{variant.paper}/{variant.name}", among=among), seeds=seeds)

    def _settle(self, used: Things, apart: Collection[str] = ()) -> None:
        settled = False
        while not settled:
            settled = True
            for number, variant in enumerate(self._ordered):
                for kind, things in used.items():
                    names: Names = getattr(variant, kind)
                    for declared, name in names.items():
                        if name != variant.named(declared) or name in apart:
                            continue
                        ours = variant.renamed(things[name])
                        others = self._there_already(declared, kind, things, number)
                        same = next((other for other, theirs in others if _same(ours, theirs)), name)
                        settled = settled and same == name
                        names[declared] = same

    def _there_already(
        self, declared: str, kind: str, things: Mapping[str, Any], number: int
    ) -> Iterator[tuple[str, Any]]:
        """Yield what is declared, and its variants before the one of a number, by name."""
        yield declared, things[declared]
        for variant in self._ordered[:number]:
            if getattr(variant, kind).get(declared) == (name := variant.named(declared)):
                yield name, variant.renamed(things[name])


def _candidates(
    reading: Reading, overlays: Sequence[Alternative | Candidate]
) -> Iterator[tuple[str, list[Alternative | Candidate], Search]]:
    """Yield the candidates of a reading's search: key, what lies over the paper, and the search."""
    if reading.search:
        for key, candidate in reading.search.candidates.items():
            yield key, [*overlays, candidate], reading.search


def _same(ours: Any, theirs: Any) -> bool:
    """Tell whether two declarations are the same but for the names that data sets have inside."""
    if isinstance(ours, Dataset) and isinstance(theirs, Dataset):
        ours = ours.model_copy(update={"name": theirs.name})
    return bool(ours == theirs)

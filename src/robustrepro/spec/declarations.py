"""Everything that is declared, at one scale: what is asked of it by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from robustrepro.errors import UserError, unknown_name
from robustrepro.keys import AT
from robustrepro.spec.attacks import Inputs
from robustrepro.spec.audit import Audit
from robustrepro.spec.config import Config, Scale, is_meant, scale_files, scales_by_faithfulness, validated
from robustrepro.spec.datasets import AdversarialDataset, CountedDataset, DatasetSpec, DerivedDataset, FormedDataset
from robustrepro.spec.extensions import load_extensions
from robustrepro.spec.figures import Figure
from robustrepro.spec.layers import NOT_OF_THE_WEIGHTS, lineage_of, making_of, seed_count
from robustrepro.spec.measurements import ORIGIN, Measurement
from robustrepro.spec.models import (
    Checkpoint,
    ChosenModel,
    Derivation,
    DerivedModel,
    GivenModel,
    ModelDeclaration,
    TrainedModel,
)
from robustrepro.spec.networks import Network
from robustrepro.spec.origins import (
    check_models,
    example_count,
    form_of,
    has_pixel_range,
    has_training_split,
    inputs_of,
    origin_of,
)
from robustrepro.spec.paper import Paper, Table
from robustrepro.spec.reads import models_read_by
from robustrepro.spec.resolution import Resolution
from robustrepro.spec.strict_yaml import Tree, read_yaml, require_text_keys
from robustrepro.spec.under_readings import UnderReadings
from robustrepro.spec.variants import REFIT
from robustrepro.spec.written import WrittenPapers, require_usable

Declared = TypeVar("Declared")
METRICS = "metrics"
"""The folder under ``results/`` that has every scale's metrics, and so cannot be a scale's own."""


class Declarations:
    """Everything that is declared, at one scale.

    Precedence: paper.yaml, then the scale, then ``overrides`` in config.yaml, then the command line; the later takes
    precedence.

    Parameters
    ----------
    config
        The content of ``config.yaml``, with what the command line changed.
    root
        The folder that holds ``papers/`` and ``workflow/``.

    Raises
    ------
    UserError
        At the first mistake in any declaration.
    """

    def __init__(self, config: Mapping[str, Any], root: Path = Path()) -> None:
        self.root = root
        require_text_keys(config, "config.yaml")
        self.config = validated(Config, dict(config), "config.yaml")
        load_extensions(self.config.extensions)
        scales = scale_files(root)
        if self.config.scale not in scales:
            raise unknown_name("scale in config.yaml", self.config.scale, scales)
        require_usable("workflow/scales", "the scale's name cannot be part of a path", [self.config.scale], scales)
        if self.config.scale == METRICS:
            raise UserError(
                f"workflow/scales/{METRICS}.yaml: results/{METRICS} is for the metrics of all scales; rename it"
            )
        self.scale_name = self.config.scale
        scale_file = str(scales[self.scale_name].relative_to(root))
        self.scale = validated(Scale, read_yaml(scales[self.scale_name]), scale_file)
        self._written = WrittenPapers(root)
        for name in self.config.papers:
            if name not in self._written.trees:
                raise unknown_name("paper in config.yaml", name, self._written.trees)
        require_usable(
            "papers", "the folder's name cannot be part of a target", self.config.papers, self._written.trees
        )
        resolution = Resolution(self._written, self.scale, scale_file, self.config)
        self._resolved = resolution.resolve()
        self._datasets_in_papers, self.datasets = self._resolved.datasets_in_papers, self._resolved.datasets
        self._models, self._measures = self._resolved.models, self._resolved.measures
        self._read_in_training: dict[str, list[str]] = {}
        self._read_by: dict[int, tuple[Measurement, list[str]]] = {}
        check_models(self.models, self.datasets)
        self._audits = resolution.audits(root)
        as_written = {
            name: validated(Paper, self._written.trees[name], f"papers/{name}/paper.yaml")
            for name in dict.fromkeys(self.config.papers)
        }
        self.under_readings = {name: self._under_readings(name, paper) for name, paper in as_written.items()}
        """By paper, its tables and claims under each of its readings."""
        self.papers = {name: self._with_tables(name, paper) for name, paper in as_written.items()}
        """By id, the papers asked for; their tables are also those that readings change."""
        for pattern in self.config.leave_out:
            if not fnmatch.filter(self.models, pattern):
                raise unknown_name("model in config.yaml: leave_out", pattern, self.models)

    @cached_property
    def scales(self) -> list[str]:
        """All scales, the most faithful to the papers first."""
        return scales_by_faithfulness(self.root)

    @property
    def every_paper(self) -> Collection[str]:
        """The ids of all papers, whether they are asked for or not."""
        return self._written.trees.keys()

    @property
    def models(self) -> Mapping[str, ModelDeclaration]:
        """Every model."""
        return self._models.used

    @property
    def measures(self) -> Mapping[str, Measurement]:
        """Every measure."""
        return self._measures.used

    # -- by name -------------------------------------------------------------------------------------------------

    def model(self, name: str) -> ModelDeclaration:
        """Return a model's declaration at this scale."""
        return _known(self.models, name, "model")

    def measure(self, name: str) -> Measurement:
        """Return a measure's declaration at this scale."""
        return _known(self.measures, name, "measure")

    def measure_in_paper(self, name: str) -> Measurement:
        """Return a measure's declaration as its paper has it."""
        return _known(self._measures.in_papers, name, "measure")

    def known_columns(self, measure: Measurement) -> frozenset[str] | None:
        """Return the columns that a measure will have, with those of its data; None where they are not known."""
        known = measure.known_columns()
        if known is None or "index" not in known or measure.data is None:
            return known
        return known | ORIGIN if isinstance(self._data_of(measure), AdversarialDataset) else known

    def origin_values(self, measure: str) -> Mapping[str, Collection[Any]]:
        """Return the norms and radii that the examples of a measure's adversarial data set come from, by column."""
        dataset = self._data_of(self.measure(measure))
        if not isinstance(dataset, AdversarialDataset):
            return {}
        norms, epsilons = ({getattr(attack, name) for attack in dataset.attacks} for name in ("norm", "epsilon"))
        return {"origin_norm": sorted(norms), "origin_epsilon": sorted(epsilons)}

    def _data_of(self, measure: Measurement) -> DatasetSpec | None:
        """Return the data set that a measure names, or what stands in for it; None where it names none."""
        return self.datasets.get(self.scale.datasets.get(measure.data, measure.data)) if measure.data else None

    def dataset(self, name: str) -> DatasetSpec:
        """Return a data set's declaration."""
        return _known(self.datasets, name, "data set")

    def table(self, paper: str, name: str) -> Table:
        """Return a table's declaration."""
        return _known(self.papers[paper].tables, name, f"table of {paper}")

    def figure(self, paper: str, name: str) -> Figure:
        """Return a figure's declaration."""
        return _known(self.papers[paper].figures, name, f"figure of {paper}")

    def is_not_run(self, name: str) -> bool:
        """Tell whether a model or measure is a variant under a declared reading that adds nothing to this run."""
        declared, _, reading = name.partition(AT)
        is_reading = any(reading in readings.declared for readings in self._resolved.readings.values())
        declarations = (self.models, self.measures)
        return is_reading and any(declared in known and name not in known for known in declarations)

    # -- models --------------------------------------------------------------------------------------------------

    def origin(self, name: str) -> TrainedModel | GivenModel:
        """Return the trained or given model that a model comes from in the end: itself, unless it is derived."""
        self.model(name)
        return origin_of(name, self.models)

    def network(self, name: str) -> Network:
        """Return a model's network, which a derived model has from its source."""
        return self.origin(name).network

    def dataset_of(self, name: str) -> str:
        """Return the data set that a model is trained on, or was made for."""
        return self.origin(name).dataset

    def seeds(self, name: str) -> range:
        """Return the seeds of a model; a given one has a single seed, a derived one those of its source."""
        self.model(name)
        return range(seed_count(name, self.models, self.config.overrides.seeds or self.scale.seeds))

    def is_trained(self, name: str) -> bool:
        """Tell whether a model has a training of its own."""
        return isinstance(self.model(name), TrainedModel | ChosenModel) and name not in self.stopped

    def training(self, name: str) -> Tree:
        """Return how a model is trained, as plain data; of one that a search chooses, how each candidate is.

        Raises
        ------
        UserError
            If it has no training.
        """
        match self.model(name):
            case TrainedModel() as trained:
                return trained.training_spec()
            case ChosenModel(chosen=chosen):
                among = {key: self.training(candidate) for key, candidate in chosen.among.items()}
                return {"search": chosen.search, "among": among}
        raise UserError(f"{name} is not trained: it is derived from another model, or given")

    def read_in_training(self, name: str) -> list[str]:
        """Return the other models whose weights the training of one reads; of a derived one, that of its source."""
        if name not in self._read_in_training:
            read: list[str] = []
            match self.model(name):
                case TrainedModel(objective=objective):
                    read = models_read_by(objective)
                case DerivedModel(derived=derived):
                    read = self.read_in_training(derived.source)
                case ChosenModel(chosen=chosen):
                    read = [model for each in chosen.among.values() for model in self.read_in_training(each)]
            self._read_in_training[name] = list(dict.fromkeys(read))
        return self._read_in_training[name]

    def read_by(self, measure: Measurement) -> list[str]:
        """Return the other models whose weights a measure reads, whatever it is of."""
        if id(measure) not in self._read_by:
            # Beside the measure itself, so that nothing else is ever called by its number.
            self._read_by[id(measure)] = measure, models_read_by(measure)
        return self._read_by[id(measure)][1]

    @cached_property
    def only_candidates(self) -> Collection[str]:
        """The declarations that a search chooses between, of which none is itself trained: what is chosen is."""
        searched = (model.chosen for model in self.models.values() if isinstance(model, ChosenModel))
        return {name for chosen in searched for name in chosen.among.values() if name.endswith(f".{REFIT}")}

    @cached_property
    def stopped(self) -> Mapping[str, Derivation]:
        """The variants whose training is that of another variant, stopped after an epoch whose weights that one keeps.

        Nothing that a training does depends on how many epochs are to come.
        """
        alike: dict[tuple[str, str], dict[str, TrainedModel]] = {}
        for name, model in self.models.items():
            if isinstance(model, TrainedModel) and not self.left_out(name) and name not in self.only_candidates:
                making = model.model_dump_json(exclude=NOT_OF_THE_WEIGHTS | {"epochs"})
                alike.setdefault((name.partition(AT)[0], making), {})[name] = model
        stopped = {}
        for variants in alike.values():
            longest = max(variants, key=lambda name: variants[name].epochs)
            for name, model in variants.items():
                # What is declared has its own training, whatever readings there are.
                if AT in name and model.is_on_the_way_of(variants[longest]) and self._has_seeds_of(longest, name):
                    change = Checkpoint(name="checkpoint", epoch=model.epochs)
                    stopped[name] = Derivation.model_validate({"from": longest, "change": change})
        return stopped

    def _has_seeds_of(self, model: str, other: str) -> bool:
        return len(self.seeds(model)) >= len(self.seeds(other))

    def left_out(self, name: str) -> bool:
        """Tell whether the user asked not to make a model, or what it is derived from or trained with."""
        if any(is_meant(name, pattern) for pattern in self.config.leave_out):
            return True
        model = self.model(name)
        if isinstance(model, DerivedModel):
            return self.left_out(model.derived.source)
        if any(map(self.left_out, self.read_in_training(name))):
            return True
        # Of other candidates it has the declaration alone.
        return isinstance(model, ChosenModel) and any(
            self.left_out(name) for name in model.chosen.among.values() if name in self.only_candidates
        )

    def left_out_of(self, measure: Measurement) -> list[str]:
        """Return the models that are left out and that a measure needs, whatever it is of.

        Its data set would have to be made from them, or it reads their weights.
        """
        dataset = self._data_of(measure)
        makers = [dataset.model] if isinstance(dataset, AdversarialDataset) else []
        return [model for model in (*makers, *self.read_by(measure)) if self.left_out(model)]

    def dataset_of_measure(self, measure: Measurement, model: str) -> str:
        """Return the data set that a measure reads of a model: the model's own, or the measure's (or its stand-in)."""
        return self.dataset_of(model) if measure.data is None else self.scale.datasets.get(measure.data, measure.data)

    def form(self, dataset: str) -> FormedDataset:
        """Return the data set from which one has the shape of its inputs and its classes."""
        return form_of(dataset, self.models, self.datasets)

    def inputs(self, dataset: str) -> Inputs:
        """Return what an attack on a data set is to change."""
        return inputs_of(dataset, self.models, self.datasets)

    def has_pixel_range(self, dataset: str) -> bool:
        """Tell whether the examples of a data set are images with a range of valid pixels."""
        return has_pixel_range(dataset, self.models, self.datasets)

    def examples(self, dataset: str, split: str) -> int | None:
        """Return how many examples a split of a data set has; None where that is not known before it is made."""
        is_made = isinstance(self.datasets[dataset], AdversarialDataset)
        if is_made or not isinstance(self.form(dataset), CountedDataset):
            return None
        return example_count(dataset, split, self.datasets)

    def has_training_split(self, dataset: str) -> bool:
        """Tell whether a data set has images to train on."""
        return has_training_split(self.datasets[dataset])

    def dataset_seed(self, dataset: str, seed: int) -> int | None:
        """Return the seed of a data set that belongs to a scale, for a model with a seed; None for every other one.

        Those made from a model have its seeds; where it has fewer, they are taken in turn.
        """
        declared = self.dataset(dataset)
        if isinstance(declared, AdversarialDataset):
            return seed % len(self.seeds(declared.model))
        if isinstance(declared, DerivedDataset) and self._differs_between_scales(dataset):
            return 0
        return None

    def _differs_between_scales(self, dataset: str) -> bool:
        """Tell whether a data set is made, at this scale, from another one than its paper declares."""
        declared, in_paper = self.datasets[dataset], self._datasets_in_papers[dataset]
        if not (isinstance(declared, DerivedDataset) and isinstance(in_paper, DerivedDataset)):
            return False
        return declared.source != in_paper.source or self._differs_between_scales(declared.source)

    def data_behind(self, model: str, measure: Measurement | None = None) -> list[tuple[str, str]]:
        """Return all data behind a model, or a measurement of one: each data set that a paper declares, and the used.

        What a data set is a part of, or generated or made from, is among them, and so are the data of models that are
        read.
        """
        behind: list[tuple[str, str]] = []
        if measure is None or measure.data is None:
            waiting = [(origin_of(model, self._models.in_papers).dataset, self.dataset_of(model))]
        else:
            waiting = [(measure.data, self.dataset_of_measure(measure, model))]
            behind += self.data_behind(model)
        for other in self.read_in_training(model) + (self.read_by(measure) if measure else []):
            behind += self.data_behind(other)
        while waiting:
            in_paper, used = waiting.pop()
            behind.append((in_paper, used))
            declared = self.dataset(used)
            if isinstance(declared, DerivedDataset):
                source = self._datasets_in_papers[used]
                assert isinstance(source, DerivedDataset)
                waiting.append((source.source, declared.source))
            if isinstance(declared, AdversarialDataset):
                behind += self.data_behind(declared.model)
        return list(dict.fromkeys(behind))

    def models_behind(self, model: str, measure: Measurement) -> list[str]:
        """Return the models that decide a measurement of one: itself, those that its data are made from or it reads."""
        used = (self.dataset(name) for _, name in self.data_behind(model, measure))
        makers = [dataset.model for dataset in used if isinstance(dataset, AdversarialDataset)]
        waiting, behind = [model, *makers, *self.read_by(measure)], dict[str, None]()
        while waiting:
            behind[waiting[0]] = None
            waiting = [*waiting[1:], *self.read_in_training(waiting[0])]
        return list(behind)

    def place(self, kind: str, name: str) -> str:
        """Return where something is declared, for messages."""
        if AT in name:
            return self._resolved.variants.place(kind, name)
        return self._written.place(kind, name)

    def _under_readings(self, name: str, paper: Paper) -> UnderReadings:
        resolved = self._resolved
        return UnderReadings(name, paper, resolved.readings[name], resolved.asked_for[name], resolved.variants)

    def _with_tables(self, name: str, paper: Paper) -> Paper:
        return paper.model_copy(update={"tables": {**paper.tables, **self.under_readings[name].tables}})

    # -- layers --------------------------------------------------------------------------------------------------

    def model_layers(self, name: str) -> tuple[Tree, Tree, Tree]:
        """Return how a model is made: as its paper says, at the scale, and as used.

        The number of seeds is no part of what a paper says of a model; there it is the used one.
        """
        datasets = (self._datasets_in_papers, self.datasets, self.datasets)
        in_paper, at_scale, used = map(making_of, (name,) * 3, self._models, datasets)
        seeds = len(self.seeds(name))
        seeds_at_scale = seed_count(name, self._models.at_scale, self.scale.seeds)
        return in_paper | {"seeds": seeds}, at_scale | {"seeds": seeds_at_scale}, used | {"seeds": seeds}

    def measure_layers(self, name: str) -> tuple[Tree, Tree, Tree]:
        """Return what a measure measures: as its paper says, at the scale, and as used."""

        def layer(measure: Measurement, datasets: Mapping[str, DatasetSpec], stand_ins: Mapping[str, str]) -> Tree:
            content = measure.model_dump(mode="json", exclude={"shards"})
            data = measure.data and lineage_of(stand_ins.get(measure.data, measure.data), datasets)
            return content | {"data": data}

        in_papers, at_scale, used = (measures[name] for measures in self._measures)
        stand_ins = self.scale.datasets
        return (
            layer(in_papers, self._datasets_in_papers, {}),
            layer(at_scale, self.datasets, stand_ins),
            layer(used, self.datasets, stand_ins),
        )

    def audit(self, paper: str) -> Audit:
        """Return what a robustness that a paper claims has to survive."""
        return self._audits.used[paper]

    def audit_layers(self, paper: str) -> tuple[Tree, Tree, Tree]:
        """Return the audit of a paper: as ``workflow/audit.yaml`` has it, at the scale, and as used."""
        declared, at_scale, used = (audits[paper].model_dump(mode="json") for audits in self._audits)
        return declared, at_scale, used


def _known(declared: Mapping[str, Declared], name: str, what: str) -> Declared:
    if name not in declared:
        raise unknown_name(what, name, declared)
    return declared[name]

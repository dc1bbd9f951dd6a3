"""From declarations to resolved data sets, models, measures and papers: layers laid over one another, names known."""

from __future__ import annotations

import fnmatch
import importlib
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.audit import Audit
from robustrepro.spec.config import Config, Scale, Tree, laid_over, merged, read_yaml, validated
from robustrepro.spec.datasets import DATASETS, AdversarialDataset, DatasetSpec, GeneratedDataset, dataset_of
from robustrepro.spec.figures import Figure
from robustrepro.spec.measurements import Measurement, measure_of
from robustrepro.spec.models import DerivedModel, GivenModel, ModelDeclaration, TrainedModel, model_of
from robustrepro.spec.networks import Network
from robustrepro.spec.paper import Paper, Table

Declared = TypeVar("Declared")
AUDIT_FILE = "workflow/audit.yaml"
RESERVED = "audit-"
"""What the names of the audit's own measures begin with."""


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
        self.config = validated(Config, dict(config), "config.yaml")
        _load_extensions(self.config.extensions)
        scales = {path.stem: path for path in sorted((root / "workflow/scales").glob("*.yaml"))}
        if self.config.scale not in scales:
            raise unknown_name("scale in config.yaml", self.config.scale, scales)
        self.scale_name = self.config.scale
        self._scale_file = str(scales[self.scale_name].relative_to(root))
        self.scale = validated(Scale, read_yaml(scales[self.scale_name]), self._scale_file)
        files = {path.parent.name: path for path in sorted((root / "papers").glob("*/paper.yaml"))}
        for name in self.config.papers:
            if name not in files:
                raise unknown_name("paper in config.yaml", name, files)
        self._papers_as_written = {name: read_yaml(path) for name, path in files.items()}
        self.datasets = self._resolve_datasets()
        self._check_stand_ins()
        self.models = self._resolve_models()
        self.measures = self._resolve_measures()
        self.audit = self._resolve_audit()
        self.papers = {
            name: validated(Paper, self._papers_as_written[name], f"papers/{name}/paper.yaml")
            for name in dict.fromkeys(self.config.papers)
        }
        for pattern in self.config.leave_out:
            if not fnmatch.filter(self.models, pattern):
                raise unknown_name("model in config.yaml: leave_out", pattern, self.models)

    # -- by name -------------------------------------------------------------------------------------------------

    def model(self, name: str) -> ModelDeclaration:
        """Return a model's declaration at this scale."""
        return _known(self.models, name, "model")

    def measure(self, name: str) -> Measurement:
        """Return a measure's declaration at this scale."""
        return _known(self.measures, name, "measure")

    def dataset(self, name: str) -> DatasetSpec:
        """Return a data set's declaration."""
        return _known(self.datasets, name, "data set")

    def table(self, paper: str, name: str) -> Table:
        """Return a table's declaration."""
        return _known(self.papers[paper].tables, name, f"table of {paper}")

    def figure(self, paper: str, name: str) -> Figure:
        """Return a figure's declaration."""
        return _known(self.papers[paper].figures, name, f"figure of {paper}")

    # -- models --------------------------------------------------------------------------------------------------

    def origin(self, name: str) -> TrainedModel | GivenModel:
        """Return the trained or given model that a model comes from in the end: itself, unless it is derived."""
        model = self.model(name)
        while isinstance(model, DerivedModel):
            model = self.model(model.derived.source)
        return model

    def network(self, name: str) -> Network:
        """Return a model's network, which a derived model has from its source."""
        return self.origin(name).network

    def dataset_of(self, name: str) -> str:
        """Return the data set that a model is trained on, or was made for."""
        return self.origin(name).dataset

    def seeds(self, name: str) -> range:
        """Return the seeds of a model; a given one has a single seed, a derived one those of its source."""
        model = self.model(name)
        if isinstance(model, GivenModel):
            return range(1)
        if isinstance(model, DerivedModel):
            return range(min(model.seeds or sys.maxsize, len(self.seeds(model.derived.source))))
        return range(model.seeds or self.config.overrides.seeds or self.scale.seeds)

    def left_out(self, name: str) -> bool:
        """Tell whether the user asked not to make a model, or what it is derived from or trained on."""
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.config.leave_out):
            return True
        model = self.model(name)
        if isinstance(model, DerivedModel):
            return self.left_out(model.derived.source)
        dataset = self.dataset(model.dataset)
        return isinstance(dataset, AdversarialDataset) and self.left_out(dataset.model)

    def dataset_in_paper(self, model: str) -> str:
        """Return the data set that the paper declares for a model, whatever stands in for it."""
        while "derived" in (tree := self._models_as_written[model]):
            model = tree["derived"]["from"]
        return str(tree["dataset"])

    def scale_differences(self, model: str) -> Iterator[str]:
        """Yield what this scale trains a model with instead of what its paper declares: architecture and epochs."""
        used = self.origin(model)
        if not isinstance(used, TrainedModel):
            return
        while "derived" in (tree := self._models_as_written[model]):
            model = tree["derived"]["from"]
        declared = model_of(tree, f"models.{model}")
        assert isinstance(declared, TrainedModel)
        before, now = declared.network.architecture.name, used.network.architecture.name
        if before != now:
            yield f"{now} instead of {before}"
        if declared.epochs != used.epochs:
            yield f"{used.epochs} instead of {declared.epochs} epochs"

    # -- resolution ----------------------------------------------------------------------------------------------

    @cached_property
    def _models_as_written(self) -> dict[str, Tree]:
        return self._gathered("models")

    def _gathered(self, kind: str) -> dict[str, Tree]:
        """Return all papers' declarations of one kind; names are global."""
        gathered: dict[str, Tree] = {}
        declared_in: dict[str, str] = {}
        for paper, content in self._papers_as_written.items():
            file = f"papers/{paper}/paper.yaml"
            declarations = content.get(kind, {})
            if not isinstance(declarations, dict):
                raise UserError(f"{file}: {kind}: expected a mapping of names to declarations, found {declarations!r}")
            for name, tree in declarations.items():
                if not isinstance(tree, dict):
                    raise UserError(f"{file}: {kind}.{name}: expected a mapping, found {tree!r}")
                if name in gathered and gathered[name] != tree:
                    raise UserError(
                        f"{file}: {kind}.{name}: declared differently in papers/{declared_in[name]}/paper.yaml; names "
                        "are global, so give one of them another name"
                    )
                gathered[name] = tree
                declared_in.setdefault(name, paper)
        return gathered

    def _layered(self, kind: str, trees: dict[str, Tree]) -> dict[str, Tree]:
        singular = kind.removesuffix("s")
        trees = laid_over(trees, getattr(self.scale, kind), singular, self._scale_file)
        return laid_over(trees, getattr(self.config.overrides, kind), singular, "config.yaml: overrides")

    def _resolve_datasets(self) -> dict[str, DatasetSpec]:
        declared = {
            name: dataset_of(name, tree, f"datasets.{name}") for name, tree in self._gathered("datasets").items()
        }
        for name in declared:
            if name in DATASETS:
                raise UserError(f"datasets.{name}: a data set of this name is built in; give it another name")
        datasets = {**DATASETS, **declared}
        for name, dataset in declared.items():
            if isinstance(dataset, GeneratedDataset) and dataset.source not in datasets:
                raise unknown_name(f"data set in datasets.{name}", dataset.source, datasets)
        return datasets

    def _check_stand_ins(self) -> None:
        for name in (*self.scale.datasets, *self.scale.datasets.values()):
            if name not in self.datasets:
                raise unknown_name(f"data set in {self._scale_file}", name, self.datasets)
        for name in self.config.data.allow_unverified:
            if name not in self.datasets:
                raise unknown_name("data set in config.yaml: data.allow_unverified", name, self.datasets)

    def _resolve_models(self) -> dict[str, ModelDeclaration]:
        written = {}
        for name, tree in self._models_as_written.items():
            if "dataset" in tree and tree["dataset"] not in self.datasets:
                raise unknown_name(f"data set of model {name}", str(tree["dataset"]), self.datasets)
            stand_in = (
                {"dataset": self.scale.datasets.get(tree["dataset"], tree["dataset"])} if "dataset" in tree else {}
            )
            written[name] = merged(tree, stand_in)
        models = {name: model_of(tree, f"models.{name}") for name, tree in self._layered("models", written).items()}
        for name, model in models.items():
            if isinstance(model, DerivedModel):
                _check_derivation(name, models)
            elif model.dataset not in self.datasets:
                raise unknown_name(f"data set of model {name}", model.dataset, self.datasets)
        for name, dataset in self.datasets.items():
            if isinstance(dataset, AdversarialDataset) and dataset.model not in models:
                raise unknown_name(f"model in datasets.{name}", dataset.model, models)
        return models

    def _resolve_measures(self) -> dict[str, Measurement]:
        written = self._gathered("measures")
        for name in written:
            if name.startswith(RESERVED):
                raise UserError(
                    f"measures.{name}: names that begin with '{RESERVED}' are the audit's own; take another"
                )
        layered = self._layered("measures", written)
        return {name: measure_of(tree, f"measures.{name}") for name, tree in layered.items()}

    def _resolve_audit(self) -> Audit:
        tree = read_yaml(self.root / AUDIT_FILE)
        for layer in (self.scale.audit, self.config.overrides.audit):
            tree = merged(tree, layer)
        return validated(Audit, tree, AUDIT_FILE)


def _known(declared: Mapping[str, Declared], name: str, what: str) -> Declared:
    if name not in declared:
        raise unknown_name(what, name, declared)
    return declared[name]


def _check_derivation(name: str, models: Mapping[str, ModelDeclaration]) -> None:
    """Refuse a model that is derived from an unknown one, or in a circle."""
    lineage, current = [name], models[name]
    while isinstance(current, DerivedModel):
        source = current.derived.source
        if source not in models:
            raise unknown_name(f"model in models.{lineage[-1]}: derived.from", source, models)
        if source in lineage:
            raise UserError(f"models.{name}: derived in a circle: {' from '.join([*lineage, source])}")
        lineage.append(source)
        current = models[source]


def _load_extensions(modules: list[str]) -> None:
    """Import the modules that add kinds of measurement; they may lie in the folder that the run starts in."""
    folder = str(Path.cwd())
    if modules and folder not in sys.path:
        sys.path.append(folder)
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UserError(f"config.yaml: extensions: {name} cannot be imported ({error})") from None

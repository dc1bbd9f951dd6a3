"""From declarations to resolved data sets, models, measures and papers: layers laid over one another, names known."""

from __future__ import annotations

import fnmatch
import importlib
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.attacks import Inputs
from robustrepro.spec.audit import Audit
from robustrepro.spec.config import (
    Config,
    Fitting,
    Scale,
    laid_over,
    merged,
    scale_files,
    scales_by_faithfulness,
    validated,
)
from robustrepro.spec.datasets import (
    DATASETS,
    AdversarialDataset,
    CountedDataset,
    DatasetSpec,
    GeneratedDataset,
    dataset_of,
)
from robustrepro.spec.figures import Figure
from robustrepro.spec.layers import Layers, making_of, seed_count
from robustrepro.spec.lengths import IMAGE_DIMENSIONS
from robustrepro.spec.measurements import Measurement, measure_of
from robustrepro.spec.models import DerivedModel, GivenModel, ModelDeclaration, TrainedModel, changes_that_fit, model_of
from robustrepro.spec.names import KEY_IN_WORDS, differing_in_case_alone, is_key
from robustrepro.spec.networks import Network
from robustrepro.spec.origins import (
    check_derivation,
    check_models,
    form_of,
    has_training_split,
    origin_of,
    resolved_datasets,
)
from robustrepro.spec.paper import Paper, Table
from robustrepro.spec.reading import Tree, read_yaml, require_text_keys

Declared = TypeVar("Declared")
AUDIT_FILE = "workflow/audit.yaml"
ONE_FILE = "'{}' differs from it in the case of letters alone, and would be the same file on some systems; rename one"
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
        require_text_keys(config, "config.yaml")
        self.config = validated(Config, dict(config), "config.yaml")
        _load_extensions(self.config.extensions)
        scales = scale_files(root)
        if self.config.scale not in scales:
            raise unknown_name("scale in config.yaml", self.config.scale, scales)
        _require_usable("workflow/scales", "the scale's name cannot be part of a path", [self.config.scale], scales)
        self.scale_name = self.config.scale
        self._scale_file = str(scales[self.scale_name].relative_to(root))
        self.scale = validated(Scale, read_yaml(scales[self.scale_name]), self._scale_file)
        files = {path.parent.name: path for path in sorted((root / "papers").glob("*/paper.yaml"))}
        for name in self.config.papers:
            if name not in files:
                raise unknown_name("paper in config.yaml", name, files)
        _require_usable("papers", "the folder's name cannot be part of a target", self.config.papers, files)
        self._papers_as_written = {name: read_yaml(path) for name, path in files.items()}
        self._declared_in: dict[tuple[str, str], str] = {}
        self._datasets_in_papers = self._datasets_as_declared()
        self._check_stand_ins()
        self.datasets = resolved_datasets(self._datasets_in_papers, self.scale.datasets)
        self._models = self._resolve_models()
        check_models(self.models, self.datasets)
        self._measures = self._resolve_measures()
        self._audits = self._resolve_audits()
        self.papers = {
            name: validated(Paper, self._papers_as_written[name], f"papers/{name}/paper.yaml")
            for name in dict.fromkeys(self.config.papers)
        }
        for pattern in self.config.leave_out:
            if not fnmatch.filter(self.models, pattern):
                raise unknown_name("model in config.yaml: leave_out", pattern, self.models)

    @cached_property
    def scales(self) -> list[str]:
        """All scales, the most faithful to the papers first."""
        return scales_by_faithfulness(self.root)

    @property
    def models(self) -> Mapping[str, ModelDeclaration]:
        """Every model."""
        return self._models.used

    @property
    def measures(self) -> Mapping[str, Measurement]:
        """Every measure."""
        return self._measures.used

    @property
    def audit(self) -> Audit:
        """What a claimed robustness has to survive."""
        return self._audits[-1]

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

    def left_out(self, name: str) -> bool:
        """Tell whether the user asked not to make a model, or what it is derived from."""
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.config.leave_out):
            return True
        model = self.model(name)
        if isinstance(model, DerivedModel):
            return self.left_out(model.derived.source)
        return False

    def data_left_out(self, measure: Measurement) -> str | None:
        """Return the model that is left out and from which a measure's data set would have to be made, if any."""
        dataset = self.datasets.get(self.scale.datasets.get(measure.data, measure.data)) if measure.data else None
        return dataset.model if isinstance(dataset, AdversarialDataset) and self.left_out(dataset.model) else None

    def dataset_of_measure(self, measure: Measurement, model: str) -> str:
        """Return the data set that a measure reads of a model: the model's own, or the measure's (or its stand-in)."""
        return self.dataset_of(model) if measure.data is None else self.scale.datasets.get(measure.data, measure.data)

    def form(self, dataset: str) -> CountedDataset:
        """Return the data set from which one has the shape of its inputs and its classes."""
        return form_of(dataset, self.models, self.datasets)

    def inputs(self, dataset: str) -> Inputs:
        """Return what an attack on a data set is to change."""
        form, declared = self.form(dataset), self.datasets[dataset]
        clipped = not (isinstance(declared, AdversarialDataset) and declared.box is None)
        return Inputs(form.input_shape, form.classes, clipped and len(form.input_shape) == IMAGE_DIMENSIONS)

    def examples(self, dataset: str, split: str) -> int | None:
        """Return how many examples a split of a data set has; None where that is not known before it is made."""
        if isinstance(self.datasets[dataset], AdversarialDataset):
            return None
        form = self.form(dataset)
        return form.train_examples if split == "train" else form.test_examples

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
        if isinstance(declared, GeneratedDataset) and self._differs_between_scales(dataset):
            return 0
        return None

    def _differs_between_scales(self, dataset: str) -> bool:
        """Tell whether a data set is generated, at this scale, from another one than its paper declares."""
        declared, in_paper = self.datasets[dataset], self._datasets_in_papers[dataset]
        if not (isinstance(declared, GeneratedDataset) and isinstance(in_paper, GeneratedDataset)):
            return False
        return declared.source != in_paper.source or self._differs_between_scales(declared.source)

    def data_behind(self, model: str, measure: Measurement | None = None) -> dict[str, str]:
        """Return all data behind a model, or a measurement of one: each data set that a paper declares, and the used.

        What a data set is generated or made from is among them.
        """
        behind: dict[str, str] = {}
        if measure is None or measure.data is None:
            waiting = [(origin_of(model, self._models.in_papers).dataset, self.dataset_of(model))]
        else:
            waiting = [(measure.data, self.dataset_of_measure(measure, model))]
            behind |= self.data_behind(model)
        while waiting:
            in_paper, used = waiting.pop()
            behind[in_paper] = used
            declared = self.dataset(used)
            if isinstance(declared, GeneratedDataset):
                source = self._datasets_in_papers[used]
                assert isinstance(source, GeneratedDataset)
                waiting.append((source.source, declared.source))
            if isinstance(declared, AdversarialDataset):
                behind |= self.data_behind(declared.model)
        return behind

    def models_behind(self, model: str, measure: Measurement) -> list[str]:
        """Return the models that decide a measurement of one: itself, and those that its data are made from."""
        used = map(self.dataset, self.data_behind(model, measure).values())
        makers = [dataset.model for dataset in used if isinstance(dataset, AdversarialDataset)]
        return list(dict.fromkeys([model, *makers]))

    # -- layers --------------------------------------------------------------------------------------------------

    def model_layers(self, name: str) -> tuple[Tree, Tree, Tree]:
        """Return how a model is made, but for its data set: as its paper says, at the scale, and as used.

        The number of seeds is no part of what a paper says of a model; there it is the used one.
        """
        in_paper, at_scale, used = (making_of(name, models) for models in self._models)
        seeds = len(self.seeds(name))
        seeds_at_scale = seed_count(name, self._models.at_scale, self.scale.seeds)
        return in_paper | {"seeds": seeds}, at_scale | {"seeds": seeds_at_scale}, used | {"seeds": seeds}

    def measure_layers(self, name: str) -> tuple[Tree, Tree, Tree]:
        """Return what a measure measures: as its paper says, at the scale, and as used."""
        in_paper, at_scale, used = (
            measures[name].model_dump(mode="json", exclude={"shards"}) for measures in self._measures
        )
        return in_paper, at_scale, used

    def audit_layers(self) -> tuple[Tree, Tree, Tree]:
        """Return the audit: as ``workflow/audit.yaml`` has it, at the scale, and as used."""
        declared, at_scale, used = (audit.model_dump(mode="json") for audit in self._audits)
        return declared, at_scale, used

    # -- resolution ----------------------------------------------------------------------------------------------

    def _gathered(self, kind: str) -> dict[str, Tree]:
        """Return all papers' declarations of one kind; names are global."""
        gathered: dict[str, Tree] = {}
        for paper, content in self._papers_as_written.items():
            file = f"papers/{paper}/paper.yaml"
            declarations = content.get(kind, {})
            if not isinstance(declarations, dict):
                raise UserError(f"{file}: {kind}: expected a mapping of names to declarations, found {declarations!r}")
            for name, tree in declarations.items():
                if not is_key(name):
                    raise UserError(f"{file}: {kind}: the name '{name}' cannot be part of a path; {KEY_IN_WORDS}")
                if not isinstance(tree, dict):
                    raise UserError(f"{file}: {kind}.{name}: expected a mapping, found {tree!r}")
                if name in gathered and gathered[name] != tree:
                    raise UserError(
                        f"{file}: {kind}.{name}: declared differently in {self._declared_in[kind, name]}; names are "
                        "global, so give one of them another name"
                    )
                gathered[name] = tree
                self._declared_in.setdefault((kind, name), file)
        if same := differing_in_case_alone(gathered):
            raise UserError(f"{self.place(kind, same[1])}: {ONE_FILE.format(same[0])}")
        return gathered

    def place(self, kind: str, name: str) -> str:
        """Return where something is declared, for messages."""
        return f"{self._declared_in[kind, name]}: {kind}.{name}"

    def _layered(
        self, kind: str, trees: dict[str, Tree], fitting: Fitting | None = None
    ) -> tuple[dict[str, Tree], dict[str, Tree]]:
        """Return declarations with the scale's changes, and with the user's on top."""
        singular = kind.removesuffix("s")
        at_scale = laid_over(trees, getattr(self.scale, kind), f"{singular} in {self._scale_file}", fitting)
        where = f"{singular} in config.yaml: overrides"
        return at_scale, laid_over(at_scale, getattr(self.config.overrides, kind), where, fitting)

    def _datasets_as_declared(self) -> dict[str, DatasetSpec]:
        written = self._gathered("datasets")
        built_in = {name.casefold() for name in DATASETS}
        for name in written:
            if name.casefold() in built_in:
                raise UserError(
                    f"{self.place('datasets', name)}: a data set of this name is built in; give it another name"
                )
        declared = {name: dataset_of(name, tree, self.place("datasets", name)) for name, tree in written.items()}
        return {**DATASETS, **declared}

    def _check_stand_ins(self) -> None:
        for name in (*self.scale.datasets, *self.scale.datasets.values()):
            if name not in self._datasets_in_papers:
                raise unknown_name(f"data set in {self._scale_file}", name, self._datasets_in_papers)
        for name in self.config.data.allow_unverified:
            if name not in self._datasets_in_papers:
                raise unknown_name("data set in config.yaml: data.allow_unverified", name, self._datasets_in_papers)

    def _models_as_declared(self) -> dict[str, ModelDeclaration]:
        models = {name: model_of(tree, self.place("models", name)) for name, tree in self._gathered("models").items()}
        for name, model in models.items():
            check_derivation(name, models)
            if not isinstance(model, DerivedModel) and model.dataset not in self.datasets:
                raise unknown_name(f"data set of model {name}", model.dataset, self.datasets)
        return models

    def _resolve_models(self) -> Layers[ModelDeclaration]:
        in_papers = self._models_as_declared()
        written = {}
        for name, tree in self._gathered("models").items():
            stand_in = self.scale.datasets.get(tree.get("dataset", ""))
            written[name] = {**tree, "dataset": stand_in} if stand_in else tree
        at_scale, used = (
            {name: model_of(tree, f"{self._changes}: models.{name}") for name, tree in layer.items()}
            for layer in self._layered("models", written, changes_that_fit)
        )
        return Layers(in_papers, at_scale, used)

    @property
    def _changes(self) -> str:
        """Where it says what differs from the papers, for messages about what was right in its paper."""
        return f"{self._scale_file} or config.yaml"

    def _resolve_measures(self) -> Layers[Measurement]:
        written = self._gathered("measures")
        in_papers = {}
        for name, tree in written.items():
            if name.casefold().startswith(RESERVED):
                raise UserError(
                    f"{self.place('measures', name)}: names that begin with '{RESERVED}' are the audit's own; take "
                    "another"
                )
            in_papers[name] = measure_of(tree, self.place("measures", name))
        at_scale, used = (
            {name: measure_of(tree, f"{self._changes}: measures.{name}") for name, tree in layer.items()}
            for layer in self._layered("measures", written)
        )
        return Layers(in_papers, at_scale, used)

    def _resolve_audits(self) -> tuple[Audit, Audit, Audit]:
        declared = read_yaml(self.root / AUDIT_FILE)
        at_scale = merged(declared, self.scale.audit)
        used = merged(at_scale, self.config.overrides.audit)
        first, second, third = (validated(Audit, tree, AUDIT_FILE) for tree in (declared, at_scale, used))
        return first, second, third


def _known(declared: Mapping[str, Declared], name: str, what: str) -> Declared:
    if name not in declared:
        raise unknown_name(what, name, declared)
    return declared[name]


def _require_usable(folder: str, why: str, asked_for: Iterable[str], known: Iterable[str]) -> None:
    """Refuse what is asked for under a name that cannot be used: a folder's name, or a file's without its ending."""
    for name in asked_for:
        if not is_key(name):
            raise UserError(f"{folder}/{name}: {why}; {KEY_IN_WORDS}")
        for other in known:
            if other != name and other.casefold() == name.casefold():
                raise UserError(f"{folder}/{name}: {ONE_FILE.format(other)}")


def _load_extensions(modules: list[str]) -> None:
    """Import the modules that add kinds of measurement; they may lie in the folder that the run starts in."""
    folder = str(Path.cwd())
    if modules and folder not in sys.path:
        sys.path.append(folder)
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module of the user's may do
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"config.yaml: extensions: {name} cannot be imported ({why})") from None

"""From what is written to data sets, models, measures and the audit, in the layers of papers, scale and user."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from robustrepro.errors import UserError, unknown_name
from robustrepro.keys import AT
from robustrepro.spec.audit import AUDIT_FILE, Audit
from robustrepro.spec.config import AuditChanges, Config, Fitting, Scale, is_meant, laid_over, merged, validated
from robustrepro.spec.datasets import DATASETS, DatasetSpec, dataset_of
from robustrepro.spec.layers import Layers
from robustrepro.spec.measurements import Measurement, measure_of
from robustrepro.spec.models import GivenModel, ModelDeclaration, TrainedModel, changes_that_fit, model_of
from robustrepro.spec.origins import check_derivation, resolved_datasets
from robustrepro.spec.readings import PaperReadings, Reading
from robustrepro.spec.strict_yaml import Tree, read_yaml
from robustrepro.spec.variants import Variants
from robustrepro.spec.written import WrittenPapers

RESERVED = "audit-"
"""What the names of the audit's own measures begin with."""


@dataclass(frozen=True)
class Resolved:
    """Everything that is declared, at every layer.

    Attributes
    ----------
    datasets_in_papers, datasets
        By name, as the papers declare them, and as the scale makes them.
    models, measures
        In layers.
    readings, asked_for
        By paper, its readings, and those of them that are run beside its default.
    variants
        What these readings change.
    """

    datasets_in_papers: Mapping[str, DatasetSpec]
    datasets: Mapping[str, DatasetSpec]
    models: Layers[ModelDeclaration]
    measures: Layers[Measurement]
    readings: Mapping[str, PaperReadings]
    asked_for: Mapping[str, Mapping[str, Reading]]
    variants: Variants


class Resolution:
    """What papers declare, with the changes of a scale and of the user laid over it.

    Parameters
    ----------
    written
        The papers' files.
    scale, scale_file
        The scale, and its file for messages.
    config
        What the user asked for, with what is to lie over the scale.
    """

    def __init__(self, written: WrittenPapers, scale: Scale, scale_file: str, config: Config) -> None:
        self._written, self._scale, self._scale_file, self._config = written, scale, scale_file, config
        self._changes = (scale_file, "config.yaml: overrides")
        """Where it says what differs from the papers, for messages about what was right in its paper."""

    def resolve(self) -> Resolved:
        """Return data sets, models and measures, with their variants under the papers' readings.

        Raises
        ------
        UserError
            At the first that is declared or changed wrongly.
        """
        datasets, models, measures = self._datasets_in_papers(), self._models_in_papers(), self._measures_in_papers()
        for name, model in models.items():
            if isinstance(model, TrainedModel | GivenModel) and model.dataset not in datasets:
                raise unknown_name(f"data set of model {name}", model.dataset, datasets)
        readings = {paper: PaperReadings(paper, content) for paper, content in self._written.trees.items()}
        used = {paper: each.used(*self._asked_for(paper)) for paper, each in readings.items()}
        variants = Variants(readings, used, self._written.trees, models, datasets, measures)
        datasets |= variants.datasets()
        generated = resolved_datasets(datasets, self._scale.datasets)
        layers_of_models = self._layers_of_models(models, variants)
        layers_of_measures = self._layers_of_measures(measures, variants)
        variants.settle({"models": layers_of_models.used, "datasets": generated, "measures": layers_of_measures.used})
        return Resolved(
            variants.referring("datasets", datasets),
            variants.referring("datasets", generated),
            Layers(*(variants.referring("models", layer) for layer in layers_of_models)),
            Layers(*(variants.referring("measures", layer) for layer in layers_of_measures)),
            readings,
            used,
            variants,
        )

    def _asked_for(self, paper: str) -> tuple[list[str] | None, str]:
        """Return which readings of a paper are asked for, if the scale or the user says so, and where that stands."""
        for asked, where in ((self._config.overrides, "config.yaml: overrides"), (self._scale, self._scale_file)):
            for name in asked.readings:
                if name not in self._written.trees:
                    raise unknown_name(f"paper in {where}: readings", name, self._written.trees)
        if paper in self._config.overrides.readings:
            return self._config.overrides.readings[paper], "config.yaml: overrides.readings"
        return self._scale.readings.get(paper), f"{self._scale_file}: readings"

    def _datasets_in_papers(self) -> dict[str, DatasetSpec]:
        """Return the data sets that are built in, and those that papers declare."""
        written = self._written.gathered("datasets")
        built_in = {name.casefold() for name in DATASETS}
        declared: dict[str, DatasetSpec] = {**DATASETS}
        for name, tree in written.items():
            place = self._written.place("datasets", name)
            if name.casefold() in built_in:
                raise UserError(f"{place}: a data set of this name is built in; give it another name")
            declared[name] = dataset_of(name, tree, place)
        for name in (*self._scale.datasets, *self._scale.datasets.values()):
            if name not in declared:
                raise unknown_name(f"data set in {self._scale_file}", name, declared)
        for name in self._config.data.allow_unverified:
            if name not in declared:
                raise unknown_name("data set in config.yaml: data.allow_unverified", name, declared)
        return declared

    def _models_in_papers(self) -> dict[str, ModelDeclaration]:
        """Return the models that papers declare."""
        trees = self._written.gathered("models")
        models = {name: model_of(tree, self._written.place("models", name)) for name, tree in trees.items()}
        for name in models:
            check_derivation(name, models)
        return models

    def _measures_in_papers(self) -> dict[str, Measurement]:
        """Return the measures that papers declare."""
        measures = {}
        for name, tree in self._written.gathered("measures").items():
            place = self._written.place("measures", name)
            if name.casefold().startswith(RESERVED):
                raise UserError(f"{place}: names that begin with '{RESERVED}' are the audit's own; take another")
            measures[name] = measure_of(tree, place)
        return measures

    def _layers_of_models(
        self, in_papers: Mapping[str, ModelDeclaration], variants: Variants
    ) -> Layers[ModelDeclaration]:
        """Return the models and their variants; at the scale, of the data sets that stand in for their own."""
        made = variants.trees("models")
        of_papers = {name: model_of(tree, variants.place("models", name)) for name, tree in made.items()}
        with_stand_ins = {}
        for name, tree in {**self._written.gathered("models"), **made}.items():
            stand_in = self._scale.datasets.get(tree.get("dataset", ""))
            with_stand_ins[name] = {**tree, "dataset": stand_in} if stand_in else tree
        layers = zip(self._changes, self._layered("models", with_stand_ins, changes_that_fit), strict=True)
        at_scale, used = (
            {name: model_of(tree, f"{where}: models.{name}") for name, tree in layer.items()} for where, layer in layers
        )
        return Layers({**in_papers, **of_papers}, at_scale, used)

    def _layers_of_measures(self, in_papers: Mapping[str, Measurement], variants: Variants) -> Layers[Measurement]:
        """Return the measures and their variants."""
        made = variants.trees("measures")
        of_papers = {name: measure_of(tree, variants.place("measures", name)) for name, tree in made.items()}
        layers = zip(
            self._changes, self._layered("measures", {**self._written.gathered("measures"), **made}), strict=True
        )
        at_scale, used = (
            {name: measure_of(tree, f"{where}: measures.{name}") for name, tree in layer.items()}
            for where, layer in layers
        )
        return Layers({**in_papers, **of_papers}, at_scale, used)

    def audits(self, root: Path) -> Layers[Audit]:
        """Return the audit of every paper.

        Raises
        ------
        UserError
            If it is declared or changed wrongly.
        """
        declared = read_yaml(root / AUDIT_FILE)
        trees = dict.fromkeys(self._written.trees, declared)
        at_scale = _changed_audits(trees, self._scale.audit, f"{self._scale_file}: audit")
        used = _changed_audits(at_scale, self._config.overrides.audit, "config.yaml: overrides.audit")
        layers = ((AUDIT_FILE, trees), (f"{self._scale_file}: audit", at_scale), ("config.yaml: overrides.audit", used))
        return Layers(
            *({paper: validated(Audit, tree, where) for paper, tree in layer.items()} for where, layer in layers)
        )

    def _layered(
        self, kind: str, trees: dict[str, Tree], fitting: Fitting | None = None
    ) -> tuple[dict[str, Tree], dict[str, Tree]]:
        """Return declarations with the scale's changes, and with the user's on top."""
        singular = kind.removesuffix("s")
        of_scale, of_user = (
            {name: changes for name, changes in getattr(overlay, kind).items() if not self._is_not_run(name, trees)}
            for overlay in (self._scale, self._config.overrides)
        )
        at_scale = laid_over(trees, of_scale, f"{singular} in {self._scale_file}", fitting)
        where = f"{singular} in config.yaml: overrides"
        return at_scale, laid_over(at_scale, of_user, where, fitting)

    def _is_not_run(self, pattern: str, trees: Mapping[str, Tree]) -> bool:
        """Tell whether a name or pattern is of readings that are declared, but not asked for."""
        _, at, reading = pattern.partition(AT)
        if not at or any(is_meant(name, pattern) for name in trees):
            return False
        declared = (name for content in self._written.trees.values() for name in content.get("readings") or {})
        return any(fnmatch.fnmatchcase(name, reading) for name in declared)


def _changed_audits(trees: Mapping[str, Tree], changes: AuditChanges, where: str) -> dict[str, Tree]:
    """Return the audit of every paper with what is changed for all of them, and then for some."""
    of_all = {paper: merged(tree, changes.model_extra or {}) for paper, tree in trees.items()}
    return laid_over(of_all, changes.papers, f"paper in {where}.papers")

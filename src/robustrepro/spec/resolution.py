"""From what is written to data sets, models, measures and the audit, in the layers of papers, scale and user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.audit import Audit
from robustrepro.spec.config import Config, Fitting, Scale, laid_over, merged, validated
from robustrepro.spec.datasets import DATASETS, DatasetSpec, dataset_of
from robustrepro.spec.layers import Layers
from robustrepro.spec.measurements import Measurement, measure_of
from robustrepro.spec.models import DerivedModel, ModelDeclaration, changes_that_fit, model_of
from robustrepro.spec.origins import check_derivation
from robustrepro.spec.reading import Tree, read_yaml
from robustrepro.spec.written import WrittenPapers

AUDIT_FILE = "workflow/audit.yaml"
RESERVED = "audit-"
"""What the names of the audit's own measures begin with."""


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

    def datasets_in_papers(self) -> dict[str, DatasetSpec]:
        """Return the data sets that are built in, and those that papers declare.

        Raises
        ------
        UserError
            If one is declared wrongly, or the scale or the user names one that there is not.
        """
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

    def models(self, datasets: Mapping[str, DatasetSpec]) -> Layers[ModelDeclaration]:
        """Return the models; at the scale, of the data sets that stand in for their own.

        Parameters
        ----------
        datasets
            Every data set.

        Raises
        ------
        UserError
            At the first model that is declared or changed wrongly.
        """
        trees = self._written.gathered("models")
        in_papers = {name: model_of(tree, self._written.place("models", name)) for name, tree in trees.items()}
        for name, model in in_papers.items():
            check_derivation(name, in_papers)
            if not isinstance(model, DerivedModel) and model.dataset not in datasets:
                raise unknown_name(f"data set of model {name}", model.dataset, datasets)
        with_stand_ins = {}
        for name, tree in trees.items():
            stand_in = self._scale.datasets.get(tree.get("dataset", ""))
            with_stand_ins[name] = {**tree, "dataset": stand_in} if stand_in else tree
        layers = zip(self._changes, self._layered("models", with_stand_ins, changes_that_fit), strict=True)
        at_scale, used = (
            {name: model_of(tree, f"{where}: models.{name}") for name, tree in layer.items()} for where, layer in layers
        )
        return Layers(in_papers, at_scale, used)

    def measures(self) -> Layers[Measurement]:
        """Return the measures.

        Raises
        ------
        UserError
            At the first measure that is declared or changed wrongly.
        """
        trees = self._written.gathered("measures")
        in_papers = {}
        for name, tree in trees.items():
            place = self._written.place("measures", name)
            if name.casefold().startswith(RESERVED):
                raise UserError(f"{place}: names that begin with '{RESERVED}' are the audit's own; take another")
            in_papers[name] = measure_of(tree, place)
        layers = zip(self._changes, self._layered("measures", trees), strict=True)
        at_scale, used = (
            {name: measure_of(tree, f"{where}: measures.{name}") for name, tree in layer.items()}
            for where, layer in layers
        )
        return Layers(in_papers, at_scale, used)

    def audits(self, root: Path) -> tuple[Audit, Audit, Audit]:
        """Return the audit as declared, at the scale, and as used.

        Raises
        ------
        UserError
            If it is declared or changed wrongly.
        """
        declared = read_yaml(root / AUDIT_FILE)
        at_scale = merged(declared, self._scale.audit)
        used = merged(at_scale, self._config.overrides.audit)
        return (
            validated(Audit, declared, AUDIT_FILE),
            validated(Audit, at_scale, f"{self._scale_file}: audit"),
            validated(Audit, used, "config.yaml: overrides.audit"),
        )

    def _layered(
        self, kind: str, trees: dict[str, Tree], fitting: Fitting | None = None
    ) -> tuple[dict[str, Tree], dict[str, Tree]]:
        """Return declarations with the scale's changes, and with the user's on top."""
        singular = kind.removesuffix("s")
        at_scale = laid_over(trees, getattr(self._scale, kind), f"{singular} in {self._scale_file}", fitting)
        where = f"{singular} in config.yaml: overrides"
        return at_scale, laid_over(at_scale, getattr(self._config.overrides, kind), where, fitting)

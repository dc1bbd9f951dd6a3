"""From declarations to resolved models, measures and papers: layers laid over one another, names checked."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import parse_condition
from robustrepro.spec.attacks import CraftingAttack, TransferAttack
from robustrepro.spec.audit import ATTACKS, Audit
from robustrepro.spec.config import Config, Scale, Tree, laid_over, merged, read_yaml, validated
from robustrepro.spec.datasets import DATASETS
from robustrepro.spec.figures import DiagonalDominance, Figure, HeatMap, models_of
from robustrepro.spec.models import ModelDeclaration
from robustrepro.spec.paper import Column, Measure, Paper, Row, Table
from robustrepro.spec.published import read_published

AUDIT = "workflow/audit.yaml"


class Declared:
    """Everything that is declared, at one scale.

    Precedence: paper.yaml, then the scale, then ``overrides`` in config.yaml, then the command line.

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
        scales = {path.stem: path for path in sorted((root / "workflow/scales").glob("*.yaml"))}
        if self.config.scale not in scales:
            raise unknown_name("scale in config.yaml", self.config.scale, scales)
        self.scale_name = self.config.scale
        self._scale_file = str(scales[self.scale_name].relative_to(root))
        self.scale = validated(Scale, read_yaml(scales[self.scale_name]), self._scale_file)
        self._check_datasets()
        everything = {path.parent.name: path for path in sorted((root / "papers").glob("*/paper.yaml"))}
        for name in self.config.papers:
            if name not in everything:
                raise unknown_name("paper in config.yaml", name, everything)
        self._trees = {name: read_yaml(path) for name, path in everything.items()}
        self.models = self._resolve_models()
        self.measures = self._resolve_measures()
        self.audit = self._resolve_audit()
        self.papers = {name: self._resolve_paper(name) for name in dict.fromkeys(self.config.papers)}
        self._check_claims()
        self._check_left_out()

    def model(self, name: str) -> ModelDeclaration:
        """Return a model's declaration at this scale."""
        if name not in self.models:
            raise unknown_name("model", name, self.models)
        return self.models[name]

    def seeds(self, name: str) -> range:
        """Return the seeds that a model is trained with."""
        return range(self.model(name).seeds or self.config.overrides.seeds or self.scale.seeds)

    def measure(self, name: str) -> Measure:
        """Return a measure's declaration at this scale."""
        if name not in self.measures:
            raise unknown_name("measure", name, self.measures)
        return self.measures[name]

    def table(self, paper: str, name: str) -> Table:
        """Return a table's declaration."""
        tables = self.papers[paper].tables
        if name not in tables:
            raise unknown_name(f"table of {paper}", name, tables)
        return tables[name]

    def figure(self, paper: str, name: str) -> Figure:
        """Return a figure's declaration."""
        figures = self.papers[paper].figures
        if name not in figures:
            raise unknown_name(f"figure of {paper}", name, figures)
        return figures[name]

    def dataset_in_paper(self, model: str) -> str:
        """Return the data set that the paper declares for a model, whatever stands in for it."""
        return str(self._declared_models[model]["dataset"])

    def instead(self, model: str) -> Iterator[str]:
        """Yield what this scale trains a model with instead of what its paper declares: architecture and epochs."""
        declared, used = self._declared_models[model], self.model(model)
        if declared["architecture"]["name"] != used.architecture.name:
            yield f"{used.architecture.name} instead of {declared['architecture']['name']}"
        if declared["epochs"] != used.epochs:
            yield f"{used.epochs} instead of {declared['epochs']} epochs"

    def left_out(self, model: str) -> bool:
        """Tell whether the user asked not to train a model."""
        return any(fnmatch.fnmatchcase(model, pattern) for pattern in self.config.leave_out)

    def is_made(self, paper: str, table: str) -> bool:
        """Tell whether a table is made: none of its models is left out."""
        return not any(map(self.left_out, self.table_models(paper, table)))

    def is_drawn(self, paper: str, figure: str) -> bool:
        """Tell whether a figure is drawn: none of its models is left out."""
        return not any(map(self.left_out, self.figure_models(paper, figure)))

    def table_models(self, paper: str, table: str) -> Iterator[str]:
        """Yield the models that a table is about."""
        declaration = self.table(paper, table)
        for row in declaration.rows.values():
            yield from row.all_models
        for column in declaration.columns.values():
            if column.transfer is not None:
                yield column.transfer.target
            if column.measure is not None and isinstance(attack := self.measure(column.measure).attack, TransferAttack):
                yield attack.source

    def figure_models(self, paper: str, figure: str) -> Iterator[str]:
        """Yield the models that a figure is drawn from."""
        match self.figure(paper, figure).figure:
            case HeatMap(table=table):
                yield from self.table_models(paper, table)
            case drawing:
                yield from models_of(drawing)

    def used_models(self) -> Iterator[str]:
        """Yield every model that some table or figure shows."""
        for name, paper in self.papers.items():
            for table in paper.tables:
                yield from self.table_models(name, table)
            for figure in paper.figures:
                yield from self.figure_models(name, figure)

    # -- resolution ----------------------------------------------------------------------------------------------

    def _check_datasets(self) -> None:
        for name in (*self.scale.datasets, *self.scale.datasets.values()):
            if name not in DATASETS:
                raise unknown_name(f"data set in {self._scale_file}", name, DATASETS)
        for name in self.config.data.allow_unverified:
            if name not in DATASETS:
                raise unknown_name("data set in config.yaml: data.allow_unverified", name, DATASETS)

    @cached_property
    def _declared_models(self) -> dict[str, Tree]:
        return self._gathered("models")

    def _gathered(self, kind: str) -> dict[str, Tree]:
        """Return all papers' declarations of one kind; names are global."""
        found: dict[str, Tree] = {}
        origin: dict[str, str] = {}
        for paper, content in self._trees.items():
            declarations = content.get(kind)
            if not isinstance(declarations, dict):
                raise UserError(f"papers/{paper}/paper.yaml: {kind}: expected a mapping of names to declarations")
            for name, tree in declarations.items():
                if not isinstance(tree, dict):
                    raise UserError(f"papers/{paper}/paper.yaml: {kind}.{name}: expected a mapping, found {tree!r}")
                if name in found and found[name] != tree:
                    raise UserError(
                        f"papers/{paper}/paper.yaml: {kind}.{name}: declared differently in papers/{origin[name]}/"
                        "paper.yaml; names are global, so give one of them another name"
                    )
                found[name] = tree
                origin.setdefault(name, paper)
        return found

    def _layered(self, kind: str, trees: dict[str, Tree]) -> dict[str, Tree]:
        singular = kind.removesuffix("s")
        trees = laid_over(trees, getattr(self.scale, kind), singular, self._scale_file)
        return laid_over(trees, getattr(self.config.overrides, kind), singular, "config.yaml: overrides")

    def _resolve_models(self) -> dict[str, ModelDeclaration]:
        declared = self._declared_models
        for name, tree in declared.items():
            if "dataset" in tree and tree["dataset"] not in DATASETS:
                raise unknown_name(f"data set of model {name}", str(tree["dataset"]), DATASETS)
        substituted = {
            name: merged(tree, {"dataset": self.scale.datasets.get(tree.get("dataset", ""), tree.get("dataset"))})
            for name, tree in declared.items()
        }
        resolved = {
            name: validated(ModelDeclaration, tree, f"models.{name}")
            for name, tree in self._layered("models", substituted).items()
        }
        for name, model in resolved.items():
            if model.dataset not in DATASETS:
                raise unknown_name(f"data set of model {name}", model.dataset, DATASETS)
        return resolved

    def _resolve_measures(self) -> dict[str, Measure]:
        layered = self._layered("measures", self._gathered("measures"))
        measures = {name: validated(Measure, tree, f"measures.{name}") for name, tree in layered.items()}
        for name, measure in measures.items():
            if isinstance(measure.attack, TransferAttack) and measure.attack.source not in self.models:
                raise unknown_name(f"source in measures.{name}", measure.attack.source, self.models)
        return measures

    def _resolve_audit(self) -> Audit:
        tree = read_yaml(self.root / AUDIT)
        for layer in (self.scale.audit, self.config.overrides.audit):
            tree = merged(tree, layer)
        return validated(Audit, tree, AUDIT)

    def _resolve_paper(self, name: str) -> Paper:
        source = f"papers/{name}/paper.yaml"
        paper = validated(Paper, self._trees[name], source)
        for key, table in paper.tables.items():
            where = f"{source}: tables.{key}"
            for row_key, row in table.rows.items():
                for model in row.all_models:
                    if model not in self.models:
                        raise unknown_name(f"model in {where}.rows.{row_key}", model, self.models)
                for column_key, column in table.columns.items():
                    self._check_cell(where, row_key, row, column_key, column)
            if table.published:
                read_published(self.root / "papers" / name / "published" / table.published, table)
        for key, figure in paper.figures.items():
            self._check_figure(f"{source}: figures.{key}", figure, paper)
        return paper

    def _check_cell(self, where: str, row_key: str, row: Row, column_key: str, column: Column) -> None:
        if column.measure is not None:
            if column.measure not in self.measures:
                raise unknown_name(f"measure in {where}.columns.{column_key}", column.measure, self.measures)
            if row.model is None:
                raise UserError(f"{where}.rows.{row_key}: column {column_key} measures one model; expected 'model'")
            attack = self.measures[column.measure].attack
            if isinstance(attack, TransferAttack):
                self._check_pair(f"{where}.columns.{column_key}", source=attack.source, target=row.model)
                self._check_seeds(f"{where}.columns.{column_key}", attack.source, "source")
        if column.transfer is not None:
            if row.model is None:
                raise UserError(f"{where}.rows.{row_key}: column {column_key} attacks with one model; expected 'model'")
            if column.transfer.target not in self.models:
                raise unknown_name(f"model in {where}.columns.{column_key}", column.transfer.target, self.models)
            if column.transfer.measure not in self.measures:
                raise unknown_name(f"measure in {where}.columns.{column_key}", column.transfer.measure, self.measures)
            attack = self.measures[column.transfer.measure].attack
            if not isinstance(attack, CraftingAttack):
                raise UserError(
                    f"{where}.columns.{column_key}: examples are transferred from an attack that makes them "
                    f"({', '.join(ATTACKS)}), which {column.transfer.measure} is not"
                )
            self._check_pair(f"{where}.columns.{column_key}", source=row.model, target=column.transfer.target)
            if not (column.transfer.white_box and row.model == column.transfer.target):
                self._check_seeds(f"{where}.columns.{column_key}", column.transfer.target, "target")
        for key in column.distance or ():
            if key not in (row.models or {}):
                raise unknown_name(f"model of row {row_key} in {where}.columns.{column_key}", key, row.models or {})

    def _check_pair(self, where: str, *, source: str, target: str) -> None:
        ours, theirs = self.model(source).dataset, self.model(target).dataset
        if ours != theirs:
            raise UserError(
                f"{where}: examples are transferred between models of one data set; {source} is of {ours}, "
                f"{target} of {theirs}"
            )

    def _check_seeds(self, where: str, model: str, role: str) -> None:
        if len(self.seeds(model)) < 2:
            raise UserError(
                f"{where}: {model} has one seed; an independently trained {role} needs two or more (overrides in "
                "config.yaml: seeds)"
            )

    def _check_figure(self, where: str, figure: Figure, paper: Paper) -> None:
        if isinstance(figure.figure, HeatMap):
            if figure.figure.table not in paper.tables:
                raise unknown_name(f"table in {where}", figure.figure.table, paper.tables)
            return
        for model in models_of(figure.figure):
            if model not in self.models:
                raise unknown_name(f"model in {where}", model, self.models)
        if isinstance(figure.figure, DiagonalDominance):
            if figure.figure.measure not in self.measures:
                raise unknown_name(f"measure in {where}", figure.figure.measure, self.measures)
            if isinstance(self.measures[figure.figure.measure].attack, TransferAttack):
                raise UserError(
                    f"{where}: {figure.figure.measure} attacks by transfer; expected a measure of one model"
                )

    def _check_claims(self) -> None:
        for name, paper in self.papers.items():
            for key, claim in paper.claims.items():
                where = f"papers/{name}/paper.yaml: claims.{key}"
                for text in claim.holds_if:
                    try:
                        condition = parse_condition(text)
                    except UserError as error:
                        raise UserError(f"{where}: {error}") from None
                    for _, cell in condition.terms:
                        if cell.table not in paper.tables:
                            raise unknown_name(f"table in {where}", cell.table, paper.tables)
                        table = paper.tables[cell.table]
                        if cell.row not in table.rows:
                            raise unknown_name(f"row of {cell.table} in {where}", cell.row, table.rows)
                        if cell.column not in table.columns:
                            raise unknown_name(f"column of {cell.table} in {where}", cell.column, table.columns)

    def _check_left_out(self) -> None:
        for pattern in self.config.leave_out:
            if not fnmatch.filter(self.models, pattern):
                raise unknown_name("model in config.yaml: leave_out", pattern, self.models)

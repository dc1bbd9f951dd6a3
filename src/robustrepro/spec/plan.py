"""The plan of a run: declarations, scale and overrides resolved into one spec per job.

Snakemake asks this module what each job depends on. Every answer is a function of names alone (a model, a seed, a
measure, a table), so that equal declarations give equal jobs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.base import canonical_json
from robustrepro.spec.claims import parse_condition
from robustrepro.spec.config import Config, Scale, Tree, laid_over, merged, read_yaml, validated
from robustrepro.spec.datasets import DATASETS, dataset_spec
from robustrepro.spec.paper import Column, Figure, Measure, Panel, Paper, Row, Table
from robustrepro.spec.published import read_published
from robustrepro.spec.sources import code_digest
from robustrepro.spec.training import ModelDeclaration


class Plan:
    """What a run makes, at one scale.

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
        self._root = root
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
        self._declared = {name: read_yaml(path) for name, path in everything.items()}
        self._models = self._resolve_models()
        self._measures = self._resolve_measures()
        self.papers = {name: self._resolve_paper(name) for name in dict.fromkeys(self.config.papers)}
        self._check_claims()

    # -- names ---------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> str:
        """Where everything that this scale makes lies."""
        return f"results/{self.scale_name}"

    def model(self, name: str) -> ModelDeclaration:
        """Return a model's declaration at this scale."""
        if name not in self._models:
            raise unknown_name("model", name, self._models)
        return self._models[name]

    def seeds(self, name: str) -> range:
        """Return the seeds that a model is trained with."""
        return range(self.model(name).seeds or self.config.overrides.seeds or self.scale.seeds)

    # -- one spec a job: canonical JSON, from names alone --------------------------------------------------------

    def data_spec(self, dataset: str) -> str:
        """Return the spec of the job that makes a data set."""
        allowed = dataset in self.config.data.allow_unverified
        return canonical_json({"dataset": dataset_spec(dataset).model_dump(mode="json"), "allow_unverified": allowed})

    def training_spec(self, model: str) -> str:
        """Return the spec of the job that trains a model with one seed."""
        return canonical_json(self.model(model).training_spec())

    def attack_spec(self, model: str, measure: str) -> str:
        """Return the spec of the job that measures a model under an attack."""
        return canonical_json(self._attack_tree(model, measure))

    def distance_spec(self, model: str, other: str) -> str:
        """Return the spec of the job that measures how far apart two models' parameters are."""
        return canonical_json({"models": [model, other]})

    def boundary_spec(self, model: str, resolution: int | str) -> str:
        """Return the spec of the job that evaluates a model on a grid over the plane."""
        declaration = self.model(model)
        architecture = declaration.architecture.model_dump(mode="json")
        return canonical_json({"architecture": architecture, "resolution": int(resolution)})

    def table_spec(self, paper: str, table: str) -> str:
        """Return the spec of the job that makes a table: its declaration and the source of every cell."""
        declaration = self._table(paper, table)
        cells = [
            {"row": row_key, "column": column_key, **self._cell(row, column)}
            for row_key, row in declaration.rows.items()
            for column_key, column in declaration.columns.items()
        ]
        models = sorted({model for cell in cells for model in cell["models"]})
        return canonical_json(
            {
                "id": table,
                "paper": paper,
                "scale": self.scale_name,
                "table": declaration.in_order(),
                "cells": cells,
                # As text: a table shows what its models were trained with, but runs none of that code.
                "training": {model: self.training_spec(model) for model in models},
                "stand_ins": self.stand_ins(models),
                "unverified": self.unverified(models),
            }
        )

    def figure_spec(self, paper: str, figure: str) -> str:
        """Return the spec of the job that draws a figure."""
        declaration = self._figure(paper, figure)
        tree = declaration.model_dump(mode="json")
        for panel, file in zip(tree["figure"]["panels"], self.figure_inputs(paper, figure), strict=True):
            panel["measurement"] = file
        models = [panel.model for panel in declaration.figure.panels]
        tree |= {"stand_ins": self.stand_ins(models), "unverified": self.unverified(models)}
        return canonical_json({"id": figure, "paper": paper, "scale": self.scale_name, **tree})

    def scorecard_spec(self) -> str:
        """Return the spec of the job that gives every claim a verdict."""
        papers = [
            {
                "id": name,
                "claims": [{"key": key, **claim.model_dump(mode="json")} for key, claim in paper.claims.items()],
                "tables": list(paper.tables),
            }
            for name, paper in self.papers.items()
        ]
        return canonical_json({"scale": self.scale_name, "papers": papers})

    def report_spec(self) -> str:
        """Return the spec of the job that writes the report."""
        papers = [
            {
                "id": name,
                "title": paper.title,
                "authors": paper.authors,
                "summary": paper.summary,
                "departures": [departure.model_dump(mode="json") for departure in paper.departures],
                "tables": list(paper.tables),
                "figures": [
                    {"id": key, "where": figure.where, "caption": figure.caption}
                    for key, figure in paper.figures.items()
                ],
            }
            for name, paper in self.papers.items()
        ]
        models = list(self._used_models())
        return canonical_json(
            {
                "scale": self.scale_name,
                "scale_description": self.scale.description,
                "stand_ins": self.stand_ins(models),
                "unverified": self.unverified(models),
                "papers": papers,
            }
        )

    def code(self, step: str, spec: str) -> str:
        """Return the digest of the sources that a job of this step and spec runs."""
        return code_digest(step, json.loads(spec))

    def published_digest(self, paper: str, table: str) -> str:
        """Return the SHA-256 of a table's printed numbers; empty when the paper does not print it."""
        path = self.published_path(paper, table)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""

    # -- files ---------------------------------------------------------------------------------------------------

    def published_path(self, paper: str, table: str) -> Path | None:
        """Return the file with a table's numbers as printed."""
        name = self._table(paper, table).published
        return self._root / "papers" / paper / "published" / name if name else None

    def published_option(self, paper: str, table: str) -> str:
        """Return the option that hands a table's printed numbers to its step; empty when there are none."""
        name = self._table(paper, table).published
        return f"--published papers/{paper}/published/{name}" if name else ""

    def manifest(self, model: str) -> str:
        """Return the manifest of the data set that a model is trained on."""
        return f"data/{self.model(model).dataset}/manifest.json"

    def weights(self, model: str, seed: int | str) -> str:
        """Return a model's checkpoint."""
        return f"{self.folder}/models/{model}/seed{seed}/weights.safetensors"

    def table_inputs(self, paper: str, table: str) -> list[str]:
        """Return the measurements that a table is made from."""
        declaration = self._table(paper, table)
        cells = [
            self._cell(row, column) for row in declaration.rows.values() for column in declaration.columns.values()
        ]
        return list(dict.fromkeys(file for cell in cells for file in cell["measurements"].values()))

    def table_cards(self, paper: str, table: str) -> list[str]:
        """Return the cards of the models that a table is about."""
        declaration = self._table(paper, table)
        models = dict.fromkeys(model for row in declaration.rows.values() for model in _row_models(row))
        return [self._card(model, seed) for model in models for seed in self.seeds(model)]

    def figure_inputs(self, paper: str, figure: str) -> list[str]:
        """Return the measurements that a figure is drawn from."""
        drawn = self._figure(paper, figure).figure
        return [self._panel_file(panel, drawn.resolution) for panel in drawn.panels]

    def tables_of(self, papers: Iterable[str] | None = None) -> Iterator[str]:
        """Yield every table's JSON file."""
        for name in self.papers if papers is None else papers:
            yield from (f"{self.folder}/papers/{name}/tables/{table}.json" for table in self.papers[name].tables)

    def figures_of(self, papers: Iterable[str] | None = None) -> Iterator[str]:
        """Yield every figure's PNG file."""
        for name in self.papers if papers is None else papers:
            yield from (f"{self.folder}/papers/{name}/figures/{figure}.png" for figure in self.papers[name].figures)

    # -- honesty -------------------------------------------------------------------------------------------------

    def stand_ins(self, models: Iterable[str]) -> dict[str, str]:
        """Return which of these models' data sets another one stands in for: {the paper's: the one used}."""
        originals = {self._declared_models[model]["dataset"] for model in models}
        return {name: self.scale.datasets[name] for name in sorted(originals) if name in self.scale.datasets}

    def unverified(self, models: Iterable[str]) -> list[str]:
        """Return the data sets of these models whose bytes need not be the official ones."""
        return sorted({self.model(model).dataset for model in models} & set(self.config.data.allow_unverified))

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
        for paper, content in self._declared.items():
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
        return {name: validated(Measure, tree, f"measures.{name}") for name, tree in layered.items()}

    def _resolve_paper(self, name: str) -> Paper:
        source = f"papers/{name}/paper.yaml"
        paper = validated(Paper, self._declared[name], source)
        for key, table in paper.tables.items():
            where = f"{source}: tables.{key}"
            for row_key, row in table.rows.items():
                for model in _row_models(row):
                    if model not in self._models:
                        raise unknown_name(f"model in {where}.rows.{row_key}", model, self._models)
                for column_key, column in table.columns.items():
                    self._check_cell(where, row_key, row, column_key, column)
            if table.published:
                read_published(self._root / "papers" / name / "published" / table.published, table)
        for key, figure in paper.figures.items():
            for panel in figure.figure.panels:
                if panel.model not in self._models:
                    raise unknown_name(f"model in {source}: figures.{key}", panel.model, self._models)
        return paper

    def _check_cell(self, where: str, row_key: str, row: Row, column_key: str, column: Column) -> None:
        if column.measure is not None:
            if column.measure not in self._measures:
                raise unknown_name(f"measure in {where}.columns.{column_key}", column.measure, self._measures)
            if row.model is None:
                raise UserError(f"{where}.rows.{row_key}: column {column_key} measures one model; expected 'model'")
        for key in column.distance or ():
            if key not in (row.models or {}):
                raise unknown_name(f"model of row {row_key} in {where}.columns.{column_key}", key, row.models or {})

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

    def _table(self, paper: str, table: str) -> Table:
        tables = self.papers[paper].tables
        if table not in tables:
            raise unknown_name(f"table of {paper}", table, tables)
        return tables[table]

    def _figure(self, paper: str, figure: str) -> Figure:
        figures = self.papers[paper].figures
        if figure not in figures:
            raise unknown_name(f"figure of {paper}", figure, figures)
        return figures[figure]

    def _attack_tree(self, model: str, measure: str) -> Tree:
        if measure not in self._measures:
            raise unknown_name("measure", measure, self._measures)
        declaration = self.model(model)
        tree: Tree = {
            **self._measures[measure].model_dump(mode="json"),
            "architecture": declaration.architecture.model_dump(mode="json"),
        }
        if tree["attack"].get("loss") == "training":
            tree["objective"] = declaration.objective.model_dump(mode="json")
        return tree

    def _cell(self, row: Row, column: Column) -> Tree:
        """Return what a cell is computed from: its kind, models, and one measurement a seed."""
        if column.distance is not None:
            models = row.models or {}
            first, second = (models[key] for key in column.distance)
            seeds = range(min(len(self.seeds(first)), len(self.seeds(second))))
            files = {str(seed): self._measurement("parameter_distance", first, seed, second) for seed in seeds}
            return {"kind": "parameter_distance", "models": [first, second], "measurements": files}
        model, measure = str(row.model), str(column.measure)
        files = {str(seed): self._measurement("attack", model, seed, measure) for seed in self.seeds(model)}
        return {"kind": "attack", "models": [model], "measurements": files}

    def _measurement(self, kind: str, model: str, seed: int, what: str) -> str:
        return f"{self.folder}/measurements/{kind}/{model}/seed{seed}/{what}.parquet"

    def _card(self, model: str, seed: int) -> str:
        return f"{self.folder}/models/{model}/seed{seed}/card.json"

    def _panel_file(self, panel: Panel, resolution: int) -> str:
        return self._measurement("decision_boundary", panel.model, panel.seed, f"grid{resolution}")

    def _used_models(self) -> Iterator[str]:
        for paper in self.papers.values():
            for table in paper.tables.values():
                for row in table.rows.values():
                    yield from _row_models(row)
            for figure in paper.figures.values():
                yield from (panel.model for panel in figure.figure.panels)


def _row_models(row: Row) -> list[str]:
    return [row.model] if row.model else list((row.models or {}).values())

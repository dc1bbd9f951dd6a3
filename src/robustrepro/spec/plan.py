"""The plan of a run: one spec per job, and the files between the jobs.

Snakemake asks this module what each job depends on. Every answer is a function of names alone (a model, a seed, a
measure, a table), so that equal declarations give equal jobs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from robustrepro.canonical import canonical_json
from robustrepro.errors import UserError
from robustrepro.spec.attacks import TransferAttack
from robustrepro.spec.audit import attack_at
from robustrepro.spec.config import Config, Tree
from robustrepro.spec.datasets import DATASETS, dataset_spec
from robustrepro.spec.declarations import Declared
from robustrepro.spec.layout import AUDIT, Layout
from robustrepro.spec.models import ModelDeclaration
from robustrepro.spec.paper import Paper
from robustrepro.spec.robustness import Robustness
from robustrepro.spec.shown import Shown
from robustrepro.spec.sources import code_digest


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
        self.declared = Declared(config, root)
        self.scale_name = self.declared.scale_name
        self.folder = f"results/{self.scale_name}"
        """Where everything that this scale makes lies."""
        self._layout = Layout(self.folder)
        self.robustness = Robustness(self.declared)
        self._shown = Shown(self.declared, self._layout, self.robustness)

    @property
    def config(self) -> Config:
        """What the user asked for."""
        return self.declared.config

    @property
    def papers(self) -> Mapping[str, Paper]:
        """The papers asked for."""
        return self.declared.papers

    def model(self, name: str) -> ModelDeclaration:
        """Return a model's declaration at this scale."""
        return self.declared.model(name)

    def seeds(self, name: str) -> range:
        """Return the seeds that a model is trained with."""
        return self.declared.seeds(name)

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
        declaration = self.declared.measure(measure)
        if isinstance(declaration.attack, TransferAttack):
            raise UserError(f"{measure} attacks by transfer: its examples are made for {declaration.attack.source}")
        tree = declaration.model_dump(mode="json", exclude_none=True)
        return canonical_json({**tree, **self._attacked(model, tree["attack"])})

    def transfer_spec(self, model: str, seed: int | str, measure: str) -> str:
        """Return the spec of the job that attacks other models with one model's adversarial examples."""
        if measure == AUDIT:
            audit = self.declared.audit
            attacks = [
                attack_at(audit.transfer, norm, epsilon) for norm, epsilon in self.robustness.balls_beside(model)
            ]
            tree: Tree = {"split": "test", "examples": audit.examples}
        else:
            tree = self.declared.measure(measure).model_dump(mode="json", exclude_none=True)
            attack = tree.pop("attack")
            attacks = [attack["attack"] if attack["name"] == "transfer" else attack]
        targets = [
            {"model": target, "seed": other, "architecture": self._architecture(target)}
            for target, other in self.robustness.transfer_targets(model, seed, measure)
        ]
        return canonical_json({**tree, "attacks": attacks, "targets": targets, **self._attacked(model, *attacks)})

    def audit_spec(self, model: str) -> str:
        """Return the spec of the job that runs the audit's attacks on a model."""
        audit = self.declared.audit
        balls = [
            {
                "norm": norm,
                "epsilon": epsilon,
                "attacks": {key: attack_at(template, norm, epsilon) for key, template in audit.attacks.items()},
                "escalation": {
                    "attacks": {key: attack_at(template, norm, epsilon) for key, template in audit.escalation.items()}
                },
                "noise": {"attack": attack_at({"name": "noise", "draws": audit.noises}, norm, epsilon)},
                "smaller": {"attack": audit.smaller.curve(norm, epsilon)},
            }
            for norm, epsilon in self.robustness.audited[model]
        ]
        tree = {"balls": balls, "examples": audit.examples}
        return canonical_json({**tree, "architecture": self._architecture(model)})

    def distance_spec(self, model: str, other: str) -> str:
        """Return the spec of the job that measures how far apart two models' parameters are."""
        return canonical_json({"models": [model, other]})

    def boundary_spec(self, model: str, resolution: int | str) -> str:
        """Return the spec of the job that evaluates a model on a grid over the plane."""
        return canonical_json({"architecture": self._architecture(model), "resolution": int(resolution)})

    def path_spec(self, model: str, every: int | str) -> str:
        """Return the spec of the job that records the gradients and parameters of a training."""
        return canonical_json({"training": self.model(model).training_spec(), "every": int(every)})

    def losses_spec(self, model: str) -> str:
        """Return the spec of the job that measures a model's losses on its training examples."""
        return canonical_json({"architecture": self._architecture(model), "split": "train", "examples": None})

    def measurement(self, kind: str, model: str, seed: int, what: str) -> tuple[str, list[tuple[str, int]]]:
        """Return the spec of a measurement and the models, with their seeds, that it is of.

        Raises
        ------
        UserError
            If no rule makes such a measurement.
        """
        if seed not in self.seeds(model):
            raise UserError(f"{model} has no seed {seed} at this scale")
        number = what.lstrip("abcdefghijklmnopqrstuvwxyz")
        match kind, what.removesuffix(number):
            case "attack", _:
                return self.attack_spec(model, what), [(model, seed)]
            case "transfer", _ if targets := self.robustness.transfer_targets(model, seed, what):
                return self.transfer_spec(model, seed, what), [(model, seed), *targets]
            case "parameter_distance", _:
                return self.distance_spec(model, what), [(model, seed), (what, seed)]
            case "audit", "audit" if model in self.robustness.audited and not number:
                return self.audit_spec(model), [(model, seed)]
            case "losses", "train" if not number:
                return self.losses_spec(model), [(model, seed)]
            case "decision_boundary", "grid" if number.isdigit():
                return self.boundary_spec(model, number), [(model, seed)]
            case "training_path", "every" if number.isdigit():
                return self.path_spec(model, number), [(model, seed)]
        raise UserError("no rule makes such a measurement")

    def table_spec(self, paper: str, table: str) -> str:
        """Return the spec of the job that makes a table: its declaration and the source of every cell."""
        declaration = self.declared.table(paper, table)
        cells = [
            {"row": row_key, "column": column_key, **self._shown.cell(row, column)}
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
        declaration = self.declared.figure(paper, figure)
        tree = declaration.model_dump(mode="json")
        tree["figure"] |= self._shown.drawing(paper, figure)
        models = list(self.declared.figure_models(paper, figure))
        tree |= {"stand_ins": self.stand_ins(models), "unverified": self.unverified(models)}
        return canonical_json({"id": figure, "paper": paper, "scale": self.scale_name, **tree})

    def claims_audit_spec(self) -> str:
        """Return the spec of the job that judges every claim about robustness again, on the worst case an image."""
        papers = [
            {
                "id": name,
                "claims": [
                    {"key": key, "holds_if": claim.holds_if, "cells": cells}
                    for key, claim in paper.claims.items()
                    if (cells := self.robustness.robust_cells(name, claim.holds_if))
                ],
                "tables": [table for table in paper.tables if self.declared.is_made(name, table)],
                "seeds": {model: len(self.seeds(model)) for model in self.robustness.audited if model in paper.models},
                "sources": {
                    model: self.robustness.sources(name, model)
                    for model in self.robustness.audited
                    if model in paper.models
                },
            }
            for name, paper in self.papers.items()
        ]
        return canonical_json({"folder": self.folder, "papers": papers})

    def scorecard_spec(self) -> str:
        """Return the spec of the job that gives every claim a verdict."""
        papers = [
            {
                "id": name,
                "claims": [{"key": key, **claim.model_dump(mode="json")} for key, claim in paper.claims.items()],
                "tables": [table for table in paper.tables if self.declared.is_made(name, table)],
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
                "terms": [{"term": term, "meaning": meaning} for term, meaning in paper.terms.items()],
                "departures": [departure.model_dump(mode="json") for departure in paper.departures],
                "tables": [
                    {"id": key, "where": table.where, "caption": table.caption} for key, table in paper.tables.items()
                ],
                "figures": [
                    {"id": key, "where": figure.where, "caption": figure.caption}
                    for key, figure in paper.figures.items()
                ],
            }
            for name, paper in self.papers.items()
        ]
        models = list(self.declared.used_models())
        return canonical_json(
            {
                "scale": self.scale_name,
                "scale_description": self.declared.scale.description,
                "stand_ins": self.stand_ins(models),
                "sources": {used: DATASETS[used].in_words for used in self.stand_ins(models).values()},
                "unverified": self.unverified(models),
                "instead": self.instead(models),
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
        name = self.declared.table(paper, table).published
        return self.declared.root / "papers" / paper / "published" / name if name else None

    def published_option(self, paper: str, table: str) -> str:
        """Return the option that hands a table's printed numbers to its step; empty when there are none."""
        name = self.declared.table(paper, table).published
        return f"--published papers/{paper}/published/{name}" if name else ""

    def manifest(self, model: str) -> str:
        """Return the manifest of the data set that a model is trained on."""
        return f"data/{self.model(model).dataset}/manifest.json"

    def weights(self, model: str, seed: int | str) -> str:
        """Return a model's checkpoint."""
        return self._layout.weights(model, seed)

    def transfer_weights(self, model: str, seed: int | str, measure: str) -> list[str]:
        """Return the checkpoints of the models that a model's adversarial examples are tried on."""
        return [self.weights(target, other) for target, other in self.robustness.transfer_targets(model, seed, measure)]

    def transfer_options(self, model: str, seed: int | str, measure: str) -> str:
        """Return the options that hand these checkpoints to the step, in the order of its spec."""
        return " ".join(f"--target-weights {path}" for path in self.transfer_weights(model, seed, measure))

    def table_inputs(self, paper: str, table: str) -> list[str]:
        """Return the measurements that a table is made from."""
        declaration = self.declared.table(paper, table)
        cells = [
            self._shown.cell(row, column)
            for row in declaration.rows.values()
            for column in declaration.columns.values()
        ]
        return list(dict.fromkeys(file for cell in cells for file in cell["measurements"].values()))

    def figure_inputs(self, paper: str, figure: str) -> list[str]:
        """Return the measurements, or the table, that a figure is drawn from."""
        return list(dict.fromkeys(_files_in(self._shown.drawing(paper, figure))))

    def audit_inputs(self) -> list[str]:
        """Return the measurements that the claims are audited with."""
        files = [
            self._layout.worst_case(cell, paper["sources"][cell["model"]], seed)
            for paper in json.loads(self.claims_audit_spec())["papers"]
            for claim in paper["claims"]
            for cell in claim["cells"]
            for seed in range(paper["seeds"][cell["model"]])
        ]
        return list(dict.fromkeys(_files_in(files)))

    def tables_of(self, papers: Iterable[str] | None = None) -> Iterator[str]:
        """Yield the JSON file of every table that is made."""
        for name in self.papers if papers is None else papers:
            for table in self.papers[name].tables:
                if self.declared.is_made(name, table):
                    yield self._layout.table(name, table)

    def figures_of(self, papers: Iterable[str] | None = None) -> Iterator[str]:
        """Yield the PNG file of every figure that is drawn."""
        for name in self.papers if papers is None else papers:
            for figure in self.papers[name].figures:
                if self.declared.is_drawn(name, figure):
                    yield self._layout.figure(name, figure)

    def targets(self) -> Iterator[tuple[str, list[str]]]:
        """Yield what can be asked for by name, with its files: a paper, and each of its tables and figures."""
        for name in self.papers:
            files = [*self.tables_of([name]), *self.figures_of([name])]
            yield name, files
            for file in files:
                yield f"{name}_{Path(file).stem}".replace("-", "_").replace(".", "_"), [file]

    # -- honesty -------------------------------------------------------------------------------------------------

    def stand_ins(self, models: Iterable[str]) -> dict[str, str]:
        """Return which of these models' data sets another one stands in for: {the paper's: the one used}."""
        stand_ins = self.declared.scale.datasets
        originals = {self.declared.dataset_in_paper(model) for model in models}
        return {name: stand_ins[name] for name in sorted(originals) if name in stand_ins}

    def unverified(self, models: Iterable[str]) -> list[str]:
        """Return the data sets of these models whose bytes need not be the official ones."""
        return sorted({self.model(model).dataset for model in models} & set(self.config.data.allow_unverified))

    def instead(self, models: Iterable[str]) -> list[str]:
        """Return in words what these models are trained with instead of what their papers declare."""
        found: dict[str, dict[str, None]] = {}
        for name in dict.fromkeys(models):
            for difference in self.declared.instead(name):
                found.setdefault(difference, {})[name] = None
        return [f"{difference} ({len(names)} of the models)" for difference, names in found.items()]

    # -- the parts of specs --------------------------------------------------------------------------------------

    def _architecture(self, model: str) -> Tree:
        return self.model(model).architecture.model_dump(mode="json")

    def _attacked(self, model: str, *attacks: Tree) -> Tree:
        """Return what a job knows of the model that it attacks: its objective only where an attack ascends it."""
        tree: Tree = {"architecture": self._architecture(model)}
        if any(attack.get("loss") == "training" for attack in attacks):
            tree["objective"] = self.model(model).objective.model_dump(mode="json")
        return tree


def _files_in(tree: Any) -> Iterator[str]:
    """Yield every file of results in a spec, in order."""
    if isinstance(tree, Mapping):
        for value in tree.values():
            yield from _files_in(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _files_in(value)
    elif isinstance(tree, str) and tree.startswith("results/"):
        yield tree

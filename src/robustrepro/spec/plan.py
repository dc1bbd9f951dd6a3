"""The plan of a run: one job per file, and the files between the jobs.

Snakemake asks this module what each job depends on. Every answer is a function of names alone (a model, a seed, a
measure, a table), so that equal declarations give equal jobs, whichever papers are asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError
from robustrepro.layout import PAIR, Layout
from robustrepro.spec.audited import PaperAudit, measures_of_audits
from robustrepro.spec.checks import check_papers
from robustrepro.spec.config import Config, Tree
from robustrepro.spec.contents import Contents, everything_shown
from robustrepro.spec.datasets import AdversarialDataset, GeneratedDataset
from robustrepro.spec.declarations import RESERVED, Declarations
from robustrepro.spec.jobs import Job, Seeded, spec_of
from robustrepro.spec.measurements import AuditTransfer, Cost, Measurement, Transfer, runs_of
from robustrepro.spec.models import DerivedModel, GivenModel, TrainedModel
from robustrepro.spec.paper import Paper
from robustrepro.spec.sources import STEPS
from robustrepro.words import measure_in_words

RULES = frozenset(STEPS) | {
    "all",
    "data_of_scale",
    "data_of_scale_test_only",
    "data_test_only",
    "measure_shard",
}
"""The rules of the workflow, whose names no target can have."""
NOTHING = "(?!)"
"""A regular expression that nothing matches."""


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
        self.declarations = Declarations(config, root)
        self.scale_name = self.declarations.scale_name
        self.folder = f"results/{self.scale_name}"
        """Where everything that this scale makes lies."""
        self.layout = Layout(self.folder)
        self.contents = Contents(self.declarations, self.layout)
        check_papers(self.declarations, self.contents)
        self.audits = {name: PaperAudit(name, self.declarations) for name in self.papers}
        self._measures_of_audits = measures_of_audits(self.audits.values())
        self._jobs: dict[tuple[Any, ...], Job] = {}
        self.targets()  # which refuses two of one name

    @property
    def config(self) -> Config:
        """What the user asked for."""
        return self.declarations.config

    @property
    def papers(self) -> Mapping[str, Paper]:
        """The papers asked for."""
        return self.declarations.papers

    # -- jobs ----------------------------------------------------------------------------------------------------

    def job(self, step: str, **names: Any) -> Job:
        """Return the job of a step for these names, the wildcards of its rule.

        Raises
        ------
        UserError
            If nothing is declared under such a name.
        """
        names.pop("scale", None)
        key = (step, *sorted((name, str(value)) for name, value in names.items()))
        if key not in self._jobs:
            self._jobs[key] = self._makers[step](**names)
        return self._jobs[key]

    def part(self, step: str, of: str) -> Callable[[Any], Any]:
        """Return the function by which a rule asks for a part of its job: a function of wildcards alone."""
        return lambda wildcards: getattr(self.job(step, **dict(wildcards.items())), of)

    @cached_property
    def _makers(self) -> Mapping[str, Callable[..., Job]]:
        return {
            "data": self._data_job,
            "train": self._training_job,
            "derive": self._derivation_job,
            "measure": self._measurement_job,
            "gather": self._gathering_job,
            "table": self._table_job,
            "figure": self._figure_job,
            "audit": self._audit_job,
            "scorecard": self._scorecard_job,
            "summary": self._summary_job,
            "report": self._report_job,
        }

    def _data_job(self, dataset: str, seed: int | str | None = None) -> Job:
        """Return the job that makes a data set; with a seed, one that belongs to this scale."""
        declared = self.declarations.dataset(dataset)
        if str(self.declarations.dataset_seed(dataset, int(seed or 0))) != str(seed):
            raise UserError(f"data set {dataset} has no seed {seed} at this scale")
        content: Tree = {
            "dataset": declared.model_dump(mode="json"),
            "declared_by": _class_path(declared),
            "allow_unverified": dataset in self.config.data.allow_unverified,
        }
        inputs: list[tuple[str, str]] = []
        models: list[Seeded] = []
        if isinstance(declared, GeneratedDataset):
            inputs = [("source", self.manifest(declared.source, 0))]
        runs = runs_of(declared)
        if isinstance(declared, AdversarialDataset):
            model, number = declared.model, self._checked_seed(declared.model, seed or 0)
            network = self.declarations.network(model)
            content |= {"seed": number, "attack_model": self._subject(model, number, {"network"})}
            inputs = [
                ("source", self.manifest(self.declarations.dataset_of(model), number)),
                ("weights", self.layout.weights(model, number)),
            ]
            models, runs = [(model, number)], runs_of(declared, network)
        cost = Cost(gpu=1 if models else 0, memory_mb=4000)
        return Job("data", spec_of(runs, **content), tuple(inputs), tuple(models), cost)

    def _training_job(self, model: str, seed: int | str) -> Job:
        declared = self.declarations.model(model)
        if not isinstance(declared, TrainedModel):
            raise UserError(f"{model} is not trained: it is derived from another model, or given")
        number = self._checked_seed(model, seed)
        spec = spec_of(runs_of(declared), model=model, seed=number, training=declared.training_spec())
        return Job(
            "train", spec, (("data", self.manifest(declared.dataset, number)),), cost=Cost(gpu=1, memory_mb=3000)
        )

    def _derivation_job(self, model: str, seed: int | str) -> Job:
        declared = self.declarations.model(model)
        number = self._checked_seed(model, seed)
        network = self.declarations.network(model)
        dataset = self.declarations.dataset_of(model)
        content: Tree = {"model": model, "seed": number, "dataset": dataset, "network": network.model_dump(mode="json")}
        inputs = [("data", self.manifest(dataset, number))]
        if isinstance(declared, DerivedModel):
            source = (declared.derived.source, number)
            content["derived"] = declared.derived.model_dump(mode="json", by_alias=True)
            inputs.append(("weights", self.layout.weights(*source)))
            return Job("derive", spec_of(runs_of(declared, network), **content), tuple(inputs), (source,))
        if not isinstance(declared, GivenModel):
            raise UserError(f"{model} is trained, not derived or given")
        content["given"] = declared.given.model_dump(mode="json")
        return Job("derive", spec_of(runs_of(network), **content), tuple(inputs))

    def _measurement_job(
        self, measure: str, subject: str, seed: int | str, shard: int | str | None = None, **_: Any
    ) -> Job:
        declared, names = self.measure(measure, subject), subject.split(PAIR)
        number = min(self._checked_seed(name, seed) for name in names)
        if len(names) != declared.subjects:
            raise UserError(f"{measure} is of {declared.subjects} model(s) at a time; {subject} names {len(names)}")
        targets = self._targets(measure, declared, subject, number)
        models = [(name, number) for name in names] + targets
        networks = [self.declarations.network(name) for name, _ in models if declared.parts()]
        parts = [getattr(self.declarations.origin(name), part, None) for name in names for part in declared.parts()]
        spec = spec_of(
            runs_of(declared, *networks, *parts, *self._trainings(names, declared)),
            declared_by=_class_path(declared),
            measure=declared.model_dump(mode="json", exclude={"shards"}, exclude_none=True),
            subjects=[self._subject(name, number, declared.parts()) for name in names],
            targets=[self._subject(name, other, {"network"}) for name, other in targets] or None,
            shard=None if shard is None else [int(shard), declared.shards],
        )
        inputs = [("weights", self.layout.weights(*model)) for model in models]
        if declared.reads_data:
            inputs.insert(0, ("data", self.manifest(self.declarations.dataset_of_measure(declared, names[0]), number)))
        return Job("measure", spec, tuple(inputs), tuple(models), declared.cost)

    def _gathering_job(self, measure: str, subject: str, seed: int | str) -> Job:
        declared = self.measure(measure, subject)
        shards = [self._measurement_job(measure, subject, seed, shard) for shard in range(declared.shards)]
        inputs = tuple(
            ("shard", self.layout.shard(measure, subject, seed, number, declared.shards))
            for number in range(declared.shards)
        )
        content = json.loads(shards[0].spec)
        del content["shard"]
        # Not run again, but a gathered file's digest must tell what its rows were measured with.
        runs = sorted([*content.pop("runs"), STEPS["measure"]])
        return Job("gather", spec_of(runs, **content), inputs, shards[0].models)

    def _table_job(self, paper: str, table: str) -> Job:
        models = sorted(set(self.contents.table_models(paper, table)))
        # As text: a table shows what its models were trained with, but runs none of that code.
        training = {model: self._account_of(model) for model in models}
        shared = {**self._shared(self.contents.table_shows(paper, table)), "training": training}
        files = [self.layout.measurement(*key) for key in self.contents.table(paper, table).measurements]
        return Job("table", self.contents.table_spec(paper, table, shared), _found_by_name(files))

    def _figure_job(self, paper: str, figure: str) -> Job:
        declared = self.declarations.figure(paper, figure)
        models = self.contents.figure_models(paper, figure)
        measures = sorted({source.measure for source in declared.figure.sources()})
        spec = spec_of(
            [declared.figure.implementation],
            id=figure,
            paper=paper,
            where=declared.where,
            caption=declared.caption,
            figure=declared.figure.model_dump(mode="json"),
            declared_by=_class_path(declared.figure),
            seeds={model: len(self.declarations.seeds(model)) for model in models},
            measures={name: measure_in_words(self._described(name)) for name in measures},
            **self._shared(self.contents.figure_shows(paper, figure)),
        )
        return Job("figure", spec, _found_by_name(self.contents.figure_files(paper, figure)))

    def _audit_job(self, paper: str) -> Job:
        audit = self.audits[paper]
        claims = [
            {"key": key, "holds_if": claim.holds_if, "cells": cells}
            for key, claim in self.papers[paper].claims.items()
            if (cells := audit.claim_cells(claim.holds_if))
        ]
        spec = spec_of(
            [],
            folder=self.folder,
            scale=self.scale_name,
            paper=paper,
            claims=claims,
            tables=list(self.papers[paper].tables),
            seeds={model: len(self.declarations.seeds(model)) for model in audit.balls},
            sources={model: audit.sources(model) for model in audit.balls},
        )
        return Job("audit", spec, _found_by_name([*self.tables_of(paper), *audit.files(self.layout)]))

    def _scorecard_job(self, paper: str) -> Job:
        spec = spec_of(
            [],
            folder=self.folder,
            scale=self.scale_name,
            paper=paper,
            claims=[{"key": key, **claim.model_dump(mode="json")} for key, claim in self.papers[paper].claims.items()],
            tables=list(self.papers[paper].tables),
        )
        return Job("scorecard", spec, _found_by_name([*self.tables_of(paper), self.layout.audit(paper)]))

    def _summary_job(self) -> Job:
        files = [file for paper in self.papers for file in (*self.tables_of(paper), self.layout.scorecard(paper))]
        papers = [{"id": name, "tables": list(paper.tables)} for name, paper in self.papers.items()]
        spec = spec_of([], folder=self.folder, scale=self.scale_name, papers=papers)
        return Job("summary", spec, _found_by_name(files))

    def _report_job(self) -> Job:
        shown = everything_shown(self.contents, self.declarations, self.papers)
        shared = self._shared(shown)
        used = sorted(set(shared["stand_ins"].values()))
        files = [file for paper in self.papers for file in self.files_of(paper)]
        spec = spec_of(
            [],
            **shared,
            scale_description=self.declarations.scale.description,
            sources={name: self.declarations.dataset(name).in_words for name in used},
            instead=self.scale_differences(model for model, _ in shown),
            papers=[_presented(name, paper) for name, paper in self.papers.items()],
        )
        return Job("report", spec, _found_by_name(files))

    # -- files ---------------------------------------------------------------------------------------------------

    def manifest(self, dataset: str, seed: int) -> str:
        """Return the manifest of a data set; of one that is made from a model, that for a model with this seed."""
        number = self.declarations.dataset_seed(dataset, seed)
        return f"data/{dataset}/manifest.json" if number is None else self.layout.data_manifest(dataset, number)

    def tables_of(self, paper: str) -> list[str]:
        """Return the JSON file of every table of a paper."""
        return [self.layout.table(paper, table) for table in self.papers[paper].tables]

    def figures_of(self, paper: str) -> list[str]:
        """Return the PNG file of every figure of a paper that is drawn."""
        return [
            self.layout.figure(paper, figure)
            for figure in self.papers[paper].figures
            if self.contents.is_drawn(paper, figure)
        ]

    def files_of(self, paper: str) -> list[str]:
        """Return all that is made of a paper: tables, figures, verdicts."""
        return [*self.tables_of(paper), *self.figures_of(paper), self.layout.audit(paper), self.layout.scorecard(paper)]

    def targets(self) -> dict[str, list[str]]:
        """Return what can be asked for by name, with its files: a paper, and each of its tables and figures.

        Raises
        ------
        UserError
            If two of them have one name, or a paper has that of a rule.
        """
        targets: dict[str, list[str]] = {}
        for paper in self.papers:
            if paper in RULES:
                raise UserError(
                    f"papers/{paper}: the target '{paper}' would be a rule of the workflow; rename the folder"
                )
            shown = [*self.tables_of(paper), *self.figures_of(paper)]
            names = {paper: self.files_of(paper)}
            for file in shown:
                name = f"{paper}_{Path(file).stem}".replace("-", "_").replace(".", "_")
                if name in names or name in targets:
                    raise UserError(f"papers/{paper}/paper.yaml: two tables or figures would be the target '{name}'")
                names[name] = [file]
            targets |= names
        return targets

    def pattern(self, of: str) -> str:
        """Return the regular expression of some names.

        Parameters
        ----------
        of
            ``trained`` or ``derived`` models, ``sharded`` measures, or data sets with ``both_splits`` or ``test_only``.
        """
        datasets = self.declarations.datasets
        both = [name for name in datasets if self.declarations.has_training_split(name)]
        models = self.declarations.models
        trained = [name for name, model in models.items() if isinstance(model, TrainedModel)]
        sharded = [name for name, measure in self.declarations.measures.items() if measure.shards > 1]
        names = {
            "trained": trained,
            "derived": [name for name in models if name not in trained],
            "sharded": sharded,
            "both_splits": both,
            "test_only": [name for name in datasets if name not in both],
        }[of]
        return "|".join(map(re.escape, sorted(names))) or NOTHING

    # -- honesty -------------------------------------------------------------------------------------------------

    def scale_differences(self, models: Iterable[str]) -> list[str]:
        """Return in words what these models are trained with instead of what their papers declare."""
        differing: dict[str, dict[str, None]] = {}
        for name in dict.fromkeys(models):
            for difference in self.declarations.scale_differences(name):
                differing.setdefault(difference, {})[name] = None
        return [f"{difference} ({len(names)} of the models)" for difference, names in differing.items()]

    def _shared(self, shown: Iterable[tuple[str, str]]) -> Tree:
        """Return what every table, figure and report says of its scale and of the data behind what it shows."""
        behind: dict[str, str] = {}
        for model, measure in shown:
            behind |= self.declarations.data_behind(model, self.declarations.measure(measure))
        return {
            "folder": self.folder,
            "scale": self.scale_name,
            "stand_ins": {name: behind[name] for name in sorted(behind) if behind[name] != name},
            "unverified": sorted(set(behind.values()) & set(self.config.data.allow_unverified)),
        }

    # -- the parts of specs --------------------------------------------------------------------------------------

    def measure(self, measure: str, subject: str) -> Measurement:
        """Return a measure's declaration, the audits' own included."""
        if not measure.startswith(RESERVED):
            return self.declarations.measure(measure)
        if measure in self._measures_of_audits:
            return self._measures_of_audits[measure]
        for audit in self.audits.values():
            if measure == audit.transfer_measure:
                return audit.transfer(subject)
        raise UserError(f"no audit of the papers asked for has a measure {measure}")

    def _described(self, measure: str) -> Tree:
        return self.declarations.measure(measure).model_dump(mode="json", exclude_none=True)

    def _targets(self, measure: str, declared: Measurement, source: str, seed: int) -> list[Seeded]:
        """Return the models that a measurement tries its examples on, each with its seed."""
        if isinstance(declared, Transfer):
            return self.contents.transfer_targets(measure, source, seed)
        if isinstance(declared, AuditTransfer):
            audit = next(audit for audit in self.audits.values() if audit.transfer_measure == measure)
            return audit.transfer_targets(source, seed)
        return []

    def _trainings(self, names: Iterable[str], declared: Measurement) -> Iterator[Any]:
        """Yield what is run again where a measurement repeats a training."""
        if "training" in declared.parts():
            yield from (self.declarations.origin(name) for name in names)

    def _subject(self, model: str, seed: int, parts: Iterable[str]) -> Tree:
        """Return what a job knows of a model."""
        origin = self.declarations.origin(model)
        subject: Tree = {"model": model, "seed": seed}
        for part in parts:
            if part == "network":
                subject["network"] = origin.network.model_dump(mode="json")
            elif isinstance(origin, TrainedModel):
                is_objective = part == "objective"
                subject[part] = origin.objective.model_dump(mode="json") if is_objective else origin.training_spec()
            else:
                raise UserError(f"{model} was not trained here, so that nothing is known of its {part}")
        return subject

    def _account_of(self, model: str) -> str:
        """Return how a model was made, as JSON."""
        declared = self.declarations.model(model)
        content = declared.training_spec() if isinstance(declared, TrainedModel) else declared.model_dump(mode="json")
        return json.dumps(content, sort_keys=True, ensure_ascii=False)

    def _checked_seed(self, model: str, seed: int | str) -> int:
        if int(seed) not in self.declarations.seeds(model):
            raise UserError(f"{model} has no seed {seed} at this scale")
        return int(seed)


def _class_path(declared: Any) -> str:
    return f"{type(declared).__module__}:{type(declared).__name__}"


def _found_by_name(files: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return inputs that the step finds by their names."""
    return tuple(("", file) for file in files)


def _presented(name: str, paper: Paper) -> Tree:
    """Return what the report says of a paper."""
    return {
        "id": name,
        "title": paper.title,
        "authors": paper.authors,
        "summary": paper.summary,
        "terms": [{"term": term, "meaning": meaning} for term, meaning in paper.terms.items()],
        "departures": [departure.model_dump(mode="json") for departure in paper.departures],
        "tables": [{"id": key, "where": table.where, "caption": table.caption} for key, table in paper.tables.items()],
        "figures": [
            {"id": key, "where": figure.where, "caption": figure.caption} for key, figure in paper.figures.items()
        ],
    }

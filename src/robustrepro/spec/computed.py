"""The jobs that compute: data sets, models, measurements."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from robustrepro.errors import UserError
from robustrepro.layout import PAIR, Layout
from robustrepro.spec.audited import PaperAudit, batteries_of
from robustrepro.spec.contents import Contents
from robustrepro.spec.datasets import AdversarialDataset, DerivedDataset
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.job_maker import JobMaker
from robustrepro.spec.jobs import Job, Seeded, class_path, spec_of
from robustrepro.spec.measurements import AuditTransfer, Cost, Measurement, Part, Transfer, runs_of
from robustrepro.spec.models import ChosenModel, DerivedModel, GivenModel, TrainedModel
from robustrepro.spec.origins import kept_epochs, require_checkpoints
from robustrepro.spec.reads import FIRST_SEED, models_read_by
from robustrepro.spec.resolution import RESERVED
from robustrepro.spec.sources import STEPS
from robustrepro.spec.strict_yaml import Tree


class ComputedJobs(JobMaker):
    """The jobs whose steps get their inputs by role, on the command line."""

    def __init__(
        self, declarations: Declarations, contents: Contents, audits: Mapping[str, PaperAudit], layout: Layout
    ) -> None:
        super().__init__(declarations, contents, audits, layout)
        self._batteries = batteries_of(audits.values())

    def measure(self, measure: str, subject: str) -> Measurement:
        """Return a measure's declaration, the audits' own included."""
        if not measure.startswith(RESERVED):
            return self._declarations.measure(measure)
        if (measure, subject) in self._batteries:
            return self._batteries[measure, subject]
        for audit in self._audits.values():
            if measure in audit.transfer_measures:
                return audit.transfer(measure, subject)
        raise UserError(f"no audit of the papers asked for has a measure {measure} of {subject}")

    def data(self, dataset: str, seed: int | str | None = None) -> Job:
        """Return the job that makes a data set; with a seed, one that belongs to this scale."""
        declared = self._declarations.dataset(dataset)
        if str(self._declarations.dataset_seed(dataset, int(seed or 0))) != str(seed):
            raise UserError(f"data set {dataset} has no seed {seed} at this scale")
        content: Tree = {
            "dataset": declared.model_dump(mode="json"),
            "declared_by": class_path(declared),
            "allow_unverified": dataset in self._declarations.config.data.allow_unverified,
        }
        inputs: list[tuple[str, str]] = []
        models: list[Seeded] = []
        if isinstance(declared, DerivedDataset):
            inputs = [("source", self.manifest(declared.source, 0))]
        runs = runs_of(declared)
        if isinstance(declared, AdversarialDataset):
            model, number = declared.model, self._checked_seed(declared.model, seed or 0)
            network = self._declarations.network(model)
            content |= {"seed": number, "attack_model": self._subject(model, number, {"network"})}
            inputs = [
                ("source", self.manifest(self._declarations.dataset_of(model), number)),
                ("weights", self._layout.weights(model, number)),
            ]
            models, runs = [(model, number)], runs_of(declared, network)
        cost = Cost(gpu=1 if models else 0, memory_mb=4000)
        return Job("data", spec_of(runs, **content), tuple(inputs), tuple(models), cost)

    def train(self, model: str, seed: int | str) -> Job:
        """Return the job that trains a model with one seed; one that a search chooses, as its candidate is trained."""
        declared, training = self._declarations.model(model), self._declarations.training(model)
        if model in self._declarations.stopped:
            raise UserError(f"{model} is not trained: it is a checkpoint of {self._declarations.stopped[model].source}")
        number = self._checked_seed(model, seed)
        inputs = [("data", self.manifest(self._declarations.dataset_of(model), number))]
        runs, content = [declared], {"training": training}
        if isinstance(declared, ChosenModel):
            inputs.append(("search", self._layout.search(*declared.chosen.search.split("/"))))
            runs, content = [self._declarations.model(each) for each in declared.chosen.among.values()], training
        read = self._declarations.read_in_training(model)
        inputs += [("features", self._layout.weights(other, FIRST_SEED)) for other in read]
        spec = spec_of(
            runs_of(*runs, *map(self._declarations.network, read)),
            model=model,
            seed=number,
            features=[self._read(other) for other in read] or None,
            **content,
        )
        models = tuple((other, FIRST_SEED) for other in read)
        return Job("train", spec, tuple(inputs), models, cost=Cost(gpu=1, memory_mb=3000))

    def derive(self, model: str, seed: int | str) -> Job:
        """Return the job that makes a model without training it, derived or given, with one seed."""
        declared = self._declarations.model(model)
        number = self._checked_seed(model, seed)
        network = self._declarations.network(model)
        dataset = self._declarations.dataset_of(model)
        content: Tree = {"model": model, "seed": number, "dataset": dataset, "network": network.model_dump(mode="json")}
        inputs = [("data", self.manifest(dataset, number))]
        derived = self._declarations.stopped.get(model)
        if isinstance(declared, DerivedModel):
            derived = declared.derived
        if derived is not None:
            source, reads = (derived.source, number), derived.change.reads
            content["derived"] = derived.model_dump(mode="json", by_alias=True)
            file = self._layout.checkpoints if reads == "checkpoints" else self._layout.weights
            inputs.append((reads, file(*source)))
            return Job("derive", spec_of(runs_of(derived, network), **content), tuple(inputs), (source,))
        if not isinstance(declared, GivenModel):
            raise UserError(f"{model} is trained, not derived or given")
        content["given"] = declared.given.model_dump(mode="json")
        return Job(
            "derive", spec_of(runs_of(network), **content), tuple(inputs), cost=Cost(memory_mb=3000, minutes=120)
        )

    def measurement(self, measure: str, subject: str, seed: int | str, shard: int | str | None = None, **_: Any) -> Job:
        """Return the job that measures a model, or a pair joined by ``+``; with a shard, a part of the rows."""
        declared, names = self.measure(measure, subject), subject.split(PAIR)
        number = min(self._checked_seed(name, seed) for name in names)
        if len(names) != declared.subjects:
            raise UserError(f"{measure} is of {declared.subjects} model(s) at a time; {subject} names {len(names)}")
        if "checkpoints" in declared.parts():
            require_checkpoints(measure, subject, self._declarations.models)
        targets = self._targets(measure, declared, subject, number)
        read = self._read_by(declared, names)
        models = [(name, number) for name in names] + targets + [(name, FIRST_SEED) for name in read]
        parts = [self._part(name, part) for name in names for part in declared.parts()]
        parts += [self._declarations.network(name) for name in (*(target for target, _ in targets), *read)]
        spec = spec_of(
            runs_of(declared, *parts),
            declared_by=class_path(declared),
            measure=declared.model_dump(mode="json", exclude={"shards"}, exclude_none=True),
            subjects=[self._subject(name, number, declared.parts()) for name in names],
            targets=[self._subject(name, other, {"network"}) for name, other in targets] or None,
            features=[self._read(name) for name in read] or None,
            shard=None if shard is None else [int(shard), declared.shards],
        )
        inputs = [("weights", self._layout.weights(*model)) for model in models]
        if "checkpoints" in declared.parts():
            stopped = self._declarations.stopped.get(subject)  # its training is another one's, which keeps the weights
            inputs.append(("checkpoints", self._layout.checkpoints(stopped.source if stopped else subject, number)))
        if "history" in declared.parts():
            inputs.append(("history", self._layout.history(subject, number)))
        if declared.reads_data:
            inputs.insert(0, ("data", self.manifest(self._declarations.dataset_of_measure(declared, names[0]), number)))
        return Job("measure", spec, tuple(inputs), tuple(models), declared.cost)

    def gather(self, measure: str, subject: str, seed: int | str) -> Job:
        """Return the job that joins the parts of a measurement."""
        declared = self.measure(measure, subject)
        shards = [self.measurement(measure, subject, seed, shard) for shard in range(declared.shards)]
        inputs = tuple(
            ("shard", self._layout.shard(measure, subject, seed, number, declared.shards))
            for number in range(declared.shards)
        )
        content = json.loads(shards[0].spec)
        del content["shard"]
        # Not run again, but a gathered file's digest must tell what its rows were measured with.
        runs = sorted([*content.pop("runs"), STEPS["measure"]])
        return Job("gather", spec_of(runs, **content), inputs, shards[0].models)

    def manifest(self, dataset: str, seed: int) -> str:
        """Return the manifest of a data set; of one that is made from a model, that for a model with this seed."""
        number = self._declarations.dataset_seed(dataset, seed)
        return f"data/{dataset}/manifest.json" if number is None else self._layout.data_manifest(dataset, number)

    def _targets(self, measure: str, declared: Measurement, source: str, seed: int) -> list[Seeded]:
        """Return the models that a measurement tries its examples on, each with its seed."""
        if isinstance(declared, Transfer):
            return self._contents.pairing.targets(measure, source, seed)
        if isinstance(declared, AuditTransfer):
            audit = next(audit for audit in self._audits.values() if measure in audit.transfer_measures)
            return audit.transfer_targets(measure, source, seed)
        return []

    def _read_by(self, declared: Measurement, names: Iterable[str]) -> list[str]:
        """Return the models whose features a measurement compares, also in a training that it repeats."""
        read = models_read_by(declared)
        if "training" in declared.parts():
            read += [model for name in names for model in self._declarations.read_in_training(name)]
        return list(dict.fromkeys(read))

    def _read(self, model: str) -> Tree:
        """Return what a job knows of a model whose features it compares."""
        return self._subject(model, FIRST_SEED, {"network"})

    def _part(self, model: str, part: Part) -> Any:
        """Return what is declared of a part of a model; of its training, everything."""
        if part == "checkpoints":
            return kept_epochs(model, self._declarations.models)
        origin = self._declarations.origin(model)
        if part == "network":
            return origin.network
        if not isinstance(origin, TrainedModel):
            raise UserError(f"{model} was not trained here, so that nothing is known of its {part}")
        if part == "history":
            return origin.test_accuracy
        return origin.objective if part == "objective" else origin

    def _subject(self, model: str, seed: int, parts: Iterable[Part]) -> Tree:
        """Return what a job knows of a model."""
        declared = {part: self._part(model, part) for part in parts}
        content: Tree = {
            part: each.training_spec() if isinstance(each, TrainedModel) else to_jsonable_python(each)
            for part, each in declared.items()
        }
        return {"model": model, "seed": seed, **content}

    def _checked_seed(self, model: str, seed: int | str) -> int:
        if int(seed) not in self._declarations.seeds(model):
            raise UserError(f"{model} has no seed {seed} at this scale")
        return int(seed)

"""The plan of a run: one job per file, and the files between the jobs.

Snakemake asks this module what each job depends on. Every answer is a function of names alone (a model, a seed, a
measure, a table), so that equal declarations give equal jobs, whichever papers are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError
from robustrepro.layout import DATA, MEASUREMENT, MODEL, SHARD, Layout
from robustrepro.spec.audited import PaperAudit
from robustrepro.spec.checks import check_papers
from robustrepro.spec.computed import ComputedJobs
from robustrepro.spec.config import Config
from robustrepro.spec.contents import Contents
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.jobs import Job
from robustrepro.spec.paper import Paper
from robustrepro.spec.presented import PresentedJobs
from robustrepro.spec.sources import STEPS

RULES = frozenset(STEPS) | {
    "all",
    "data_of_scale",
    "data_of_scale_test_only",
    "data_test_only",
    "measure_shard",
}
"""The rules of the workflow, whose names no target can have."""
PAGES = frozenset({"index"})
"""Pages of the report beside those of the papers, whose names no paper can have."""
AS_UNDERSCORES = str.maketrans("-.@", "___")
"""What stands in a name, and not in that of a target."""
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
        self.folder = f"results/{self._folder_name()}"
        """Where everything that this run makes lies: the folder of its scale, or one of a trial."""
        self.layout = Layout(self.folder)
        self.contents = Contents(self.declarations, self.layout)
        check_papers(self.declarations, self.contents)
        audits = {name: PaperAudit(name, self.declarations, self.contents) for name in self.papers}
        parts = (self.declarations, self.contents, audits, self.layout)
        self.computed, self.presented = ComputedJobs(*parts), PresentedJobs(*parts)
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

    def _folder_name(self) -> str:
        named, scale = self.config.folder, self.scale_name
        if named is None:
            return scale
        for other in self.declarations.scales:
            if other.casefold() == named.casefold() and named != scale:
                raise UserError(
                    f"config.yaml: folder: results/{named} belongs to the scale '{other}'; take another name"
                )
        return named

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

    def job_of(self, name: str) -> Job | None:
        """Return the job that computes a file; None of one that is made of measurements alone.

        Parameters
        ----------
        name
            Its path below the scale's folder.

        Raises
        ------
        UserError
            If it is a model, a measurement or a data set, and nothing is declared under its name.
        """
        if match := MODEL.fullmatch(name):
            step = "train" if re.fullmatch(self.pattern("trained"), match["model"]) else "derive"
            return self.job(step, model=match["model"], seed=match["seed"])
        if match := MEASUREMENT.fullmatch(name):
            sharded = self.computed.measure(match["measure"], match["subject"]).shards > 1
            return self.job("gather" if sharded else "measure", **match.groupdict())
        if match := SHARD.fullmatch(name):
            return self.job("measure", **match.groupdict())
        if match := DATA.fullmatch(name):
            return self.job("data", dataset=match["dataset"], seed=match["seed"])
        return None

    def part(self, step: str, of: str) -> Callable[[Any], Any]:
        """Return the function by which a rule asks for a part of its job: a function of wildcards alone."""
        return lambda wildcards: getattr(self.job(step, **dict(wildcards.items())), of)

    @cached_property
    def _makers(self) -> Mapping[str, Callable[..., Job]]:
        computed, presented = self.computed, self.presented
        return {
            "data": computed.data,
            "train": computed.train,
            "derive": computed.derive,
            "measure": computed.measurement,
            "gather": computed.gather,
            "table": presented.table,
            "figure": presented.figure,
            "search": presented.search,
            "audit": presented.audit,
            "scorecard": presented.scorecard,
            "summary": presented.summary,
            "page": presented.page,
            "report": presented.report,
        }

    def targets(self) -> dict[str, list[str]]:
        """Return what can be asked for by name, with its files: a paper, and each of its tables and figures.

        Raises
        ------
        UserError
            If two of them have one name, or one has that of a rule or of another page of the report.
        """
        targets: dict[str, list[str]] = {}
        for paper in self.papers:
            if paper.casefold() in PAGES:
                raise UserError(f"papers/{paper}: the report has a page '{paper}' of its own; rename the folder")
            if paper.casefold() in RULES:
                raise UserError(
                    f"papers/{paper}: the target '{paper}' would be a rule of the workflow; rename the folder"
                )
            targets[paper] = self.presented.files_of(paper)
        for paper in self.papers:
            for file in [*self.presented.all_tables_of(paper), *self.presented.figures_of(paper)]:
                name = f"{paper}_{Path(file).stem}".translate(AS_UNDERSCORES)
                if name in RULES:
                    raise UserError(f"papers/{paper}/paper.yaml: the target '{name}' would be a rule of the workflow")
                if name in targets:
                    what = "two tables or figures" if name not in self.papers else "a paper and a table or figure"
                    raise UserError(f"papers/{paper}/paper.yaml: {what} would be the target '{name}'; rename one")
                targets[name] = [file]
        return targets

    def pattern(self, of: str) -> str:
        """Return the regular expression of some names.

        Parameters
        ----------
        of
            ``papers`` asked for, ``trained`` or ``derived`` models, ``sharded`` measures, or data sets with
            ``both_splits`` or ``test_only``.
        """
        datasets = self.declarations.datasets
        both = [name for name in datasets if self.declarations.has_training_split(name)]
        models = self.declarations.models
        trained = [name for name in models if self.declarations.is_trained(name)]
        sharded = [name for name, measure in self.declarations.measures.items() if measure.shards > 1]
        names = {
            "papers": list(self.papers),
            "trained": trained,
            "derived": [name for name in models if name not in trained],
            "sharded": sharded,
            "both_splits": both,
            "test_only": [name for name in datasets if name not in both],
        }[of]
        return "|".join(map(re.escape, sorted(names))) or NOTHING

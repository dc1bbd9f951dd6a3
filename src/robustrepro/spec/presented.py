"""The jobs that present: tables, figures, verdicts, the report. Their steps find their inputs by name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from robustrepro.layout import Layout
from robustrepro.spec.audited import PaperAudit
from robustrepro.spec.contents import Contents, Shown, everything_shown
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.differences import Differences
from robustrepro.spec.job_maker import JobMaker
from robustrepro.spec.jobs import Job, class_path, found_by_name, spec_of
from robustrepro.spec.models import TrainedModel
from robustrepro.spec.paper import Claim, Paper
from robustrepro.spec.reading import Tree
from robustrepro.words import measure_in_words


class PresentedJobs(JobMaker):
    """The jobs of papers, and of the scale as a whole."""

    def __init__(
        self, declarations: Declarations, contents: Contents, audits: Mapping[str, PaperAudit], layout: Layout
    ) -> None:
        super().__init__(declarations, contents, audits, layout)
        self._papers = declarations.papers
        self._differences = Differences(declarations)

    def table(self, paper: str, table: str) -> Job:
        """Return the job that makes a table."""
        models = sorted(set(self._contents.table_models(paper, table)))
        # As text: a table shows what its models were trained with, but runs none of that code.
        training = {model: self._account_of(model) for model in models}
        shown = self._contents.table_shows(paper, table)
        shared = {**self._shared(shown), "training": training, "differs": self._from_paper(shown)}
        changed = {row: self._changed_in_row(paper, table, row) for row in self._papers[paper].tables[table].rows}
        files = [self._layout.measurement(*key) for key in self._contents.table(paper, table).measurements]
        return Job("table", self._contents.table_spec(paper, table, changed, shared), found_by_name(files))

    def figure(self, paper: str, figure: str) -> Job:
        """Return the job that draws a figure."""
        declared = self._declarations.figure(paper, figure)
        models = self._contents.figure_models(paper, figure)
        measures = sorted({source.measure for source in declared.figure.sources()})
        spec = spec_of(
            [declared.figure.implementation],
            id=figure,
            paper=paper,
            where=declared.where,
            caption=declared.caption,
            figure=declared.figure.model_dump(mode="json"),
            declared_by=class_path(declared.figure),
            seeds={model: len(self._declarations.seeds(model)) for model in models},
            measures={
                name: measure_in_words(self._declarations.measure(name).model_dump(mode="json", exclude_none=True))
                for name in measures
            },
            **self._shared(self._contents.figure_shows(paper, figure)),
        )
        return Job("figure", spec, found_by_name(self._contents.figure_files(paper, figure)))

    def audit(self, paper: str) -> Job:
        """Return the job that judges a paper's claims about robustness again, on the per-image worst case."""
        audit = self._audits[paper]
        claims = [
            {
                "key": key,
                "holds_if": claim.holds_if,
                "cells": cells,
                "values": audit.claim_values(claim.holds_if),
                "differs": self._audit_differs(paper, claim, cells),
            }
            for key, claim in self._papers[paper].claims.items()
            if (cells := audit.claim_cells(claim.holds_if))
        ]
        spec = spec_of(
            [],
            folder=self._layout.folder,
            scale=self._declarations.scale_name,
            paper=paper,
            claims=claims,
            tables=list(self._papers[paper].tables),
            seeds={model: len(self._declarations.seeds(model)) for model in audit.balls},
            sources={model: audit.sources(model) for model in audit.balls},
        )
        return Job("audit", spec, found_by_name([*self.tables_of(paper), *audit.files(self._layout)]))

    def scorecard(self, paper: str) -> Job:
        """Return the job that gives every claim of a paper a verdict."""
        spec = spec_of(
            [],
            folder=self._layout.folder,
            scale=self._declarations.scale_name,
            paper=paper,
            claims=[
                {"key": key, **claim.model_dump(mode="json"), "differs": self._claim_differs(paper, claim)}
                for key, claim in self._papers[paper].claims.items()
            ],
            tables=list(self._papers[paper].tables),
        )
        return Job("scorecard", spec, found_by_name([*self.tables_of(paper), self._layout.audit(paper)]))

    def summary(self) -> Job:
        """Return the job that brings all papers' verdicts and numbers together."""
        files = [file for paper in self._papers for file in (*self.tables_of(paper), self._layout.scorecard(paper))]
        papers = [{"id": name, "tables": list(paper.tables)} for name, paper in self._papers.items()]
        spec = spec_of([], folder=self._layout.folder, scale=self._declarations.scale_name, papers=papers)
        return Job("summary", spec, found_by_name(files))

    def page(self, paper: str) -> Job:
        """Return the job that writes a paper's page of the report; it links to those of all papers asked for."""
        spec = spec_of(
            [],
            **self._asked([paper]),
            paper={**_listed(paper, self._papers[paper]), **_described(self._papers[paper])},
            papers=[{"id": name, "title": declared.title} for name, declared in self._papers.items()],
        )
        return Job("page", spec, found_by_name(self._shown_files(paper)))

    def report(self) -> Job:
        """Return the job that writes the report's first page: every claim in a line, over all scales that have run."""
        files = [file for paper in self._papers for file in (*self.tables_of(paper), *self._verdicts_of(paper))]
        spec = spec_of(
            [],
            **self._asked(self._papers),
            scales=self._declarations.scales,
            papers=[_listed(name, paper) for name, paper in self._papers.items()],
        )
        return Job("report", spec, found_by_name([*files, *self._other_scorecards()]))

    def tables_of(self, paper: str) -> list[str]:
        """Return the JSON file of every table of a paper."""
        return [self._layout.table(paper, table) for table in self._papers[paper].tables]

    def figures_of(self, paper: str) -> list[str]:
        """Return the PNG file of every figure of a paper that is drawn."""
        return [
            self._layout.figure(paper, figure)
            for figure in self._papers[paper].figures
            if self._contents.is_drawn(paper, figure)
        ]

    def files_of(self, paper: str) -> list[str]:
        """Return all that is made of a paper: tables, figures, verdicts, and its page of the report."""
        return [*self._shown_files(paper), self._layout.page(paper)]

    def _claim_differs(self, paper: str, claim: Claim) -> list[str]:
        """Return in words what of a claim's models and measures is not the paper's."""
        return self._from_paper(self._contents.claim_shows(paper, claim.holds_if))

    def _audit_differs(self, paper: str, claim: Claim, cells: Iterable[Tree]) -> list[str]:
        """Return in words what is not the paper's, or not as declared, of all that a claim is audited with."""
        audit = self._audits[paper]
        shown = self._contents.claim_shows(paper, claim.holds_if)
        absent: dict[str, None] = {}
        for cell in cells:
            shown += [(cell["model"], measure) for measure in cell["measures"]]
            shown += [(source, cell["measure"]) for source in audit.sources(cell["model"])]
            absent |= dict.fromkeys(audit.left_out_sources(cell["model"]))
        without = [f"transfer: none from {', '.join(absent)} (config.yaml)"] if absent else []
        return [*self._from_paper(shown), *self._differences.of_audit(), *without]

    def _from_paper(self, shown: Iterable[Shown]) -> list[str]:
        """Return in words what is not the paper's of what is shown."""
        return [str(note) for note in self._differences.notes(shown) if note.from_paper]

    def _changed_in_row(self, paper: str, table: str, row: str) -> list[str]:
        """Return in words what the user has changed of what a row of a table shows."""
        shown = self._contents.row_shows(paper, table, row)
        return [note.words for note in self._differences.notes(shown) if note.overridden]

    def _shown_files(self, paper: str) -> list[str]:
        return [*self.tables_of(paper), *self.figures_of(paper), *self._verdicts_of(paper)]

    def _verdicts_of(self, paper: str) -> list[str]:
        return [self._layout.audit(paper), self._layout.scorecard(paper)]

    def _other_scorecards(self) -> list[str]:
        """Return the verdicts at other scales, of those that have run."""
        others = [scale for scale in self._declarations.scales if scale != self._declarations.scale_name]
        files = sorted(Layout(f"results/{scale}").all_scorecards for scale in others)
        return [file for file in files if (self._declarations.root / file).exists()]

    def _asked(self, papers: Iterable[str]) -> Tree:
        """Return what a page of the report says of what was asked: scale, data, what differs from the papers."""
        shown = everything_shown(self._contents, self._declarations, papers)
        shared = self._shared(shown)
        used = sorted(set(shared["stand_ins"].values()))
        return {
            **shared,
            "scale_description": self._declarations.scale.description,
            "sources": {name: self._declarations.dataset(name).in_words for name in used},
            "differences": [
                note.as_data() for note in (*self._differences.notes(shown), *self._differences.beside_models())
            ],
        }

    def _shared(self, shown: Iterable[tuple[str, str]]) -> Tree:
        """Return what every table, figure and report says of its scale and of the data behind what it shows."""
        behind: dict[str, str] = {}
        for model, measure in shown:
            behind |= self._declarations.data_behind(model, self._declarations.measure(measure))
        return {
            "folder": self._layout.folder,
            "scale": self._declarations.scale_name,
            "stand_ins": {name: behind[name] for name in sorted(behind) if behind[name] != name},
            "unverified": sorted(set(behind.values()) & set(self._declarations.config.data.allow_unverified)),
        }

    def _account_of(self, model: str) -> str:
        """Return how a model was made, as JSON."""
        declared = self._declarations.model(model)
        content = declared.training_spec() if isinstance(declared, TrainedModel) else declared.model_dump(mode="json")
        return json.dumps(content, sort_keys=True, ensure_ascii=False)


def _listed(name: str, paper: Paper) -> Tree:
    """Return what the report's first page says of a paper: its name, and what its tables and figures are called."""
    return {
        "id": name,
        "title": paper.title,
        "authors": paper.authors,
        "tables": [{"id": key, "where": table.where} for key, table in paper.tables.items()],
        "figures": [{"id": key, "where": figure.where} for key, figure in paper.figures.items()],
    }


def _described(paper: Paper) -> Tree:
    """Return what the report says of a paper on the paper's own page."""
    return {
        "summary": paper.summary,
        "terms": [{"term": term, "meaning": meaning} for term, meaning in paper.terms.items()],
        "departures": [departure.model_dump(mode="json") for departure in paper.departures],
        "tables": [{"id": key, "where": table.where, "caption": table.caption} for key, table in paper.tables.items()],
        "figures": [
            {"id": key, "where": figure.where, "caption": figure.caption} for key, figure in paper.figures.items()
        ],
    }

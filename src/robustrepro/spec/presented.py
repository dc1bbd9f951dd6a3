"""The jobs that present: tables, figures, verdicts, the report. Their steps find their inputs by name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import Cell, parse_condition
from robustrepro.layout import CURVE, Layout
from robustrepro.spec.attacks import ATTACKS
from robustrepro.spec.audited import PaperAudit
from robustrepro.spec.contents import Contents, Shown, everything_shown
from robustrepro.spec.declarations import Declarations
from robustrepro.spec.differences import Differences
from robustrepro.spec.figures import SpecificationCurve
from robustrepro.spec.job_maker import JobMaker
from robustrepro.spec.jobs import Job, class_path, found_by_name, spec_of
from robustrepro.spec.kept import KeptPaper, kept_papers, over_all
from robustrepro.spec.measurements import own_attacks
from robustrepro.spec.models import DerivedModel, GivenModel
from robustrepro.spec.registry import is_built_in
from robustrepro.spec.strict_yaml import Tree
from robustrepro.spec.under_readings import ClaimUnder
from robustrepro.words import measure_in_words


class PresentedJobs(JobMaker):
    """The jobs of papers, and of the scale as a whole."""

    def __init__(
        self, declarations: Declarations, contents: Contents, audits: Mapping[str, PaperAudit], layout: Layout
    ) -> None:
        super().__init__(declarations, contents, audits, layout)
        self._papers, self._under = declarations.papers, declarations.under_readings
        self._differences = Differences(declarations)

    def table(self, paper: str, table: str) -> Job:
        """Return the job that makes a table."""
        shown = self._contents.table_shows(paper, table)
        read = (
            model for _, measure in shown for model in self._declarations.read_by(self._declarations.measure(measure))
        )
        models = sorted({*self._contents.table_models(paper, table), *read})
        # As text: a table shows what its models were trained with, but runs none of that code.
        training = {model: self._account_of(model) for model in models}
        shared = {**self._shared(shown), "training": training, "differs": self._from_paper(shown)}
        # Of weights that are given there is one seed, whatever is asked for.
        given = [model for model in models if isinstance(self._declarations.origin(model), GivenModel)]
        shared |= {"given": given} if given else {}
        changed = {row: self._changed_in_row(paper, table, row) for row in self._papers[paper].tables[table].rows}
        files = [self._layout.measurement(*key) for key in self._contents.table(paper, table).measurements]
        return Job("table", self._contents.table_spec(paper, table, changed, shared), found_by_name(files))

    def figure(self, paper: str, figure: str) -> Job:
        """Return the job that draws a figure, or the specification curve of a claim."""
        if figure.startswith(CURVE):
            return self._curve(paper, figure.removeprefix(CURVE))
        declared, drawn = self._declarations.figure(paper, figure), self._contents.drawing(paper, figure)
        models = self._contents.figure_models(paper, figure)
        measures = sorted({source.measure for source in declared.figure.sources()})
        spec = spec_of(
            [drawn.implementation],
            id=figure,
            paper=paper,
            where=declared.where,
            caption=declared.caption,
            figure=drawn.model_dump(mode="json"),
            declared_by=class_path(drawn),
            seeds={model: len(self._declarations.seeds(model)) for model in models},
            measures={
                name: measure_in_words(self._declarations.measure(name).model_dump(mode="json", exclude_none=True))
                for name in measures
            },
            **self._shared(self._contents.figure_shows(paper, figure)),
        )
        return Job("figure", spec, found_by_name(self._contents.figure_files(paper, figure)))

    def search(self, paper: str, reading: str) -> Job:
        """Return the job that chooses between the candidates of a reading, on validation images.

        Raises
        ------
        UserError
            If there is no such search at this scale.
        """
        search = self._under[paper].searches.get(reading)
        if search is None:
            raise UserError(f"{reading} is no reading of {paper} that is searched at this scale")
        spec = spec_of(
            [],
            folder=self._layout.folder,
            scale=self._declarations.scale_name,
            paper=paper,
            reading=reading,
            candidates=[{"candidate": key, "tables": tables} for key, tables in search.tables.items()],
            **search.declared.model_dump(mode="json", include={"closest_to", "largest", "among"}, exclude_none=True),
        )
        return Job("search", spec, found_by_name(self._layout.table(paper, name) for name in search.table_names))

    def audit(self, paper: str) -> Job:
        """Return the job that judges a paper's claims about robustness again, on the per-image worst case."""
        audit = self._audits[paper]
        claims = []
        for key in self._papers[paper].claims:
            readings = [
                {
                    "reading": under.reading,
                    "holds_if": under.holds_if,
                    "cells": cells,
                    "values": audit.claim_values(under.holds_if),
                    "differs": self._audit_differs(paper, under, cells),
                }
                for under in self._under[paper].claims(key)
                if (cells := audit.claim_cells(under.holds_if))
            ]
            if readings:
                claims.append({"key": key, "readings": readings})
        spec = spec_of(
            self._own_attacks(audit, claims),
            folder=self._layout.folder,
            scale=self._declarations.scale_name,
            paper=paper,
            claims=claims,
            tables=self._tables_of(paper),
            seeds={model: len(self._declarations.seeds(model)) for model in audit.balls},
            sources={model: audit.sources(model) for model in audit.balls},
        )
        return Job("audit", spec, found_by_name([*self.tables_of(paper), *audit.files(self._layout)]))

    def _own_attacks(self, audit: PaperAudit, claims: Iterable[Tree]) -> list[str]:
        """Return the user's own attacks on what claims rest on, whose declarations have the words for them."""
        if all(map(is_built_in, ATTACKS.values())):  # the batteries take a while to declare
            return []
        cells = [cell for claim in claims for reading in claim["readings"] for cell in reading["cells"]]
        names = dict.fromkeys(measure for cell in cells for measure in cell["measures"])
        return own_attacks(*map(self._declarations.measure, names), *(battery for *_, battery in audit.batteries()))

    def scorecard(self, paper: str) -> Job:
        """Return the job that gives every claim of a paper a verdict."""
        spec = spec_of(
            [],
            folder=self._layout.folder,
            scale=self._declarations.scale_name,
            paper=paper,
            claims=[
                {"key": key, "says": claim.says, "where": claim.where, "margins": claim.margins, "readings": readings}
                for key, claim in self._papers[paper].claims.items()
                for readings in [[self._claim_under(paper, under) for under in self._under[paper].claims(key)]]
            ],
            tables=self._tables_of(paper),
        )
        return Job("scorecard", spec, found_by_name([*self.tables_of(paper), self._layout.audit(paper)]))

    def summary(self) -> Job:
        """Return the job that brings all papers' verdicts and numbers together."""
        files = [file for paper in self._papers for file in (*self.tables_of(paper), self._layout.scorecard(paper))]
        papers = [{"id": name, "tables": self._tables_of(name)} for name in self._papers]
        papers += [{"id": name, "tables": paper.tables} for name, paper in self._kept.items()]
        shared = {"folder": self._layout.folder, "scale": self._declarations.scale_name, "kept": self._digests}
        return Job("summary", spec_of([], **shared, papers=papers), found_by_name(files))

    def page(self, paper: str) -> Job:
        """Return the job that writes a paper's page of the report; it links to those of all papers of the report."""
        spec = spec_of(
            [],
            **self._asked([paper]),
            paper={**self._listed(paper), **self._described(paper)},
            papers=[
                *({"id": name, "title": declared.title} for name, declared in self._papers.items()),
                *({"id": name, "title": kept.listed["title"]} for name, kept in self._kept.items()),
            ],
        )
        return Job("page", spec, found_by_name(self._shown_files(paper)))

    def report(self) -> Job:
        """Return the job that writes the report's first page: every claim in a line, over all scales that have run."""
        files = [file for paper in self._papers for file in (*self.tables_of(paper), *self._verdicts_of(paper))]
        listed = [self._listed(name) for name in self._papers]
        report = {**self._asked(self._papers), "papers": listed}
        if self._kept:
            pages = {name: self._asked([name]) for name in self._papers}
            pages |= {name: dict(paper.page) for name, paper in self._kept.items()}
            report = over_all(report, [*listed, *(paper.listed for paper in self._kept.values())], pages)
        spec = spec_of([], **report, scales=self._declarations.scales, kept=self._digests)
        return Job("report", spec, found_by_name([*files, *self._other_scorecards()]))

    @cached_property
    def _kept(self) -> Mapping[str, KeptPaper]:
        """The papers that earlier runs have made here, beside those asked for."""
        return kept_papers(self._layout, self._declarations.root, self._papers.keys())

    @property
    def _digests(self) -> Tree | None:
        """What the files of papers that are kept come to; None where there are none."""
        return {name: paper.digest for name, paper in self._kept.items()} or None

    def tables_of(self, paper: str) -> list[str]:
        """Return the JSON file of every table of a paper under every reading."""
        return [self._layout.table(paper, table) for table in self._tables_of(paper)]

    def all_tables_of(self, paper: str) -> list[str]:
        """Return the same, and those of the candidates of searches."""
        return [self._layout.table(paper, table) for table in self._papers[paper].tables]

    def _tables_of(self, paper: str) -> list[str]:
        for_searches = self._under[paper].for_searches
        return [table for table in self._papers[paper].tables if table not in for_searches]

    def figures_of(self, paper: str) -> list[str]:
        """Return the PNG file of every figure of a paper that is drawn, specification curves included."""
        drawn = [figure for figure in self._papers[paper].figures if self._contents.is_drawn(paper, figure)]
        return [self._layout.figure(paper, figure) for figure in (*drawn, *self._curves_of(paper))]

    def _curves_of(self, paper: str) -> list[str]:
        """Return the name of the specification curve of every claim that is measured under two readings or more."""
        measured = {
            Cell(table, *place) for table in self._tables_of(paper) for place in self._contents.measured(paper, table)
        }

        def is_measured(under: ClaimUnder) -> bool:
            return all(cell in measured for text in under.holds_if for cell in parse_condition(text).cells)

        under = self._under[paper]
        return [f"{CURVE}{key}" for key in self._papers[paper].claims if sum(map(is_measured, under.claims(key))) > 1]

    def _curve(self, paper: str, claim: str) -> Job:
        """Return the job that draws the specification curve of a claim."""
        claims = self._papers[paper].claims
        if claim not in claims:
            raise unknown_name(f"claim of {paper}", claim, claims)
        drawn = SpecificationCurve(name="specification_curve", claim=claim)
        spec = spec_of(
            [drawn.implementation],
            id=f"{CURVE}{claim}",
            paper=paper,
            where="Specification curve",
            caption=claims[claim].says,
            figure=drawn.model_dump(mode="json"),
            declared_by=class_path(drawn),
            folder=self._layout.folder,
            scale=self._declarations.scale_name,
        )
        return Job("figure", spec, found_by_name([self._layout.scorecard(paper), self._layout.audit(paper)]))

    def files_of(self, paper: str) -> list[str]:
        """Return all that is made of a paper: tables, figures, verdicts, and its page of the report."""
        return [*self._shown_files(paper), self._layout.page(paper)]

    def _claim_under(self, paper: str, under: ClaimUnder) -> Tree:
        """Return a claim as a reading has it, with what of its models and measures is not the paper's, in words."""
        differs = self._from_paper(self._contents.claim_shows(paper, under.holds_if))
        return {**asdict(under), "differs": [*under.differs, *differs]}

    def _audit_differs(self, paper: str, claim: ClaimUnder, cells: Iterable[Tree]) -> list[str]:
        """Return in words what is not the paper's, or not as declared, of all that a claim is audited with."""
        audit = self._audits[paper]
        shown = self._contents.claim_shows(paper, claim.holds_if)
        absent: dict[str, None] = {}
        for cell in cells:
            shown += [(cell["model"], measure) for measure in cell["measures"]]
            shown += [(source, cell["measure"]) for source in audit.sources(cell["model"])]
            absent |= dict.fromkeys(audit.left_out_sources(cell["model"]))
        without = [f"transfer: none from {', '.join(absent)} (config.yaml)"] if absent else []
        return [*claim.differs, *self._from_paper(shown), *self._differences.of_audit(paper), *without]

    def _from_paper(self, shown: Iterable[Shown]) -> list[str]:
        """Return in words what is not the paper's of what is shown."""
        return [str(note) for note in self._differences.notes(shown) if note.from_paper]

    def _changed_in_row(self, paper: str, table: str, row: str) -> list[str]:
        """Return in words what the user has changed of what a row of a table shows."""
        shown = self._contents.row_shows(paper, table, row)
        return [note.words for note in self._differences.notes(shown) if note.overridden]

    def _shown_files(self, paper: str) -> list[str]:
        searches = [self._layout.search(paper, reading) for reading in self._searches_of(paper)]
        return [*self.tables_of(paper), *self.figures_of(paper), *self._verdicts_of(paper), *searches]

    def _searches_of(self, paper: str) -> list[str]:
        """Return the readings of a paper that are searched, but where what is compared is left out."""
        tables = {reading: search.table_names for reading, search in self._under[paper].searches.items()}
        shown = {
            reading: [each for name in names for each in self._contents.table_shows(paper, name)]
            for reading, names in tables.items()
        }
        return [reading for reading, compared in shown.items() if not any(map(self._contents.is_left_out, compared))]

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
                note.as_data() for note in (*self._differences.notes(shown), *self._differences.beside_models(papers))
            ],
        }

    def _shared(self, shown: Iterable[tuple[str, str]]) -> Tree:
        """Return what every table, figure and report says of its scale and of the data behind what it shows."""
        behind: list[tuple[str, str]] = []
        for model, measure in shown:
            behind += self._declarations.data_behind(model, self._declarations.measure(measure))
        return {
            "folder": self._layout.folder,
            "scale": self._declarations.scale_name,
            "stand_ins": dict(sorted({name: used for name, used in behind if used != name}.items())),
            "unverified": sorted({used for _, used in behind} & set(self._declarations.config.data.allow_unverified)),
        }

    def _account_of(self, model: str) -> str:
        """Return how a model was made, as JSON."""
        declared = self._declarations.model(model)
        is_made = isinstance(declared, DerivedModel | GivenModel)
        content = declared.model_dump(mode="json") if is_made else self._declarations.training(model)
        return json.dumps(content, sort_keys=True, ensure_ascii=False)

    def _listed(self, paper: str) -> Tree:
        """Return what the report's first page says of a paper: its name and summary, its tables and figures by name."""
        declared = self._papers[paper]
        return {
            "id": paper,
            "title": declared.title,
            "authors": declared.authors,
            "summary": declared.summary,
            "tables": [self._place_of(paper, table) for table in self._tables_of(paper)],
            "figures": [{"id": key, "where": figure.where} for key, figure in declared.figures.items()],
        }

    def _described(self, paper: str) -> Tree:
        """Return what the report says of a paper on the paper's own page."""
        declared = self._papers[paper]
        return {
            "terms": [{"term": term, "meaning": meaning} for term, meaning in declared.terms.items()],
            "departures": [departure.model_dump(mode="json") for departure in declared.departures],
            "readings": self._under[paper].described(),
            "tables": [
                {**self._place_of(paper, table), "caption": declared.tables[table].caption}
                for table in self._tables_of(paper)
            ],
            "figures": [
                {"id": key, "where": figure.where, "caption": figure.caption}
                for key, figure in declared.figures.items()
            ]
            + [
                {
                    "id": curve,
                    "where": "Specification curve",
                    "caption": declared.claims[curve.removeprefix(CURVE)].says,
                }
                for curve in self._curves_of(paper)
            ],
        }

    def _place_of(self, paper: str, table: str) -> Tree:
        of, reading = self._under[paper].origins[table]
        version = {} if of == table else {"of": of, "reading": reading}
        return {"id": table, **version, "where": self._papers[paper].tables[table].where}

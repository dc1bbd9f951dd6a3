"""Reads what the report shows from the files of one scale, and checks it."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ValidationError

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import cell_of
from robustrepro.layout import CURVE, Layout
from robustrepro.report.claims import Claim, ClaimReading, JudgedClaim, JudgedClaims, Survival, Survivals
from robustrepro.report.content import (
    ListedClaim,
    PageContents,
    PageSpec,
    Paper,
    PaperSpec,
    ReportContents,
    ReportSpec,
)
from robustrepro.report.displays import Declared, DeclaredFigure, DeclaredTable
from robustrepro.report.readings import SearchOutcome
from robustrepro.report.table import Table
from robustrepro.scorecard.combined import Row, over_scales, read_scorecard, tried_of
from robustrepro.verdicts import OF_AUDITS, OF_CLAIMS, Verdict

SCORECARD_COLUMNS = ("claim", "says", "where", "verdict", "audit", "why", "margins")
LATER_COLUMNS = {"reading": "", "tried": "1", "under": ""}
"""Columns that scorecards of earlier versions lack, with what they mean by that: there was one reading."""
Checked = TypeVar("Checked", bound=BaseModel)
FigureReader = Callable[[Declared], DeclaredFigure]


def read_page(spec: Mapping[str, Any], scale_folder: Path, *, linked: bool = False) -> PageContents:
    """Read everything that a paper's page shows.

    Parameters
    ----------
    spec
        The plain form of a ``PageSpec``.
    scale_folder
        ``results/<scale>``: holds ``papers/<paper>/{tables,figures}``, and for each paper ``scorecard.csv`` with
        ``scorecard.json``, and ``audit.json``; any may be missing.
    linked
        Whether figures are named by their paths below the scale's folder instead of being read whole.

    Raises
    ------
    UserError
        If a file is there and is not what it should be.
    """
    checked = _checked(PageSpec, spec, "the page's spec")
    figure = partial(_read_figure, scale_folder, checked.paper.id, linked)
    return PageContents(checked, _read_paper(checked.paper, scale_folder, figure))


def read_contents(spec: Mapping[str, Any], scale_folder: Path, scales: Path) -> ReportContents:
    """Read everything that the report's first page shows.

    Parameters
    ----------
    spec
        The plain form of a ``ReportSpec``.
    scale_folder
        ``results/<scale>``, as above.
    scales
        Has a folder for each other scale, with its ``scorecard.csv`` where it has run.

    Raises
    ------
    UserError
        If a file of this scale is there and is not what it should be.
    """
    checked = _checked(ReportSpec, spec, "the report's spec")
    papers = [
        _read_paper(paper, scale_folder, partial(_named_figure, scale_folder, paper.id)) for paper in checked.papers
    ]
    scorecards: dict[str, Sequence[Row]] = {}
    unreadable = []
    for scale in dict.fromkeys([*checked.scales, checked.scale]):
        path = scales / scale / "scorecard.csv"
        if scale == checked.scale:
            scorecards[scale] = [_row(claim) for paper in papers for claim in paper.claims]
        elif path.exists():
            try:
                scorecards[scale] = read_scorecard(path)
            except UserError as error:
                unreadable.append(str(error).removeprefix(f"{scales}/"))
    by_claim = {(claim.paper, claim.claim): claim for claim in over_scales(scorecards)}
    claims = [
        ListedClaim(claim, paper, by_claim[paper.spec.id, claim.claim]) for paper in papers for claim in paper.claims
    ]
    return ReportContents(checked, papers, claims, unreadable)


def _row(claim: Claim) -> Row:
    """Return a claim of this scale as its scorecard has it."""
    verdicts = {"verdict": claim.verdict, "audit": claim.audit}
    readings = {"reading": claim.reading, "tried": str(claim.tried), "under": claim.under}
    return {"paper": claim.paper, "claim": claim.claim, **verdicts, **readings}


def _read_paper(spec: PaperSpec, scale_folder: Path, figure: FigureReader) -> Paper:
    """Return a paper with everything that was made of it; ``figure`` reads a declared one."""
    layout = Layout(str(scale_folder))
    tables = [_read_table(scale_folder, spec.id, table) for table in spec.tables]
    judgements, audit = Path(layout.scorecard(spec.id)), Path(layout.audit(spec.id))
    scorecard = _read_scorecard(judgements.with_suffix(".csv"))
    declared_tables = [table for table in tables if not table.of]
    curves = {declared.id: figure(declared) for declared in spec.figures if declared.id.startswith(CURVE)}
    figures = [figure(declared) for declared in spec.figures if declared.id not in curves]
    claims: list[Claim] = []
    if scorecard is not None:
        judged = _judged_claims(judgements, [row["claim"] for row in scorecard])
        survivals = _survivals(audit, judged) if audit.exists() else {}
        for row in scorecard:
            judged_claim = judged[row["claim"]]
            headline = judged_claim.headline
            if row["reading"] != headline.reading:
                found = f"the headline of '{row['claim']}' is '{headline.reading}', in scorecard.csv '{row['reading']}'"
                raise UserError(f"{judgements}: {found}. Make both again.")
            readings = tuple(
                ClaimReading(each.reading, each, _with_cells(survivals.get((row["claim"], each.reading))))
                for each in judged_claim.readings
            )
            claims.append(
                Claim(
                    paper=spec.id,
                    **row,
                    conditions=headline.conditions,
                    on_the_floor=headline.on_the_floor,
                    differs=headline.differs,
                    anchors=_claim_anchors(spec.id, row["where"], judged_claim, [*declared_tables, *figures]),
                    survival=next(each.survival for each in readings if each.name == headline.reading),
                    readings=readings,
                    specification=curves.get(f"{CURVE}{row['claim']}"),
                )
            )
    paths = {reading.name: Path(layout.search(spec.id, reading.name)) for reading in spec.readings if reading.searched}
    searches = {
        name: _checked(SearchOutcome, _read_json(path), str(path)) for name, path in paths.items() if path.exists()
    }
    has = {"has_scorecard": scorecard is not None, "has_audit": audit.exists()}
    return Paper(spec, tables, figures, claims, searches, **has)


def _checked(kind: type[Checked], data: object, what: str) -> Checked:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        found = json.dumps(first["input"], default=str)
        message = f"{what}: {key}: {first['msg'].lower()}, found {found[:80]}. Make it again."
        raise UserError(message) from error


def _read_scorecard(path: Path) -> list[dict[str, Any]] | None:
    """Return the verdicts on a paper's claims, one mapping per claim."""
    if not path.exists():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns, lines = reader.fieldnames or (), list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a CSV file ({error}). Make it again.") from error
    missing = set(SCORECARD_COLUMNS) - set(columns)
    if missing:
        expected = ", ".join(SCORECARD_COLUMNS)
        raise UserError(f"{path}: no column '{min(missing)}'; expected {expected}. Make it again.")
    rows: list[dict[str, Any]] = [
        {
            **{column: line[column] or "" for column in SCORECARD_COLUMNS},
            **{column: line.get(column) or without for column, without in LATER_COLUMNS.items()},
        }
        for line in lines
    ]
    for row in rows:
        for column, known in (("verdict", OF_CLAIMS), ("audit", OF_AUDITS)):
            if row[column] not in known:
                raise unknown_name(f"{column} of the claim '{row['claim']}' in {path}", row[column], map(str, known))
            row[column] = Verdict.of_word(row[column])
        row["audit"] = row["audit"].beside(row["verdict"])
        row["tried"] = tried_of(row, path)
    return rows


def _judged_claims(path: Path, claims: Sequence[str]) -> dict[str, JudgedClaim]:
    """Return each claim under its readings; the scorecard has to have the same claims."""
    if not path.exists():
        raise UserError(f"{path}: missing beside scorecard.csv. Make the scorecard again.")
    judged = {entry.claim: entry for entry in _checked(JudgedClaims, _read_json(path), str(path)).root}
    _require_known(path, judged, claims)
    if unjudged := set(claims) - set(judged):
        raise UserError(f"{path}: the claim '{min(unjudged)}' of scorecard.csv is missing. Make both again.")
    return judged


def _survivals(path: Path, judged: Mapping[str, JudgedClaim]) -> dict[tuple[str, str], Survival]:
    """Return how each audited claim fared, by claim and reading; the scorecard has to have both."""
    survivals = {(entry.claim, entry.reading): entry for entry in _checked(Survivals, _read_json(path), str(path)).root}
    _require_known(path, dict.fromkeys(claim for claim, _ in survivals), judged)
    for claim, reading in survivals:
        known = [each.reading for each in judged[claim].readings]
        if reading not in known:
            raise unknown_name(f"reading of the claim '{claim}' in {path}", reading, known)
    return survivals


def _require_known(path: Path, found: Iterable[str], claims: Container[str]) -> None:
    for claim in found:
        if claim not in claims:
            raise UserError(f"{path}: the claim '{claim}' is not in scorecard.csv. Make both again.")


def _with_cells(survival: Survival | None) -> Survival | None:
    """Return how a claim fared in the audit; None where no cell of it was attacked: there is nothing to show."""
    return survival if survival and survival.cells else None


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}). Make it again.") from error


def _read_table(scale_folder: Path, paper: str, declared: Declared) -> DeclaredTable:
    path = Path(Layout(str(scale_folder)).table(paper, declared.id))
    table = _checked(Table, _read_json(path), str(path)) if path.exists() else None
    return DeclaredTable(
        id=declared.id,
        label=declared.where,
        anchor=f"{paper}-{declared.id}",
        path=path.relative_to(scale_folder).as_posix(),
        caption=declared.caption,
        table=table,
        of=declared.of,
        reading=declared.reading,
    )


def _named_figure(scale_folder: Path, paper: str, declared: Declared) -> DeclaredFigure:
    """Return a figure by its name and place alone."""
    path = Path(Layout(str(scale_folder)).figure(paper, declared.id)).relative_to(scale_folder)
    return DeclaredFigure(declared.where, f"{paper}-{declared.id}", path.as_posix(), declared.caption, None)


def _read_figure(scale_folder: Path, paper: str, linked: bool, declared: Declared) -> DeclaredFigure:
    """Return a figure with its size, and where its page finds it: inside the page itself, or at its path."""
    named = _named_figure(scale_folder, paper, declared)
    path = scale_folder / named.path
    if not path.exists():
        return named
    try:
        with Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG image. Draw the figure again.") from error
    uri = named.path if linked else "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return replace(named, uri=uri, width=width, height=height)


def _claim_anchors(
    paper: str, where: str, judged: JudgedClaim, displays: Sequence[DeclaredTable | DeclaredFigure]
) -> tuple[str, ...]:
    """Return where a claim is judged: the table or figure that it names, and every table that it compares."""
    named = [display.anchor for display in displays if display.label == where]
    compared = [
        compared
        for reading in (judged.headline, *judged.readings)
        for condition in reading.conditions
        for compared in condition.compared
    ]
    # Versions of a table stand in the section of the declared one.
    tables = [f"{paper}-{cell_of(each.cell).table.partition('@')[0]}" for each in compared]
    return tuple(dict.fromkeys([*named, *tables])) or (paper,)

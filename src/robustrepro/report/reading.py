"""Reads what the report shows from the files of one scale, and checks it."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ValidationError

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import cell_of
from robustrepro.layout import Layout
from robustrepro.report.claims import Claim, JudgedClaim, JudgedClaims, Survival, Survivals
from robustrepro.report.content import (
    Declared,
    DeclaredFigure,
    DeclaredTable,
    ListedClaim,
    PageContents,
    PageSpec,
    Paper,
    PaperSpec,
    ReportContents,
    ReportSpec,
)
from robustrepro.report.table import Table
from robustrepro.scorecard.combined import Row, over_scales, read_scorecard
from robustrepro.verdicts import OF_AUDITS, OF_CLAIMS, Verdict

SCORECARD_COLUMNS = ("claim", "says", "where", "verdict", "audit", "why", "margins")
Checked = TypeVar("Checked", bound=BaseModel)
PerClaim = TypeVar("PerClaim", JudgedClaims, Survivals)


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
    figures = [_read_figure(scale_folder, checked.paper.id, figure, linked) for figure in checked.paper.figures]
    return PageContents(checked, _read_paper(checked.paper, scale_folder, figures))


def read_contents(spec: Mapping[str, Any], scale_folder: Path) -> ReportContents:
    """Read everything that the report's first page shows.

    Parameters
    ----------
    spec
        The plain form of a ``ReportSpec``.
    scale_folder
        ``results/<scale>``, as above. Other scales have a folder beside it, with their ``scorecard.csv`` where they
        have run.

    Raises
    ------
    UserError
        If a file of this scale is there and is not what it should be.
    """
    checked = _checked(ReportSpec, spec, "the report's spec")
    papers = []
    for paper in checked.papers:
        figures = [_named_figure(scale_folder, paper.id, figure) for figure in paper.figures]
        papers.append(_read_paper(paper, scale_folder, figures))
    scorecards: dict[str, Sequence[Row]] = {}
    unreadable = []
    for scale in dict.fromkeys([*checked.scales, checked.scale]):
        path = scale_folder.parent / scale / "scorecard.csv"
        if scale == checked.scale:
            scorecards[scale] = [_row(claim) for paper in papers for claim in paper.claims]
        elif path.exists():
            try:
                scorecards[scale] = read_scorecard(path)
            except UserError as error:
                unreadable.append(str(error).removeprefix(f"{scale_folder.parent}/"))
    by_claim = {(claim.paper, claim.claim): claim for claim in over_scales(scorecards)}
    claims = [
        ListedClaim(claim, paper, by_claim[paper.spec.id, claim.claim]) for paper in papers for claim in paper.claims
    ]
    return ReportContents(checked, papers, claims, unreadable)


def _row(claim: Claim) -> Row:
    """Return a claim of this scale as its scorecard has it."""
    return {"paper": claim.paper, "claim": claim.claim, "verdict": claim.verdict, "audit": claim.audit}


def _read_paper(spec: PaperSpec, scale_folder: Path, figures: list[DeclaredFigure]) -> Paper:
    layout = Layout(str(scale_folder))
    tables = [_read_table(scale_folder, spec.id, table) for table in spec.tables]
    judgements, audit = Path(layout.scorecard(spec.id)), Path(layout.audit(spec.id))
    scorecard = _read_scorecard(judgements.with_suffix(".csv"))
    claims: list[Claim] = []
    if scorecard is not None:
        keys = [row["claim"] for row in scorecard]
        judged = _by_claim(JudgedClaims, judgements, keys)
        survivals = _by_claim(Survivals, audit, keys) if audit.exists() else {}
        for row in scorecard:
            judged_claim = judged[row["claim"]]
            claims.append(
                Claim(
                    paper=spec.id,
                    **row,
                    conditions=judged_claim.conditions,
                    on_the_floor=judged_claim.on_the_floor,
                    differs=judged_claim.differs,
                    anchors=_claim_anchors(spec.id, row["where"], judged_claim, [*tables, *figures]),
                    survival=_with_cells(survivals.get(row["claim"])),
                )
            )
    return Paper(spec, tables, figures, claims, has_scorecard=scorecard is not None, has_audit=audit.exists())


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
    rows: list[dict[str, Any]] = [{column: line[column] or "" for column in SCORECARD_COLUMNS} for line in lines]
    for row in rows:
        for column, known in (("verdict", OF_CLAIMS), ("audit", OF_AUDITS)):
            if row[column] not in known:
                raise unknown_name(f"{column} of the claim '{row['claim']}' in {path}", row[column], map(str, known))
            row[column] = Verdict.of_word(row[column])
    return rows


def _by_claim(kind: type[PerClaim], path: Path, claims: Sequence[str]) -> dict[str, Any]:
    """Return what a file says of each claim; every claim in it has to be in the scorecard."""
    if not path.exists():
        raise UserError(f"{path}: missing beside scorecard.csv. Make the scorecard again.")
    by_claim = {entry.claim: entry for entry in _checked(kind, _read_json(path), str(path)).root}
    for claim in by_claim:
        if claim not in claims:
            raise UserError(f"{path}: the claim '{claim}' is not in scorecard.csv. Make both again.")
    if kind is JudgedClaims and (unjudged := set(claims) - set(by_claim)):
        raise UserError(f"{path}: the claim '{min(unjudged)}' of scorecard.csv is missing. Make both again.")
    return by_claim


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
    relative = path.relative_to(scale_folder).as_posix()
    return DeclaredTable(declared.where, f"{paper}-{declared.id}", relative, declared.caption, table)


def _named_figure(scale_folder: Path, paper: str, declared: Declared) -> DeclaredFigure:
    """Return a figure by its name and place alone."""
    path = Path(Layout(str(scale_folder)).figure(paper, declared.id)).relative_to(scale_folder)
    return DeclaredFigure(declared.where, f"{paper}-{declared.id}", path.as_posix(), declared.caption, None)


def _read_figure(scale_folder: Path, paper: str, declared: Declared, linked: bool) -> DeclaredFigure:
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
    cells = [compared.cell for condition in judged.conditions for compared in condition.compared]
    compared_tables = [f"{paper}-{cell_of(cell).table}" for cell in cells]
    return tuple(dict.fromkeys([*named, *compared_tables])) or (paper,)

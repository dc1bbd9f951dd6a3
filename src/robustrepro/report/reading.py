"""Reads what the report shows from the files of one scale, and checks it."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ValidationError

from robustrepro.errors import UserError, unknown_name
from robustrepro.grammar import cell_of
from robustrepro.report.claims import (
    AUDIT_VERDICTS,
    VERDICTS,
    Claim,
    JudgedClaim,
    JudgedClaims,
    Survivals,
)
from robustrepro.report.content import (
    Contents,
    Declared,
    DeclaredFigure,
    DeclaredTable,
    Paper,
    ReportSpec,
    Table,
)

SCORECARD_COLUMNS = ("paper", "claim", "says", "where", "verdict", "audit", "why", "margins")
Checked = TypeVar("Checked", bound=BaseModel)
PerClaim = TypeVar("PerClaim", JudgedClaims, Survivals)
ClaimKey = tuple[str, str]
"""Paper and claim."""


def read_contents(spec: dict[str, Any], scale_folder: Path) -> Contents:
    """Read everything the page shows.

    Parameters
    ----------
    spec
        The plain form of a ``ReportSpec``.
    scale_folder
        ``results/<scale>``: holds ``scorecard.csv`` with ``scorecard.json``, ``audit.json``, and
        ``papers/<paper>/{tables,figures}``; any may be missing.

    Raises
    ------
    UserError
        If a file is there and is not what it should be.
    """
    checked = _checked(ReportSpec, spec, "the report's spec")
    rows = _read_scorecard(scale_folder / "scorecard.csv", [paper.id for paper in checked.papers])
    judged = [(row["paper"], row["claim"]) for row in rows or []]
    compared = _by_claim(JudgedClaims, scale_folder / "scorecard.json", judged) if rows else {}
    has_audit = (scale_folder / "audit.json").exists()
    survivals = _by_claim(Survivals, scale_folder / "audit.json", judged) if has_audit else {}
    papers = []
    for paper in checked.papers:
        tables = [_read_table(scale_folder, paper.id, table) for table in paper.tables]
        figures = [_read_figure(scale_folder, paper.id, figure) for figure in paper.figures]
        claims = []
        for row in rows or []:
            if row["paper"] == paper.id:
                judged_claim = compared[paper.id, row["claim"]]
                claims.append(
                    Claim(
                        **row,
                        conditions=judged_claim.conditions,
                        on_the_floor=judged_claim.on_the_floor,
                        anchors=_claim_anchors(row["where"], judged_claim, [*tables, *figures]),
                        survival=survivals.get((paper.id, row["claim"])),
                    )
                )
        papers.append(Paper(paper, tables, figures, claims))
    claims = [claim for paper in papers for claim in paper.claims]
    return Contents(checked, papers, claims, rows is not None, has_audit)


def _checked(kind: type[Checked], data: object, what: str) -> Checked:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        found = json.dumps(first["input"], default=str)
        message = f"{what}: {key}: {first['msg'].lower()}, found {found[:80]}. Make it again."
        raise UserError(message) from error


def _read_scorecard(path: Path, papers: list[str]) -> list[dict[str, str]] | None:
    if not path.exists():
        return None
    rows = _read_columns(path, SCORECARD_COLUMNS)
    for row in rows:
        if row["paper"] not in papers:
            raise unknown_name(f"paper in {path}", row["paper"], papers)
        if row["verdict"] not in VERDICTS:
            raise unknown_name(f"verdict of the claim '{row['claim']}' in {path}", row["verdict"], VERDICTS)
        if row["audit"] not in AUDIT_VERDICTS:
            raise unknown_name(f"audit of the claim '{row['claim']}' in {path}", row["audit"], AUDIT_VERDICTS)
    return rows


def _by_claim(kind: type[PerClaim], path: Path, judged: list[ClaimKey]) -> dict[ClaimKey, Any]:
    """Return what a file says of each claim; every claim in it has to be in the scorecard."""
    if not path.exists():
        raise UserError(f"{path}: missing beside scorecard.csv. Make the scorecard again.")
    found = {(one.paper, one.claim): one for one in _checked(kind, _read_json(path), str(path)).root}
    for paper, claim in found:
        if (paper, claim) not in judged:
            raise UserError(f"{path}: the claim '{claim}' of {paper} is not in scorecard.csv. Make both again.")
    return found


def _read_columns(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise UserError(f"{path}: no column '{min(missing)}'; expected {', '.join(columns)}. Make it again.")
        return [{column: row[column] or "" for column in columns} for row in reader]


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}). Make it again.") from error


def _read_table(scale_folder: Path, paper: str, declared: Declared) -> DeclaredTable:
    relative = f"papers/{paper}/tables/{declared.id}.json"
    path = scale_folder / relative
    table = _checked(Table, _read_json(path), str(path)) if path.exists() else None
    return DeclaredTable(declared.where, f"{paper}-{declared.id}", relative, declared.caption, table)


def _read_figure(scale_folder: Path, paper: str, figure: Declared) -> DeclaredFigure:
    relative = f"papers/{paper}/figures/{figure.id}.png"
    path = scale_folder / relative
    label, anchor = figure.where, f"{paper}-{figure.id}"
    if not path.exists():
        return DeclaredFigure(label, anchor, relative, figure.caption, None)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG image. Draw the figure again.") from error
    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return DeclaredFigure(label, anchor, relative, figure.caption, uri, width, height)


def _claim_anchors(where: str, judged: JudgedClaim, shown: Sequence[DeclaredTable | DeclaredFigure]) -> tuple[str, ...]:
    """Return where a claim is judged: the table or figure that it names, and every table that it compares."""
    named = [declared.anchor for declared in shown if declared.label == where]
    cells = [one.cell for condition in judged.conditions for one in condition.compared]
    compared = [f"{judged.paper}-{cell_of(cell).table}" for cell in cells]
    return tuple(dict.fromkeys([*named, *compared])) or (judged.paper,)

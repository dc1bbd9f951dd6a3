"""Reads what the report shows from the files of one scale, and checks it."""

from __future__ import annotations

import base64
import csv
import json
import re
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from robustrepro.errors import UserError, unknown_name
from robustrepro.report.content import (
    VERDICTS,
    Claim,
    Content,
    Contents,
    DeclaredFigure,
    DeclaredTable,
    FigureSpec,
    Paper,
    PaperSpec,
    ReportSpec,
    Table,
)

SCORECARD_COLUMNS = ("paper", "claim", "says", "where", "verdict", "measured", "why")
Checked = TypeVar("Checked", bound=Content)


def read_contents(spec: dict[str, Any], scale_folder: Path) -> Contents:
    """Read everything the page shows.

    Parameters
    ----------
    spec
        The plain form of a ``ReportSpec``.
    scale_folder
        ``results/<scale>``: holds ``scorecard.csv`` and ``papers/<paper>/{tables,figures}``; any may be missing.

    Raises
    ------
    UserError
        If a file is there and is not what it should be.
    """
    checked = _checked(ReportSpec, spec, "the report's spec")
    rows = _read_scorecard(scale_folder / "scorecard.csv")
    papers = []
    for paper in checked.papers:
        tables = [_read_table(scale_folder, paper.id, table) for table in paper.tables]
        figures = [_read_figure(scale_folder, paper.id, figure) for figure in paper.figures]
        claims = [
            Claim(**row, anchor=_claim_anchor(row, paper, tables, figures))
            for row in rows or []
            if row["paper"] == paper.id
        ]
        papers.append(Paper(paper, tables, figures, claims))
    strangers = {row["paper"] for row in rows or []} - {paper.id for paper in checked.papers}
    if strangers:
        raise unknown_name(
            f"paper in {scale_folder / 'scorecard.csv'}", min(strangers), [paper.id for paper in checked.papers]
        )
    return Contents(checked, papers, [claim for paper in papers for claim in paper.claims], rows is not None)


def _checked(kind: type[Checked], data: object, what: str) -> Checked:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole"
        found = json.dumps(first["input"], default=str)
        message = f"{what}: {key}: {first['msg'].lower()}, found {found[:80]}. Make it again."
        raise UserError(message) from error


def _read_scorecard(path: Path) -> list[dict[str, str]] | None:
    if not path.exists():
        return None
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = set(SCORECARD_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise UserError(
                f"{path}: no column '{min(missing)}'; expected {', '.join(SCORECARD_COLUMNS)}. Make it again."
            )
        rows = [{column: row[column] or "" for column in SCORECARD_COLUMNS} for row in reader]
    for row in rows:
        if row["verdict"] not in VERDICTS:
            raise unknown_name(f"verdict of the claim '{row['claim']}' in {path}", row["verdict"], VERDICTS)
    return rows


def _read_table(scale_folder: Path, paper: str, table_id: str) -> DeclaredTable:
    relative = f"papers/{paper}/tables/{table_id}.json"
    path = scale_folder / relative
    table = None
    if path.exists():
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}). Make the table again.") from error
        table = _checked(Table, data, str(path))
    label = table.where if table else _label(table_id)
    return DeclaredTable(label, f"{paper}-{table_id}", relative, table)


def _read_figure(scale_folder: Path, paper: str, figure: FigureSpec) -> DeclaredFigure:
    relative = f"papers/{paper}/figures/{figure.id}.png"
    path = scale_folder / relative
    label, anchor = _label(figure.id), f"{paper}-{figure.id}"
    if not path.exists():
        return DeclaredFigure(label, anchor, relative, figure.caption, None)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            width, height = image.size
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG image. Draw the figure again.") from error
    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return DeclaredFigure(label, anchor, relative, figure.caption, uri, width, height)


def _label(identifier: str) -> str:
    """``table2`` is "Table 2" in the paper's words, ``figure_10a`` "Figure 10a"."""
    return re.sub(r"(?<=[a-z])[_-]?(?=\d)", " ", identifier).replace("_", " ").capitalize()


def _claim_anchor(
    row: dict[str, str], paper: PaperSpec, tables: list[DeclaredTable], figures: list[DeclaredFigure]
) -> str:
    """Return where a claim is judged: the table or figure it names, else the first one in what was measured."""
    shown: list[DeclaredTable | DeclaredFigure] = [*tables, *figures]
    for declared in shown:
        if declared.label == row["where"]:
            return declared.anchor
    for name in re.findall(r"(\w+)\[", row["measured"]):
        if name in paper.tables:
            return f"{paper.id}-{name}"
    return paper.id

"""A scale's scorecard in a terminal; read without pandas, which would take longer to import than all the rest."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robustrepro.errors import UserError
from robustrepro.verdicts import Verdict


def show_scorecard(folder: Path) -> None:
    """Print the scorecard of a scale and the path of its report.

    Raises
    ------
    UserError
        If the scale has not run.
    """
    path = folder / "scorecard.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            claims = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; `make reproduce SCALE={folder.name}` makes it") from None
    table = Table(title=f"Scorecard, scale {folder.name}")
    for heading in ("paper", "claim", "where", "reproduced?", "survives the audit?"):
        table.add_column(heading, overflow="fold")
    for claim in claims:
        verdicts = [Text(word, Verdict.of_word(word).tone.colour) for word in (claim["verdict"], claim["audit"])]
        table.add_row(claim["paper"], claim["claim"], claim["where"], *verdicts)
    console = Console()
    console.print(table)
    console.print(f"Report: {folder / 'report' / 'index.html'}", soft_wrap=True)

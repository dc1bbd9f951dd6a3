"""The verdicts of a scale as a page that GitHub shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from robustrepro.scorecard.combined import audit_of, on_one_line, reading_in_words
from robustrepro.scorecard.rows import read_rows


def scorecard_markdown(scorecard: Path) -> str:
    """Return the scorecard as Markdown: each claim, both verdicts, what was measured, and what is not the paper's."""
    rows = [
        f"| {claim.paper} | “{on_one_line(claim.says)}” ({on_one_line(claim.where)}) | {_verdict(claim._asdict())} "
        f"| **{audit_of(claim._asdict())}** {on_one_line(claim.taken_down_by)} | {_in_lines(claim.measured)} "
        f"| {_in_lines('; '.join(filter(None, (claim.differs, claim.audit_differs))))} |"
        for claim in read_rows(scorecard).itertuples()
    ]
    columns = ("paper", "claim", "reproduced?", "survives the audit?", "measured", "not as in the paper")
    header = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*header, *rows]) + "\n"


def _in_lines(text: str) -> str:
    """Return what semicolons separate as lines of a cell."""
    return on_one_line(text).replace("; ", ";<br>")


def _verdict(row: Mapping[str, str]) -> str:
    """Return a claim's verdict with the reading that it is of, and how many were tried."""
    reading = reading_in_words(row)
    return f"**{row['verdict']}** ({reading})" if reading else f"**{row['verdict']}**"

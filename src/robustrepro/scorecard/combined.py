"""One scorecard over all scales: every claim once, as the most faithful scale that measured it has it.

Read without pandas, which would take longer to import than all the rest.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from robustrepro.errors import UserError
from robustrepro.verdicts import Verdict

Row = Mapping[str, str]
"""A claim as one scale's ``scorecard.csv`` has it."""


@dataclass(frozen=True)
class ClaimOverScales:
    """A claim, as every scale has it that judged it.

    Attributes
    ----------
    paper, claim
        The paper's id and the claim's key.
    by_scale
        The claim's row of each scale, the one that says most about the paper first: measured before not measured, a
        verdict before an indication, then the more faithful scale.
    """

    paper: str
    claim: str
    by_scale: Mapping[str, Row]

    @property
    def scale(self) -> str:
        """The scale that says most about the paper."""
        return next(iter(self.by_scale))

    @property
    def row(self) -> Row:
        """The claim as that scale has it."""
        return self.by_scale[self.scale]

    @property
    def reading(self) -> str:
        """The reading behind both verdicts, and of how many, in words; empty where there is one."""
        return reading_in_words(self.row)

    @property
    def tried(self) -> int:
        """How many readings were judged there."""
        return tried_of(self.row, Path(self.scale, "scorecard.csv"))

    @property
    def verdict(self) -> Verdict:
        """Whether it was reproduced there."""
        return Verdict.of_word(self.row["verdict"])

    @property
    def audit(self) -> Verdict:
        """Whether it survives the audit there."""
        return audit_of(self.row)


def combined(folder: Path, scales: Sequence[str]) -> list[ClaimOverScales]:
    """Return every claim that some scale judged, in the order of the first scale that has it.

    Parameters
    ----------
    folder
        Holds a folder per scale with its ``scorecard.csv``; scales without one are passed over.
    scales
        The most faithful first.
    """
    paths = {scale: folder / scale / "scorecard.csv" for scale in scales}
    return over_scales({scale: read_scorecard(path) for scale, path in paths.items() if path.exists()})


def over_scales(scorecards: Mapping[str, Sequence[Row]]) -> list[ClaimOverScales]:
    """Return every claim of some scale's scorecard, in the order of the first scale that has it.

    Parameters
    ----------
    scorecards
        The rows of each scale, the most faithful first.
    """
    claims: dict[tuple[str, str], dict[str, Row]] = {}
    for scale, rows in scorecards.items():
        for row in rows:
            claims.setdefault((row["paper"], row["claim"]), {})[scale] = row
    return [
        ClaimOverScales(paper, claim, dict(sorted(rows.items(), key=lambda entry: _rank(entry[1]))))
        for (paper, claim), rows in claims.items()
    ]


def read_scorecard(path: Path) -> list[Row]:
    """Return the rows of a scale's scorecard.

    Raises
    ------
    UserError
        If the scale has not run, or an earlier version made its scorecard.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows: list[Row] = list(csv.DictReader(stream))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; `make reproduce SCALE={path.parent.name}` makes it") from None
    for row in rows:
        for column in ("verdict", "audit"):
            try:
                Verdict.of_word(row.get(column) or "")
            except UserError as error:
                raise UserError(f"{path}: {row.get('claim')}: {error}. Make it again.") from None
        tried_of(row, path)
    return rows


def audit_of(row: Row) -> Verdict:
    """Return the audit's verdict on a claim, as it is shown beside the claim's own."""
    return Verdict.of_word(row["audit"]).beside(Verdict.of_word(row["verdict"]))


def reading_in_words(row: Row) -> str:
    """Return which reading a claim's verdicts are of, and of how many that were tried: ``clipped, 1 of 6``.

    Empty where there was one, as in scorecards that earlier versions wrote.
    """
    name, tried = row.get("reading") or "", row.get("tried") or "1"
    return f"{name}, 1 of {tried}" if name and tried not in {"0", "1"} else ""


def tried_of(row: Row, path: Path) -> int:
    """Return how many readings of a claim were judged; one in a scorecard of an earlier version.

    Raises
    ------
    UserError
        If what stands in ``path`` is no number.
    """
    tried = row.get("tried") or "1"
    if not tried.isdecimal():
        found = f"'{tried}' readings tried, expected their number"
        raise UserError(f"{path}: {row.get('claim')}: {found}. Make it again.")
    return int(tried)


def tried_in_words(counts: Iterable[int]) -> str:
    """Return how many readings were tried of claims that have several: ``3``, or ``2 to 6``; empty where none has."""
    different = sorted({count for count in counts if count > 1})
    return " to ".join(str(count) for count in dict.fromkeys((different[0], different[-1]))) if different else ""


def _rank(row: Row) -> tuple[bool, bool]:
    """Return the order of rows: measured ones first, and of these those where nothing differs from the paper."""
    verdict = Verdict.of_word(row["verdict"])
    return verdict is Verdict.NOT_MEASURED, verdict.is_indicative or bool(row.get("differs"))


def as_markdown(claims: Sequence[ClaimOverScales]) -> str:
    """Return a table with a line per claim: its words and place, both verdicts, and the scale that they are from.

    Beside a verdict stands the reading that it is of, and how many were tried.
    """
    header = ["| paper | the paper claims | reproduced? | real? | scale |", "| --- | --- | --- | --- | --- |"]
    lines = [
        f"| {claim.paper} | {on_one_line(claim.row['says'])} ({on_one_line(claim.row['where'])}) "
        f"| {claim.verdict}{f' ({claim.reading})' if claim.reading else ''} "
        f"| {'–' if claim.audit is Verdict.NOT_APPLICABLE else claim.audit} | {claim.scale} |"
        for claim in claims
    ]
    return "\n".join([*header, *lines]) + "\n"


def on_one_line(text: str) -> str:
    """Return a text as a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")

"""A paper's claims as one scale's files have them, under the reading of each claim's headline; read without pandas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError
from robustrepro.layout import Layout
from robustrepro.scorecard.combined import Row, audit_of
from robustrepro.scorecard.judged import Compared, Judged
from robustrepro.verdicts import Verdict

KNOWN = frozenset(field.name for field in fields(Judged))


@dataclass(frozen=True)
class Headline:
    """A claim under the reading that its row of the scorecard is of.

    Attributes
    ----------
    row
        The claim's row of the scale's ``scorecard.csv``.
    conditions
        Every comparison with its numbers.
    taken_down_by
        The attack that took down a claim which held before the audit; empty where none did.
    audited
        Every comparison with its numbers in the worst case over all attacks; none of a claim that was not audited.
    audited_because
        Why the audit came to what it says, in words.
    images
        How many test images each audited model was attacked on; 0 where none was.
    """

    row: Row
    conditions: tuple[Judged, ...]
    taken_down_by: str = ""
    audited: tuple[Judged, ...] = ()
    audited_because: str = ""
    images: int = 0

    @property
    def verdict(self) -> Verdict:
        """Whether it was reproduced."""
        return Verdict.of_word(self.row["verdict"])

    @property
    def audit(self) -> Verdict:
        """Whether it survives the audit."""
        return audit_of(self.row)

    @property
    def differences(self) -> list[str]:
        """What differs from the paper, without the names and options in brackets."""
        words = re.sub(r" \([^()]*\)", "", self.row["differs"])
        return [each for each in dict.fromkeys(words.split("; ")) if each]

    @property
    def decisive(self) -> tuple[Judged, ...]:
        """The comparisons that decide the verdict: those that fail, else those left open, else all of them."""
        return _decisive(self.conditions)

    @property
    def decisive_in_audit(self) -> tuple[Judged, ...]:
        """The comparisons that decide what the audit says."""
        return _decisive(self.audited)


def _decisive(conditions: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """Return the comparisons that fail, else those left open, else all of them."""
    for outcomes in ({"fails"}, {"crosses", "beyond"}):
        found = tuple(condition for condition in conditions if condition.outcome in outcomes)
        if found:
            return found
    return conditions


def read_headlines(folder: Path, rows: Sequence[Row]) -> list[Headline]:
    """Return the claims of one paper at one scale, in the order of their rows.

    Parameters
    ----------
    folder
        The scale's folder, ``results/<scale>``.
    rows
        The paper's rows of the scale's scorecard.

    Raises
    ------
    UserError
        If the paper's ``scorecard.json`` or ``audit.json`` is missing, or lacks one of these claims.
    """
    if not rows:
        return []
    layout, paper = Layout(str(folder)), rows[0]["paper"]
    scorecard, audit = Path(layout.scorecard(paper)), Path(layout.audit(paper))
    judged = {claim["claim"]: claim for claim in _read(scorecard)}
    audited = {(claim["claim"], claim["reading"]): claim for claim in _read(audit)}
    headlines = []
    for row in rows:
        claim = judged.get(row["claim"])
        readings = {reading["reading"]: reading for reading in claim["readings"]} if claim else {}
        if claim is None or claim["reading"] not in readings:
            found = f"it has no claim '{row['claim']}', as {folder}/scorecard.csv has"
            raise UserError(f"{scorecard}: {found}. Make it again.")
        conditions = tuple(_judged(condition) for condition in readings[claim["reading"]]["conditions"])
        survival = audited.get((row["claim"], claim["reading"]), {})
        down = survival.get("taken_down") or {}
        by = down.get("by", "") if down.get("left") else ""
        in_the_worst_case = tuple(map(_judged, survival.get("conditions") or ()))
        images = max((cell["images"] for cell in survival.get("cells") or ()), default=0)
        headlines.append(Headline(row, conditions, by, in_the_worst_case, survival.get("why") or "", images))
    return headlines


def _judged(condition: Mapping[str, Any]) -> Judged:
    """Return a comparison as it was written; what a later version adds is passed over."""
    known = {key: value for key, value in condition.items() if key in KNOWN}
    compared = tuple(Compared(**number) for number in condition["compared"])
    interval = tuple(condition["interval"]) if condition["interval"] else None
    return Judged(**{**known, "compared": compared, "interval": interval})


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        content: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); `make reproduce` makes it") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}). Make it again.") from None
    return content

"""What there is to say about each claim: the paper's words, each comparison as printed and measured, the verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from robustrepro.errors import UserError
from robustrepro.grammar import Condition, cell_of, parse_condition
from robustrepro.layout import Layout
from robustrepro.printed import parse_printed
from robustrepro.scorecard.combined import ClaimOverScales, reading_in_words
from robustrepro.scorecard.headlines import Headline, read_headlines
from robustrepro.scorecard.judged import Compared, Judged
from robustrepro.scorecard.statements import Parts, named_by_what_differs, statement
from robustrepro.verdicts import Tone, Verdict
from robustrepro.words import plural

SHOWN = 2
"""How many differences from the paper are named."""
OUTCOMES = {"holds": "holds", "fails": "fails", "crosses": "open", "beyond": "cannot be asked"}
"""What became of a comparison, in a word."""
INTERVALS = (
    "In brackets: the 95% interval, over seeds where there are several, else over test images. A comparison holds if "
    "its whole interval meets the bound, fails if none of it does, and is open between."
)


def sentences(results: Path, claims: Sequence[ClaimOverScales]) -> list[list[str]]:
    """Return lines about each claim, indented, with the numbers of the scale that says most about the paper.

    Parameters
    ----------
    results
        Holds a folder per scale.
    claims
        Claims over the scales to choose from.

    Raises
    ------
    UserError
        If a scale's files do not have a claim that its scorecard has.
    """
    headlines: dict[tuple[str, str], Headline] = {}
    for place in dict.fromkeys((claim.scale, claim.paper) for claim in claims):
        rows = [claim.row for claim in claims if (claim.scale, claim.paper) == place]
        headlines |= {
            (headline.row["paper"], headline.row["claim"]): headline
            for headline in read_headlines(results / place[0], rows)
        }
    return [list(_lines(headlines[claim.paper, claim.claim], claim.scale, results / claim.scale)) for claim in claims]


def _lines(claim: Headline, scale: str, folder: Path) -> Iterator[str]:
    row = claim.row
    yield f"The paper says “{' '.join(row['says'].split())}” ({row['where']})."
    if claim.verdict is Verdict.NOT_MEASURED:
        yield f"Not measured: {row['why'].partition(';')[0]}."
        return
    yield from _comparisons(claim.conditions, folder, row["paper"])
    reading = reading_in_words(row)
    under = f", read as {reading}" if reading else ""
    differs = f", with {_few(claim.differences)}" if claim.verdict.is_indicative and claim.differences else ""
    verdict = str(claim.verdict)
    yield f"{verdict[0].upper()}{verdict[1:]} at scale {scale}{under}{differs}."
    yield from _audited(claim, folder)


def _comparisons(conditions: Sequence[Judged], folder: Path, paper: str) -> Iterator[str]:
    """Yield what was asked and found, one comparison after the other, below what its cells share."""
    shared = None
    for condition in conditions:
        where, names = _named(condition, folder, paper)
        if where and where != shared:
            yield f"{where[0].upper()}{where[1:]}:"
        shared = where
        indent = "  " if where else ""
        yield f"{indent}{statement(condition.condition, names)}: {OUTCOMES[condition.outcome]}, {_found(condition)}"
        if len(condition.compared) > 1:
            numbers = ", ".join(_number(number, names[number.cell], condition) for number in condition.compared)
            yield f"{indent}  {numbers}"


def _named(condition: Judged, folder: Path, paper: str) -> tuple[str, Mapping[str, str]]:
    """Return what the cells of a comparison share, and each one's name."""
    return named_by_what_differs({number.cell: _parts(number.cell, folder, paper) for number in condition.compared})


def _parts(cell: str, folder: Path, paper: str) -> Parts:
    """Return the names of a cell's table, column and row; the keys where there is no such table."""
    key = cell_of(cell)
    table = _table(Path(Layout(str(folder)).table(paper, key.table)))
    name = table.get("where") or key.table
    if table.get("reading") and table.get("of") != key.table:
        name = f"{name} ({table['reading']})"
    columns = {
        each["key"]: ", ".join(filter(None, (each["group"], each["label"]))) for each in table.get("columns", [])
    }
    rows = {each["key"]: each["label"] for each in table.get("rows", [])}
    header = f"{table['row_header'].lower()} " if table.get("row_header") else ""
    return name, columns.get(key.column, key.column), header + rows.get(key.row, key.row)


@cache
def _table(path: Path) -> Mapping[str, Any]:
    """Return a table as its file has it; nothing where there is none.

    Raises
    ------
    UserError
        If the file is not JSON.
    """
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}). Make it again.") from None
    return content


def _found(judged: Judged) -> str:
    """Return what was found, and what the printed numbers come to: ``difference 31.20 [30.11, 32.29], printed 40.10``.

    That is the number of the one cell, by how much the cells differ, or their sum; of cells that are multiplied by
    numbers, how far they are from the bound.
    """
    if judged.bound is not None:
        return f"it asks for {judged.bound:.{judged.decimals}f}{judged.unit}, which no accuracy can reach"
    condition = parse_condition(judged.condition)
    what, sign, constant = _what(condition)
    unit = _unit(judged) if what == "measured" else ""
    ends = [sign * (end - constant) + 0.0 for end in judged.interval or ()]
    values = [sign * (judged.margin - constant) + 0.0, *sorted(ends)]
    value, *interval = (f"{each:.{judged.decimals}f}" for each in values)
    spread = f" [{', '.join(interval)}]" if interval else ""
    printed = {cell_of(number.cell): _printed(number) for number in judged.compared}
    theirs = ""
    if all(each is not None for each in printed.values()):
        numbers = {cell: each for cell, each in printed.items() if each is not None}
        theirs = f", printed {sign * (condition.margin.value(numbers) - constant) + 0.0:.{judged.decimals}f}{unit}"
    return f"{what} {value}{unit}{spread}{theirs}"


def _what(condition: Condition) -> tuple[str, int, float]:
    """Return what is said of a comparison's cells, and the sign and the constant that take its margin to that."""
    margin, sign = condition.margin, 1 if condition.at_least else -1
    if any(abs(factor) != 1 for factor, _ in margin.terms):
        return "margin", 1, 0.0
    added, taken = margin.parted()
    if added.terms and taken.terms:
        return "difference", sign, margin.constant
    return "measured" if len(margin.terms) == 1 else "sum", sign, margin.constant


def _printed(number: Compared) -> float | None:
    """Return the printed number; None where the paper prints none."""
    return parse_printed(number.printed).value if number.printed else None


def _number(number: Compared, name: str, judged: Judged) -> str:
    printed = f" (printed {number.printed})" if number.printed else ""
    return f"{name} {number.value:.{judged.decimals}f}{_unit(judged)}{printed}"


def _unit(judged: Judged) -> str:
    return judged.unit if judged.unit == "%" else f" {judged.unit}".rstrip()


def _few(differences: Sequence[str]) -> str:
    rest = len(differences) - SHOWN
    more = f" and {plural(rest, 'difference')} more" if rest > 0 else ""
    return ", ".join(differences[:SHOWN]) + more


def _audited(claim: Headline, folder: Path) -> Iterator[str]:
    """Yield what the audit says of a claim, with the numbers that decide there."""
    if claim.audit is Verdict.NOT_APPLICABLE:
        yield "Audit: none. It attacks within ℓp balls alone, and no number of this claim is under such an attack."
        return
    if not claim.audit.is_measured:
        yield f"Audit: {claim.audit}."
        return
    by = f", under {claim.taken_down_by.removeprefix('audit: ')}" if claim.taken_down_by else ""
    numbers = ""
    if decisive := claim.decisive_in_audit[:1]:
        _, names = _named(decisive[0], folder, claim.row["paper"])
        left = ", ".join(
            f"{names[number.cell]} {number.value:.{decisive[0].decimals}f}{_unit(decisive[0])}"
            for number in decisive[0].compared
        )
        over = f" over {claim.images:,} images" if claim.images else ""
        numbers = f": in the worst case{over} {left}"
    yield f"Audit: it {claim.audit.says}{by}{numbers}."
    if claim.audit.tone is Tone.OPEN and claim.audited_because:
        yield f"Undecided, since {'; '.join(claim.audited_because.split('; ')[:SHOWN])}."

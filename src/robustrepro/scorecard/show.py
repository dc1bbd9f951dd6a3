"""Scorecards in a terminal, claim by claim; read without pandas, whose import would take longer than the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robustrepro.scorecard.combined import ClaimOverScales, Row, audit_of, read_scorecard, reading_in_words
from robustrepro.scorecard.overview import in_short
from robustrepro.scorecard.sentences import INTERVALS, sentences
from robustrepro.spec.strict_yaml import Tree
from robustrepro.verdicts import Verdict

MARK = "~"
"""What stands before an indicative verdict, instead of the word."""
CHANGED = " (config.yaml)"
"""What stands behind the user's own changes, before the models that they are of."""
LEGEND = f"{MARK} indicative: something differs from the paper, so this is no verdict on the paper"
VACUOUS = "vacuous: a model gives every image the same class, so that its accuracy says nothing about robustness"
READINGS = "reading r/n: n readings were tried; r, the most favourable to the paper, is shown"
WIDEST_READING = 12
WIDEST_SCALE = 8
NARROWEST_CLAIM = 8
GAP = 2
INDENT = 2
"""Columns of the terminal, in characters."""


def show_scorecard(folder: Path) -> None:
    """Print the scorecard of a scale, what the user has changed, and the path of its report.

    Raises
    ------
    UserError
        If the scale has not run.
    """
    rows = read_scorecard(folder / "scorecard.csv")
    console = Console()
    _print(console, f"Scorecard, scale {folder.name}", rows)
    for changed in _changed(rows):
        console.print(Text(f"Changed: {changed}"))
    console.print(Text(f"Report: {folder / 'report' / 'index.html'}"), soft_wrap=True)


def show_verdicts(claims: Sequence[ClaimOverScales]) -> None:
    """Print every claim once, with the scale that says most about the paper."""
    _print(Console(), "Verdicts over all scales", [claim.row for claim in claims], [claim.scale for claim in claims])


def show_sentences(results: Path, claims: Sequence[ClaimOverScales], about: Tree | None = None) -> None:
    """Print what there is to say about each claim of a paper, as wide as the terminal, below its name and verdicts.

    Parameters
    ----------
    results
        Holds a folder per scale.
    claims
        The claims over the scales.
    about
        The paper's declaration, whose title and summary are printed first; None where it is not at hand.
    """
    console = Console(highlight=False)
    told = sentences(results, claims)
    for key, style in (("title", "bold"), ("summary", "")):
        if about and about.get(key):
            _wrapped(console, " ".join(str(about[key]).split()), style)
    _wrapped(console, in_short(claims))
    _wrapped(console, INTERVALS, "dim")
    if any(claim.audit.bare == Verdict.VACUOUS for claim in claims):
        _wrapped(console, VACUOUS, "dim")
    for claim, lines in zip(claims, told, strict=True):
        console.print()
        heading = Text.assemble((claim.claim, "bold"), "  ", (str(claim.verdict), claim.verdict.tone.colour))
        if claim.audit.is_measured:
            audit = claim.audit.beside(claim.verdict)
            heading.append_text(Text.assemble("  audit: ", (audit.bare, audit.tone.colour)))
        console.print(heading)
        for line in lines:
            _wrapped(console, f"  {line}")


def _wrapped(console: Console, line: str, style: str = "") -> None:
    """Print a line; what does not fit goes on below, as far to the right as the line began."""
    indent = " " * (len(line) - len(line.lstrip()))
    lines = wrap(line, console.width, subsequent_indent=indent, break_on_hyphens=False)
    console.print(Text("\n".join(lines), style), soft_wrap=True)


def _print(console: Console, title: str, rows: Sequence[Row], scales: Sequence[str] = ()) -> None:
    """Print the claims below their paper's name; where a claim's name does not fit, it goes on below."""
    columns = _columns(rows, scales)
    widths = {heading: max([len(heading), *map(len, column)]) for heading, column in columns.items()}
    beyond = sum(width + GAP for width in widths.values()) - GAP - console.width
    widths["claim"] = max(NARROWEST_CLAIM, widths["claim"] - max(0, beyond))
    columns["claim"] = [_over_lines(claim.plain, widths["claim"]) for claim in columns["claim"]]

    def table(*, headed: bool = False) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=headed)
        for heading, width in widths.items():
            made.add_column(heading, no_wrap=True, overflow="ellipsis", width=width)
        return made

    console.print(Text(title, "italic"))
    console.print(table(headed=True))
    for paper, of_paper in groupby(zip(rows, *columns.values(), strict=True), key=lambda line: line[0]["paper"]):
        console.print(Text(paper, "bold"), soft_wrap=True)
        body = table()
        for _, *line in of_paper:
            body.add_row(*line)
        console.print(body)
    if any(Verdict.of_word(row[column]).is_indicative for row in rows for column in ("verdict", "audit")):
        console.print(Text(LEGEND, "dim"))
    if any(audit_of(row).bare == Verdict.VACUOUS for row in rows):
        console.print(Text(VACUOUS, "dim"))
    if any(map(reading_in_words, rows)):
        console.print(Text(READINGS, "dim"))


def _columns(rows: Sequence[Row], scales: Sequence[str]) -> dict[str, list[Text]]:
    """Return the texts of each column by its heading; without a claim that was read in several ways, no readings."""
    readings = [_reading(row) for row in rows]
    return {
        "claim": [Text(row["claim"]) for row in rows],
        "reproduced?": [_short(Verdict.of_word(row["verdict"])) for row in rows],
        **({"reading": readings} if any(readings) else {}),
        "survives?": [_short(audit_of(row)) for row in rows],
        **({"scale": [_cut(scale, WIDEST_SCALE) for scale in scales]} if scales else {}),
    }


def _reading(row: Row) -> Text:
    """Return which reading a verdict is of, and of how many: ``clipped/6``; nothing where there is one."""
    if not reading_in_words(row):
        return Text("")
    return _cut(row["reading"], WIDEST_READING) + Text(f"/{row['tried']}")


def _cut(text: str, width: int, style: str = "") -> Text:
    """Return a text of at most so many characters."""
    cut = Text(text, style)
    cut.truncate(width, overflow="ellipsis")
    return cut


def _over_lines(name: str, width: int) -> Text:
    """Return a whole name on as many lines as it takes, broken at its hyphens where that can be."""
    indent = " " * min(INDENT, width - 1)
    lines: list[str] = []
    for part in re.split(r"(?<=-)", name):
        if lines and len(lines[-1] + part) <= width:
            lines[-1] += part
        else:
            lines += wrap(part, width, initial_indent=indent if lines else "", subsequent_indent=indent)
    return Text("\n".join(lines))


def _short(verdict: Verdict) -> Text:
    """Return a verdict in its colour, with a mark instead of the word "indicative"."""
    return Text(verdict.replace("indicative:", MARK), verdict.tone.colour)


def _changed(rows: Iterable[Row]) -> list[str]:
    """Return what the user has changed of what the claims rest on, each once."""
    columns = (row.get(column, "") for row in rows for column in ("differs", "audit_differs"))
    differing = (words.partition(CHANGED) for column in columns for words in column.split("; "))
    return list(dict.fromkeys(words + mark for words, mark, _ in differing if mark))

"""Scorecards in a terminal, one line per claim; read without pandas, whose import would take longer than the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from robustrepro.scorecard.combined import ClaimOverScales, Row, audit_of, read_scorecard, reading_in_words
from robustrepro.scorecard.sentences import sentences
from robustrepro.verdicts import Verdict

MARK = "~"
"""What stands before an indicative verdict, instead of the word."""
CHANGED = " (config.yaml)"
"""What stands behind the user's own changes, before the models that they are of."""
LEGEND = f"{MARK} indicative: something differs from the paper, so this is no verdict on the paper"
READINGS = "reading r/n: n readings were tried; r, the most favourable to the paper, is shown"
WIDEST_READING = 12
WIDEST_SCALE = 8
NARROWEST_CLAIM = 8
GAP = 2
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


def show_sentences(results: Path, claims: Sequence[ClaimOverScales]) -> None:
    """Print a sentence about each claim, as wide as the terminal, below a line with its name and its verdicts."""
    console = Console()
    for claim, sentence in zip(claims, sentences(results, claims), strict=True):
        heading = Text.assemble((claim.claim, "bold"), "  ", (str(claim.verdict), claim.verdict.tone.colour))
        if claim.audit.is_measured:
            audit = claim.audit.beside(claim.verdict)
            heading.append_text(Text.assemble("  audit: ", (audit.bare, audit.tone.colour)))
        console.print(heading)
        console.print(Padding(Text(sentence.partition(": ")[2]), (0, 0, 1, 2)))


def _print(console: Console, title: str, rows: Sequence[Row], scales: Sequence[str] = ()) -> None:
    """Print one line per claim, below its paper's name; what does not fit is cut, the claim's name first."""
    columns = _columns(rows, scales)
    widths = {heading: max([len(heading), *map(len, column)]) for heading, column in columns.items()}
    beyond = sum(width + GAP for width in widths.values()) - GAP - console.width
    widths["claim"] = max(NARROWEST_CLAIM, widths["claim"] - max(0, beyond))
    columns["claim"] = _distinct([claim.plain for claim in columns["claim"]], widths["claim"])
    table = Table(title=title, box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for heading, width in widths.items():
        table.add_column(heading, no_wrap=True, overflow="ellipsis", width=width)
    paper = None
    for row, *line in zip(rows, *columns.values(), strict=True):
        if row["paper"] != paper:
            paper = row["paper"]
            table.add_row(_cut(paper, widths["claim"], "bold"))
        table.add_row(*line)
    console.print(table)
    if any(Verdict.of_word(row[column]).is_indicative for row in rows for column in ("verdict", "audit")):
        console.print(Text(LEGEND, "dim"))
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


def _distinct(names: Sequence[str], width: int) -> list[Text]:
    """Return names of at most so many characters, cut where what is left of each could be no other, if that can be."""
    return [Text(_shortened(name, width, [other for other in names if other != name])) for name in names]


def _shortened(name: str, width: int, others: Sequence[str]) -> str:
    """Return a name cut as near its middle as leaves it unlike the others: many begin alike, and many end alike."""
    if len(name) <= width:
        return name
    kept = width - 1
    heads = sorted(range(kept + 1), key=lambda head: abs(2 * head - kept - 1))
    parts = [(name[:head], name[len(name) - kept + head :]) for head in heads]
    for head, tail in parts:
        if not any(other.startswith(head) and other.endswith(tail) for other in others):
            return f"{head}…{tail}"
    return "…".join(parts[0])


def _short(verdict: Verdict) -> Text:
    """Return a verdict in its colour, with a mark instead of the word "indicative"."""
    return Text(verdict.replace("indicative:", MARK), verdict.tone.colour)


def _changed(rows: Iterable[Row]) -> list[str]:
    """Return what the user has changed of what the claims rest on, each once."""
    columns = (row.get(column, "") for row in rows for column in ("differs", "audit_differs"))
    differing = (words.partition(CHANGED) for column in columns for words in column.split("; "))
    return list(dict.fromkeys(words + mark for words, mark, _ in differing if mark))

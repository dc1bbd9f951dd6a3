"""Scorecards in a terminal, one line per claim; read without pandas, whose import would take longer than the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from robustrepro.scorecard.combined import ClaimOverScales, Row, read_scorecard, reading_in_words
from robustrepro.verdicts import Verdict

MARK = "~"
"""What stands before an indicative verdict, instead of the word."""
CHANGED = " (config.yaml)"
"""What stands behind the user's own changes, before the models that they are of."""
LEGEND = f"{MARK} indicative: not all is as in the paper, so that it is no verdict on the paper"
WIDEST_PAPER = 12
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


def _print(console: Console, title: str, rows: Sequence[Row], scales: Sequence[str] = ()) -> None:
    """Print one line per claim; what does not fit is cut, the claim's name first.

    The reading behind a verdict stands beside it, or below it where that would cut the claims' names.
    """
    columns = _columns(rows, scales, " ")
    if _width(columns) > console.width:
        columns = _columns(rows, scales, "\n")
    table = Table(title=title, box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    widths = _widths(columns)
    widths["claim"] = max(NARROWEST_CLAIM, widths["claim"] - max(0, _width(columns) - console.width))
    columns["claim"] = [_shortened(claim.plain, widths["claim"]) for claim in columns["claim"]]
    for heading, width in widths.items():
        table.add_column(heading, no_wrap=True, overflow="ellipsis", width=width)
    for line in zip(*columns.values(), strict=True):
        table.add_row(*line)
    console.print(table)
    if any(Verdict.of_word(row[column]).is_indicative for row in rows for column in ("verdict", "audit")):
        console.print(Text(LEGEND, "dim"))


def _columns(rows: Sequence[Row], scales: Sequence[str], before_reading: str) -> dict[str, list[Text]]:
    """Return the texts of each column by its heading; ``before_reading`` stands between verdict and reading."""
    return {
        "paper": [_cut(row["paper"], WIDEST_PAPER) for row in rows],
        "claim": [Text(row["claim"]) for row in rows],
        "reproduced?": [_short(Verdict.of_word(row["verdict"])) + _reading(row, before_reading) for row in rows],
        "survives?": [_short(Verdict.of_word(row["audit"])) for row in rows],
        **({"scale": [_cut(scale, WIDEST_SCALE) for scale in scales]} if scales else {}),
    }


def _widths(columns: Mapping[str, Sequence[Text]]) -> dict[str, int]:
    """Return how wide each column is that shows its longest line whole."""
    return {
        heading: max([len(heading), *(len(line) for text in column for line in text.plain.split("\n"))])
        for heading, column in columns.items()
    }


def _width(columns: Mapping[str, Sequence[Text]]) -> int:
    """Return how wide the table is that shows everything whole."""
    return sum(width + GAP for width in _widths(columns).values())


def _reading(row: Row, before: str) -> Text:
    """Return which reading a verdict is of, and of how many: ``(clipped, 1 of 6)``; nothing where there is one."""
    words = reading_in_words(row)
    if not words:
        return Text("")
    name, count = words.rsplit(", ", 1)
    return Text(f"{before}(") + _cut(name, WIDEST_READING) + Text(f", {count})")


def _cut(text: str, width: int) -> Text:
    """Return a text of at most so many characters."""
    cut = Text(text)
    cut.truncate(width, overflow="ellipsis")
    return cut


def _shortened(text: str, width: int) -> Text:
    """Return a name of at most so many characters, cut in its middle: names that begin alike mostly end differently."""
    if len(text) <= width:
        return Text(text)
    end = (width - 1) // 2
    return Text(f"{text[: width - 1 - end]}…{text[len(text) - end :]}")


def _short(verdict: Verdict) -> Text:
    """Return a verdict in its colour, with a mark instead of the word "indicative"."""
    return Text(verdict.replace("indicative:", MARK), verdict.tone.colour)


def _changed(rows: Iterable[Row]) -> list[str]:
    """Return what the user has changed of what the claims rest on, each once."""
    columns = (row.get(column, "") for row in rows for column in ("differs", "audit_differs"))
    differing = (words.partition(CHANGED) for column in columns for words in column.split("; "))
    return list(dict.fromkeys(words + mark for words, mark, _ in differing if mark))

"""A comparison in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from robustrepro.comparison.changes import CellChange, ClaimChange, Comparison
from robustrepro.comparison.results import Number
from robustrepro.words import plural

ABSENT = "–"
"""What stands for a cell or a claim that a side does not have, or has not measured."""
SETTINGS = 12
"""How many settings that differ are shown unless all are asked for."""
SEEDS, IMAGES, UNKNOWN = "*", "(*)", "?"
LEGEND = {
    SEEDS: "* beyond the seeds' spread: the 95% interval of the difference leaves out 0. It is Welch's, for two seeds "
    "a side or more; of two, only a difference of several standard errors is beyond it. Where one side has one seed, "
    "the other side's spread is taken for both. Where nothing is really different, one number in 20 is marked "
    "by chance.",
    IMAGES: "(*) beyond what other test images would change, with one seed on each side (or seeds that all agree): "
    "another seed may change as much. Two seeds would tell.",
    UNKNOWN: "? one seed, of a number that says nothing of its spread",
}
"""What each mark means."""


def show_comparison(comparison: Comparison, *, everything: bool = False) -> None:
    """Print the verdicts and cells that changed.

    Parameters
    ----------
    comparison
        Of two results.
    everything
        Whether to print what did not change, too.
    """
    console = Console(highlight=False)
    _lines(console, _heading(comparison))
    _lines(console, ["", *_settings_lines(comparison, everything=everything)])
    claims = [claim for claim in comparison.claims if everything or claim.is_changed]
    cells = [cell for cell in comparison.cells if everything or cell.outcome != "same"]
    _lines(console, ["", _claims_in_short(comparison)])
    for claim in claims:
        _lines(console, ["", f"{claim.paper}, {claim.claim} ({claim.scale})"], "bold")
        _lines(console, _claim_lines(claim))
    _lines(console, ["", _cells_in_short(comparison)])
    for (scale, paper, table), of_table in groupby(cells, key=lambda cell: (cell.scale, cell.paper, cell.cell.table)):
        _lines(console, ["", f"{paper}, {table} ({scale})"], "bold")
        console.print(_table(list(of_table)))
    if legends := [words for mark, words in LEGEND.items() if any(_mark(cell) == mark for cell in cells)]:
        _lines(console, ["", *legends], "dim")


def _lines(console: Console, lines: Iterable[str], style: str = "") -> None:
    """Print lines; what does not fit goes on below, as far to the right as its line began."""
    for line in lines:
        text = line.lstrip()
        padding = (0, 0, 0, len(line) - len(text))
        console.print(Padding(Text(text, style), padding, expand=False) if text else "")


def _heading(comparison: Comparison) -> Iterator[str]:
    yield f"before  {comparison.before}"
    yield f"after   {comparison.after}"
    for side, names in (("before", comparison.only_before), ("after", comparison.only_after)):
        if names:
            yield f"only {side}: {', '.join(names)}"


def _settings_lines(comparison: Comparison, *, everything: bool) -> Iterator[str]:
    """Yield the settings that differ, the first of them unless all are asked for."""
    if comparison.settings is None:
        yield "Settings that differ: not known, since one side does not record its settings"
    elif not comparison.settings:
        yield "Settings that differ: none"
    elif len(comparison.settings) == 1:
        yield f"Settings that differ: {comparison.settings[0]}"
    else:
        shown = comparison.settings if everything else comparison.settings[:SETTINGS]
        yield "Settings that differ:"
        yield from (f"  {words}" for words in shown)
        if rest := len(comparison.settings) - len(shown):
            yield f"  and {rest} more, with ALL=1 or --all"


def _claims_in_short(comparison: Comparison) -> str:
    changed = sum(claim.is_changed for claim in comparison.claims)
    return f"Verdicts: {changed or 'none'} of {plural(len(comparison.claims), 'claim')} changed"


def _cells_in_short(comparison: Comparison) -> str:
    outcomes = [cell.outcome for cell in comparison.cells]
    changed = sum(outcome != "same" for outcome in outcomes)
    marks = [_mark(cell) for cell in comparison.cells]
    beyond = f", {marks.count(SEEDS) or 'none'} beyond the seeds' spread" if changed else ""
    alone = f", {marks.count(IMAGES)} beyond that of the test images, with one seed" if IMAGES in marks else ""
    return f"Tables: {changed or 'none'} of {plural(len(outcomes), 'number')} changed{beyond}{alone}"


def _mark(cell: CellChange) -> str:
    """Return what stands behind a cell's change; empty where there is nothing to say."""
    if cell.outcome == "beyond":
        return SEEDS if cell.over == "seeds" else IMAGES
    return UNKNOWN if cell.outcome == "unknown" else ""


def _claim_lines(change: ClaimChange) -> Iterator[str]:
    """Yield a claim's verdicts, then every comparison with what each side measured."""
    for what in ("verdict", "audit", "reading"):
        before, after = (getattr(side, what) if side else ABSENT for side in (change.before, change.after))
        if before != after or (what == "verdict" and not change.is_changed):
            yield f"  {what}: {before if before == after else f'{before or ABSENT} → {after or ABSENT}'}"
    if change.before and change.before == change.after:
        return
    conditions = [condition for side in (change.before, change.after) if side for condition in side.comparisons]
    for condition in dict.fromkeys(conditions):
        if condition:
            yield f"  {condition}"
        for name, side in (("before", change.before), ("after", change.after)):
            if side and condition in side.comparisons:
                yield f"    {name}: {side.comparisons[condition]}"


def _table(cells: Sequence[CellChange]) -> Table:
    """Return the cells of a table, one per line."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("cell", "before", "after", "change"):
        table.add_column(heading, justify="left" if heading == "cell" else "right", overflow="fold")
    table.add_column("")
    for change in cells:
        cell = f"{change.cell.row}, {change.cell.column}"
        texts = (cell, _number(change.before, change.after), _number(change.after, change.before), _difference(change))
        mark = _mark(change)
        table.add_row(*(Text(text, "bold" if mark == SEEDS else "") for text in texts), mark)
    return table


def _number(number: Number | None, other: Number | None) -> str:
    """Return a cell's number, and of how many seeds it is where the other side's is of more or fewer."""
    if number is None:
        return ABSENT
    counted = other is not None and other.seeds != number.seeds
    return f"{number.text} ({plural(number.seeds, 'seed')})" if counted else number.text


def _difference(change: CellChange) -> str:
    """Return the difference with its interval; empty where there is none."""
    if change.after is None or change.difference is None or change.outcome == "same":
        return ""
    decimals = change.after.decimals
    ends = [f"{end:+.{decimals}f}" for end in change.interval or ()]
    return f"{change.difference:+.{decimals}f}" + (f" [{', '.join(ends)}]" if ends else "")

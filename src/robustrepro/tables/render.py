"""A table as CSV, for machines, and as Markdown that reads like the paper's with its numbers in brackets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from robustrepro.printed import heading
from robustrepro.words import plural

CSV_COLUMNS = (
    "row",
    "column",
    "mean",
    "standard_deviation",
    "interval_low",
    "interval_high",
    "interval_kind",
    "seeds",
    "printed",
    "difference",
    "unit",
    "status",
)
CSV_COLUMNS_OF_REPORTED = ("reported", "reported_seed", "lowest", "highest")
"""Behind the others, where a table reports one seed of each row."""


def as_csv(table: Mapping[str, Any]) -> str:
    """Return one line per cell, with the columns of :data:`CSV_COLUMNS`; numbers are unrounded.

    Where the table reports one seed of each row, the columns of :data:`CSV_COLUMNS_OF_REPORTED` follow, and
    ``difference`` is that of the reported number.
    """
    cells = pd.DataFrame(table["cells"], dtype=object)
    units = {column["key"]: column["unit"] for column in table["columns"]}
    intervals = [interval or (None, None) for interval in cells["interval"]]
    frame = cells.assign(
        standard_deviation=cells["std"],
        interval_low=[low for low, _ in intervals],
        interval_high=[high for _, high in intervals],
        unit=cells["column"].map(units),
    )
    columns = [*CSV_COLUMNS]
    if table.get("reports"):
        reported = [cell["reported"] or {} for cell in table["cells"]]
        for column, key in zip(CSV_COLUMNS_OF_REPORTED, ("value", "seed", "low", "high"), strict=True):
            frame[column] = pd.Series([each.get(key) for each in reported], dtype=object)
        columns += CSV_COLUMNS_OF_REPORTED
    text: str = frame.to_csv(columns=columns, index=False, lineterminator="\n")
    return text


def as_markdown(table: Mapping[str, Any]) -> str:
    """Return the table as the paper lays it out: ours ± standard deviation, and the printed number in brackets.

    Markdown has one line of headers, so a column under a common header is named ``header: column``.
    """
    cells = {(cell["row"], cell["column"]): cell for cell in table["cells"]}
    headers = [table["row_header"], *(heading(column["group"], column["label"]) for column in table["columns"])]
    rows = [
        [row["label"], *(cell_text(cells[row["key"], column["key"]], column) for column in table["columns"])]
        for row in table["rows"]
    ]
    lines = [
        f"**{table['where']}.** {table['caption']}",
        "",
        _line(headers),
        "| --- |" + " ---: |" * len(table["columns"]),
        *map(_line, rows),
        "",
        legend(table),
    ]
    return "\n".join(lines) + "\n"


def cell_text(cell: Mapping[str, Any], column: Mapping[str, Any]) -> str:
    """Return a cell as the Markdown shows it: ``37.50% ± 17.68 [3.25%]``, ``not measured [3.25%]`` or ``[3.25%]``.

    Of a reported seed it is ``25.00% (25.00 to 50.00) [3.25%]``.
    """
    parts = []
    if cell["mean"] is not None:
        unit, decimals = column["unit"], column["decimals"]
        reported = cell.get("reported")
        ours = reported["value"] if reported else cell["mean"]
        parts.append(f"{ours:.{decimals}f}{' ' if unit[:1].isalpha() else ''}{unit}")
        if reported:
            parts.append(f"({reported['low']:.{decimals}f} to {reported['high']:.{decimals}f})")
        elif cell["std"] is not None:
            parts.append(f"± {cell['std']:.{decimals}f}")
    elif cell["status"] == "not measured":
        parts.append("not measured")
    if cell["printed"] is not None:
        parts.append(f"[{cell['printed']}]")
    return " ".join(parts)


def legend(table: Mapping[str, Any]) -> str:
    """Return what the numbers are over, and what they cannot say."""
    cells = table["cells"]
    seeds = sorted({cell["seeds"] for cell in cells if cell["status"] == "measured"})
    parts = [f"Scale `{table['scale']}`"]
    if table["reading"]:
        parts.append(f"reading `{table['reading']}`")
    if seeds:
        parts.append(plural(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]}-{seeds[-1]} seeds")
        parts += _ours_in_words(table, several=seeds[-1] > 1)
    if any(cell["printed"] is not None for cell in cells):
        parts.append("[as printed]")
    sentences = [", ".join(parts)]
    if any(cell.get("reported") for cell in cells):
        sentences.append("Claims rest on the mean over all seeds, in the CSV")
    if kinds := _each_once(cell["interval_kind"] for cell in cells):
        sentences.append(f"Intervals in the CSV: {'; '.join(kinds)}")
    if reasons := _each_once(cell["why"] for cell in cells):
        sentences.append(f"Not measured: {'; '.join(reasons)}")
    if table["differs"]:
        sentences.append(f"Not as in the paper: {'; '.join(table['differs'])}")
    for row in table["rows"]:
        if row["differs"]:
            sentences.append(f"Changed for {row['label']}: {'; '.join(row['differs'])}")
    if table["unverified"]:
        sentences.append(f"Unverified data: {', '.join(table['unverified'])}")
    return " ".join(f"{sentence}." for sentence in sentences)


def _ours_in_words(table: Mapping[str, Any], *, several: bool) -> list[str]:
    """Return what the numbers in front of the printed ones are, of one seed or several."""
    of_mean = "ours ± standard deviation over seeds" if several else "ours"
    if not any(cell.get("reported") for cell in table["cells"]):
        return [of_mean]
    median_of = table["reports"]["median_of"]
    names = {column["key"]: heading(column["group"], column["label"]) for column in table["columns"]}
    chosen = f"ours from each row's seed of median {names[median_of]} (lowest to highest over seeds)"
    has_means = any(cell["std"] is not None and not cell["reported"] for cell in table["cells"])
    return [chosen, f"elsewhere {of_mean}"] if has_means else [chosen]


def _each_once(words: Iterable[str | None]) -> list[str]:
    return sorted({word for word in words if word})


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

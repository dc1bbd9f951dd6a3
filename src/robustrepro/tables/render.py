"""A table as CSV, for machines, and as Markdown that reads like the paper's with its numbers in brackets."""

from __future__ import annotations

import csv
import io
from typing import Any

COLUMNS = (
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
)


def as_csv(table: dict[str, Any]) -> str:
    """Return one line a cell, with the columns of :data:`COLUMNS`; numbers are unrounded."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in table["cells"]:
        low, high = cell["interval"] or (None, None)
        writer.writerow(
            [
                cell["row"],
                cell["column"],
                cell["mean"],
                cell["std"],
                low,
                high,
                cell["interval_kind"],
                cell["seeds"],
                cell["printed"],
                cell["difference"],
            ]
        )
    return stream.getvalue()


def as_markdown(table: dict[str, Any]) -> str:
    """Return the table as the paper lays it out: ours ± standard deviation, and the printed number in brackets."""
    cells = {(cell["row"], cell["column"]): cell for cell in table["cells"]}
    lines = [f"**{table['where']}.** {table['caption']}", ""]
    header = [table["row_header"], *(column["label"] for column in table["columns"])]
    lines.append("| " + " | ".join(map(_escaped, header)) + " |")
    lines.append("| --- |" + " ---: |" * len(table["columns"]))
    for row in table["rows"]:
        shown = [
            _cell_text(cells[row["key"], column["key"]], table["decimals"], table["unit"])
            for column in table["columns"]
        ]
        lines.append("| " + " | ".join([_escaped(row["label"]), *shown]) + " |")
    lines += ["", _legend(table)]
    return "\n".join(lines) + "\n"


def _cell_text(cell: dict[str, Any], decimals: int, unit: str) -> str:
    text = f"{cell['mean']:.{decimals}f}{unit}"
    if cell["std"] is not None:
        text += f" ± {cell['std']:.{decimals}f}"
    return text if cell["printed"] is None else f"{text} [{_escaped(cell['printed'])}]"


def _legend(table: dict[str, Any]) -> str:
    """Return what the numbers are over, and what they cannot say."""
    kinds = sorted({cell["interval_kind"] for cell in table["cells"] if cell["interval_kind"]})
    seeds = sorted({cell["seeds"] for cell in table["cells"]})
    over = f"{seeds[0]} seed" + ("s" if seeds[0] > 1 else "") if len(seeds) == 1 else f"{seeds[0]}-{seeds[-1]} seeds"
    printed = any(cell["printed"] is not None for cell in table["cells"])
    parts = [f"Scale `{table['scale']}`, {over}"]
    parts.append("ours ± standard deviation over seeds" if seeds[-1] > 1 else "ours")
    if printed:
        parts.append("[as printed]")
    if kinds:
        parts.append("intervals in the CSV: " + "; ".join(kinds))
    sentence = ", ".join(parts[:3]) + ("; " + parts[3] if len(parts) > 3 else "") + "."
    if table["stand_in"]:
        sentence += f" Stand-in data ({table['stand_in_note']}): no verdict on the paper."
    if table["unverified"]:
        sentence += f" Unverified data: {', '.join(table['unverified'])}."
    return sentence


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")

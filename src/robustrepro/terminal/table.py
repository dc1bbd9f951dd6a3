"""One table, made and printed: the scale's own, or a trial with other seeds or epochs in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from robustrepro.errors import unknown_name
from robustrepro.files import write_text
from robustrepro.keys import AT
from robustrepro.layout import Layout
from robustrepro.spec.config import Config, configured
from robustrepro.spec.written import WrittenPapers
from robustrepro.terminal.costs import Costs
from robustrepro.terminal.progress import RunState
from robustrepro.terminal.reproduce import Say, reproduce
from robustrepro.words import plural

TRIAL = "trial"
"""What the name of a trial's folder begins with: `.dvcignore` knows it, too."""
SETTINGS = Path(".snakemake/robustrepro")
"""Where the settings of a trial are written for Snakemake."""
EVERY = "*"


def make_table(name: str, seeds: int | None, epochs: int | None, arguments: Sequence[str], say: Say) -> int:
    """Make a table, and print it.

    Parameters
    ----------
    name
        ``hrm/table2``: the paper's id, and the table's key; under a reading ``hrm/table2@clipped``.
    seeds, epochs
        Of every model, and of every training; None leaves them as they are. Where one is given, everything is made in a
        folder of its own.
    arguments
        Snakemake's own.
    say
        Prints a line on standard output.

    Returns
    -------
    Snakemake's exit status, negated where a signal ended it.

    Raises
    ------
    UserError
        If no paper has such a table; the message lists those of the paper, or else of all papers.
    """
    written = WrittenPapers(Path()).trees
    tables = {paper: [f"{paper}/{key}" for key in tree.get("tables") or {}] for paper, tree in written.items()}
    paper, _, table = name.partition("/")
    known = tables.get(paper) or [each for of_paper in tables.values() for each in of_paper]
    if name.partition(AT)[0] not in known:
        raise unknown_name("table", name, known)
    config = configured()
    settings = _settings(config, paper, seeds, epochs, arguments)
    costs, scales_own = Costs(), Path("results", config.folder or _said("scale", arguments) or config.scale)
    if scales_own.name != settings["folder"]:
        costs.borrow(Path("results", settings["folder"]), scales_own, epochs)
    file = SETTINGS / f"{settings['folder']}.yaml"
    write_text(file, yaml.safe_dump(settings, sort_keys=False))
    made = Path(Layout(f"results/{settings['folder']}").table(paper, table))

    def printed(_: RunState) -> list[str]:
        show_table(made.with_suffix(".md"))
        return [f"Table: {made.with_suffix('.md')}"]

    return reproduce([str(made), "--configfile", str(file), *arguments], say, printed, costs)


def _settings(
    config: Config, paper: str, seeds: int | None, epochs: int | None, arguments: Sequence[str]
) -> Mapping[str, Any]:
    """Return what is laid over config.yaml: the paper, and of a trial its folder and every model's seeds and epochs."""
    scale = _said("scale", arguments) or config.scale
    changes = {key: value for key, value in (("seeds", seeds), ("epochs", epochs)) if value is not None}
    folder = config.folder or scale
    if changes:
        words = [plural(count, key.removesuffix("s")) for key, count in changes.items()]
        folder = "-".join([TRIAL, scale, *words]).replace(" ", "-").replace(",", "")
    settings: dict[str, Any] = {"folder": _said("folder", arguments) or folder, "papers": [paper]}
    return {**settings, "overrides": {"models": {EVERY: changes}}} if changes else settings


def _said(key: str, arguments: Sequence[str]) -> str:
    """Return what Snakemake's arguments set a key of config.yaml to; empty where they do not."""
    values = [argument.removeprefix(f"{key}=") for argument in arguments if argument.startswith(f"{key}=")]
    return values[-1] if values else ""


def show_table(markdown: Path) -> None:
    """Print a table as the terminal is wide, from its Markdown."""
    caption: list[str] = []
    rows: list[list[str]] = []
    for line in markdown.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            rows.append([cell.strip().replace("\\|", "|") for cell in line.strip("|").split(" | ")])
        elif line.strip():
            caption.append(line.replace("**", "").replace("`", ""))
    console = Console()
    console.print(Text(caption[0], "bold"))
    shown = Table(box=box.SIMPLE, pad_edge=False)
    for place, heading in enumerate(rows[0]):
        shown.add_column(Text(heading), justify="right" if place else "left")
    for row in rows[2:]:
        shown.add_row(*map(Text, row))
    console.print(shown)
    for line in caption[1:]:
        console.print(Text(line, "dim"))

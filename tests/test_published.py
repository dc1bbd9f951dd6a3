"""What the README says of the published results is what they say."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "docs/results"


def verdicts(scale: str) -> dict[str, tuple[str, str]]:
    """Return both verdicts on each claim, by its words and where the paper makes it."""
    with (RESULTS / scale / "scorecard.csv").open(encoding="utf-8", newline="") as stream:
        return {
            f"{' '.join(line['says'].split())} ({line['where']})": (line["verdict"], line["audit"])
            for line in csv.DictReader(stream)
        }


def test_the_readme_has_every_verdict_of_both_scales() -> None:
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in README.splitlines() if "| **" in line]
    found = {says: tuple(cells) for says, *cells in rows}
    reduced, paper = verdicts("reduced"), verdicts("paper")
    assert reduced.keys() == paper.keys()
    published = {
        says: tuple("–" if verdict == "not applicable" else verdict for verdict in (*reduced[says], *paper[says]))
        for says in reduced
    }
    assert found == published


def test_the_tables_of_the_readme_are_the_published_ones() -> None:
    for scale, table in (("paper", "table2"), ("reduced", "table3")):
        markdown = (RESULTS / scale / f"papers/hrm/tables/{table}.md").read_text(encoding="utf-8")
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len(rows) > 3
        assert [row for row in rows if row not in README.splitlines()] == []

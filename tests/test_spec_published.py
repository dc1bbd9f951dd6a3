"""Numbers as printed, and the papers' own words, against the text of the papers."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest
import yaml
from conftest import PAPER, PUBLISHED, REPOSITORY

from robustrepro.errors import UserError
from robustrepro.spec.paper import Table
from robustrepro.spec.published import printed_value, read_published

TEXTS = Path(os.environ.get("ROBUSTREPRO_PAPERS") or REPOSITORY.parent / "shared" / "papers")
PRINTED = sorted(REPOSITORY.glob("papers/*/published/*.csv"))
QUOTED = [
    (path.parent.name, key, claim["says"])
    for path in sorted(REPOSITORY.glob("papers/*/paper.yaml"))
    for key, claim in yaml.safe_load(path.read_text(encoding="utf-8")).get("claims", {}).items()
]
TABLE = Table.model_validate(PAPER["tables"]["accuracy"])


def text_of(paper: str) -> str:
    path = TEXTS / f"{paper}.txt"
    if not path.exists():
        pytest.skip(f"{path} is missing: set ROBUSTREPRO_PAPERS to the folder of the papers' texts")
    return path.read_text(encoding="utf-8")


def plain(text: str) -> str:
    """Return text without LaTeX's and Markdown's marks, and with single spaces."""
    text = re.sub(r"[$*{}]", "", text).replace("\\epsilon", "ε").replace("\\theta", "θ")
    return " ".join(text.split())


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_printed_numbers_are_those_of_the_paper_digit_by_digit(path: Path) -> None:
    lines = text_of(path.parts[-3]).splitlines()
    with path.open(encoding="utf-8", newline="") as stream:
        _, *rows = csv.reader(stream)
    assert rows
    # The text runs all rows but the first of some tables together, cell by cell.
    together = [rows[0], [" ".join(cells) for cells in zip(*rows[1:], strict=True)]]
    # Other tables repeat single rows; the whole table is printed in one place.
    assert any(stands_in(lines, printed) for printed in (rows, together)), f"not in the paper: {rows}"


def stands_in(lines: list[str], rows: list[list[str]]) -> bool:
    """Tell whether these rows stand below one another, blank lines aside, cells apart by tabs."""
    text = [line for line in lines if line]
    expected = ["\t".join(row) for row in rows]
    return any(text[start : start + len(rows)] == expected for start in range(len(text)))


@pytest.mark.parametrize(("paper", "key", "says"), QUOTED, ids=[f"{paper}-{key}" for paper, key, _ in QUOTED])
def test_claims_are_quoted_word_by_word(paper: str, key: str, says: str) -> None:
    text = plain(text_of(paper))
    quotation = re.sub(r" \[(?!\.\.\.)[^\[\]]*\]", "", plain(says))  # notes of ours, in brackets
    position = 0
    for part in filter(None, re.split(r" ?\[\.\.\.\] ?", quotation)):
        # A quotation may begin in the middle of a sentence.
        starts = [text.find(start + part[1:], position) for start in {part[0], part[0].lower()}]
        found = [start for start in starts if start >= 0]
        assert found, f"{key}: the paper does not say '{part}'"
        position = min(found) + len(part)


def test_printed_numbers_are_kept_as_text_under_the_declared_keys(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.csv"
    path.write_text(PUBLISHED)
    assert read_published(path, TABLE) == {
        ("erm", "clean"): "98.71%",
        ("erm", "pgd"): "3.25%",
        ("hrm", "clean"): "98.54%",
        ("hrm", "pgd"): "56.22%",
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        (PUBLISHED.replace("PGD", "FGSM"), "column names ['Clean', 'FGSM'] differ from the declared labels"),
        (PUBLISHED.replace("HRM", "CEM"), "row names ['ERM', 'CEM'] differ from the declared labels"),
        (PUBLISHED.replace("Clean,PGD", "PGD,Clean"), "column names ['PGD', 'Clean'] differ"),
        (PUBLISHED.replace(",3.25%", ""), "row 'ERM' has 1 numbers, expected 2"),
        (PUBLISHED.replace("3.25%", "3.25%,1"), "row 'ERM' has 3 numbers, expected 2"),
    ],
    ids=["empty", "column", "row", "order", "too few", "too many"],
)
def test_a_file_of_another_table_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "accuracy.csv"
    path.write_text(content)
    with pytest.raises(UserError) as caught:
        read_published(path, TABLE)
    assert str(caught.value).startswith(f"{path}: {said}")


@pytest.mark.parametrize(
    ("text", "value"), [("98.71%", 98.71), ("0.242", 0.242), ("12", 12.0), ("-3.5", -3.5), ("**43.2**", 43.2)]
)
def test_the_number_in_a_printed_cell_is_read(text: str, value: float) -> None:
    assert printed_value(text) == value


@pytest.mark.parametrize("text", ["", "n/a", "12 ± 3"])
def test_a_printed_cell_without_a_single_number_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=f"printed cell '{text}': expected one number"):
        printed_value(text)

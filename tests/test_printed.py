"""Numbers as printed, and the papers' own words, against the text of the papers."""

from __future__ import annotations

import csv
import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robustrepro.errors import UserError
from robustrepro.printed import heading, parse_printed, read_published

REPOSITORY = Path(__file__).parents[1]
TEXTS = Path(os.environ.get("ROBUSTREPRO_PAPERS") or REPOSITORY.parent / "shared" / "papers")
PRINTED = sorted(REPOSITORY.glob("papers/*/published/*.csv"))
QUOTED = [
    (path.parent.name, key, claim["says"])
    for path in sorted(REPOSITORY.glob("papers/*/paper.yaml"))
    for key, claim in yaml.safe_load(path.read_text(encoding="utf-8")).get("claims", {}).items()
]
COMMANDS = {"\\epsilon": "ε", "\\theta": "θ", "\\infty": "∞", "\\ell": "ℓ", "\\sim": "∼", "\\%": "%"}
PUBLISHED = ",Clean,PGD: 0.3\nERM,98.71%,3.25%\nHRM,-,\n"
ROWS = {"ERM": "erm", "HRM": "hrm"}
COLUMNS = {heading(None, "Clean"): "clean", heading("PGD", "0.3"): "pgd"}


def text_of(paper: str) -> str:
    path = TEXTS / f"{paper}.txt"
    if not path.exists():
        pytest.skip(f"{path} is missing: set ROBUSTREPRO_PAPERS to the folder of the papers' texts")
    return path.read_text(encoding="utf-8")


def unmarked(text: str) -> str:
    """Return text without LaTeX's and Markdown's marks: ``l∞`` for its formula."""
    text = re.sub(r"\\(mathcal|text)|[$*{}]", "", text)
    for command, sign in COMMANDS.items():
        text = text.replace(command, sign)
    return re.sub(r"\b([lℓ])_(?=[12∞])", r"\1", text).replace("’", "'")


def plain(text: str) -> str:
    """Return text without marks, with single spaces, and none before a comma or hyphen, where a formula stood."""
    return " ".join(unmarked(text).split()).replace(" ,", ",").replace(" -", "-")


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_printed_numbers_are_those_of_the_paper_digit_by_digit(path: Path) -> None:
    text = unmarked(text_of(path.parts[-3]))
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in [*csv.reader(stream)][1:] if any(row[1:])]  # a row of ours has no printed number
    assert rows
    numbers = [cell for row in rows for cell in row[1:] if cell]
    lines = text.splitlines()
    if any(all(told_in(line, number) for number in numbers) for line in lines):  # told in one paragraph
        return
    # The text runs all rows but the first of some tables together, cell by cell.
    together = [rows[0], [" ".join(cells) for cells in zip(*rows[1:], strict=True)]]
    # Other tables repeat single rows; the whole table is printed in one place.
    assert any(stands_in(lines, printed) for printed in (rows, together)), f"not in the paper: {rows}"


def told_in(line: str, number: str) -> bool:
    """Tell whether a number stands in a line, and is no part of another one."""
    return re.search(rf"(?<![\w.]){re.escape(number)}(?![\w]|\.\d)", line) is not None


def stands_in(lines: list[str], rows: list[list[str]]) -> bool:
    """Tell whether these rows stand below one another, blank lines aside, cells apart by tabs.

    In front of a row there may be the name of a group of them, and columns of ours behind it; what a paper says in a
    cell instead of a number is no part of ours. Of a row's name the text may lack the end, which may stand in front of
    its first number, and of one that is a formula it has the formula's source.
    """
    text = [re.sub(r"\tfrom \([^)]*\)|\t[a-z] (?=\d)", "\t", line).rstrip("\t") for line in lines if line]
    expected = [unmarked("\t".join(row)).rstrip("\t") for row in rows]
    return any(
        all(is_row(line, row) for line, row in zip(text[start:], expected, strict=False))
        for start in range(len(text) - len(rows) + 1)
    )


def is_row(line: str, row: str) -> bool:
    """Tell whether a line of the text has the numbers of a row under its name."""
    (found, _, numbers), (name, _, printed) = line.partition("\t"), row.partition("\t")
    if numbers == row:
        return True
    return numbers == printed and (name.startswith(found) or "\\" in found)


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


def published(folder: Path, content: str) -> Path:
    path = folder / "accuracy.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_what_is_printed_in_bold_is_shown_without_its_marks(tmp_path: Path) -> None:
    cells = read_published(published(tmp_path, PUBLISHED.replace("98.71%", "<b>98.71%</b>")), ROWS, COLUMNS)
    assert cells["erm", "clean"] == "98.71%"


def test_printed_numbers_are_kept_as_text_under_the_declared_keys(tmp_path: Path) -> None:
    assert read_published(published(tmp_path, PUBLISHED), ROWS, COLUMNS) == {
        ("erm", "clean"): "98.71%",
        ("erm", "pgd"): "3.25%",
        ("hrm", "clean"): "-",
        ("hrm", "pgd"): "",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty"),
        (PUBLISHED.replace("PGD", "FGSM"), ", line 1: column names ['Clean', 'FGSM: 0.3'] differ from the declared"),
        (PUBLISHED.replace("PGD: ", ""), ", line 1: column names ['Clean', '0.3'] differ from the declared labels"),
        (PUBLISHED.replace("HRM", "CEM"), ": row names ['ERM', 'CEM'] differ from the declared labels"),
        (PUBLISHED.replace("Clean,PGD: 0.3", "PGD: 0.3,Clean"), ", line 1: column names ['PGD: 0.3', 'Clean'] differ"),
        (PUBLISHED.replace(",3.25%", ""), ", line 2: row 'ERM' has 1 cells, expected 2"),
        (PUBLISHED.replace("3.25%", "3.25%,1"), ", line 2: row 'ERM' has 3 cells, expected 2"),
        (
            PUBLISHED.replace("-", "see text"),
            ", line 3, row 'HRM', column 'Clean': printed cell 'see text': expected one number",
        ),
        (
            "\n\n" + PUBLISHED.replace("3.25%", "7O.3%"),
            ", line 4, row 'ERM', column 'PGD: 0.3': printed cell '7O.3%': expected one number",
        ),
        (PUBLISHED.replace("3.25%", '"3.25"%'), ", line 2: not a CSV file in UTF-8"),
        (PUBLISHED.replace("-", '"-'), ", line 3: not a CSV file in UTF-8"),
        (PUBLISHED.replace("98.71%", "987.1%"), ", line 2, row 'ERM', column 'Clean': printed cell '987.1%': expected"),
    ],
    ids=(
        *("empty", "column", "group", "row", "order", "too few", "too many", "text", "behind empty lines"),
        *("stray quotes", "open quotes", "no share"),
    ),
)
def test_what_cannot_be_read_is_refused_with_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    path = published(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_published(path, ROWS, COLUMNS, ["clean"])
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("blank", ["\n", "\n\n", "  \n", ",,\n", "\r\n"])
def test_a_blank_line_at_the_end_is_no_row(tmp_path: Path, blank: str) -> None:
    expected = read_published(published(tmp_path, PUBLISHED), ROWS, COLUMNS)
    assert read_published(published(tmp_path, PUBLISHED + blank), ROWS, COLUMNS) == expected


def test_numbers_that_are_no_accuracies_may_be_any(tmp_path: Path) -> None:
    path = published(tmp_path, PUBLISHED.replace("98.71%", '"3,053"').replace("3.25%", "-7"))
    assert read_published(path, ROWS, COLUMNS)["erm", "pgd"] == "-7"


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file, though a table names it under 'published'"):
        read_published(tmp_path / "none.csv", ROWS, COLUMNS)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"bytes.csv: not a CSV file in UTF-8"):
        read_published(tmp_path / "bytes.csv", ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("text", "value", "spread"),
    [
        ("98.71%", 98.71, None),
        ("0.242", 0.242, None),
        (".05", 0.05, None),
        (".90", 0.9, None),
        ("98.71 ± .90", 98.71, 0.9),
        ("−3.20", -3.2, None),
        ("12", 12.0, None),
        (" 12 ", 12.0, None),
        ("3,053", 3053.0, None),
        ("1,234,567.5", 1234567.5, None),
        ("-3.5", -3.5, None),
        ("−3.5", -3.5, None),
        ("+2.9", 2.9, None),
        ("**43.2**", 43.2, None),
        ("<b>+2.9</b>", 2.9, None),
        ("98.71 ± 0.1", 98.71, 0.1),
        ("98.71% ± 0.1%", 98.71, 0.1),
        ("98.71±.1", 98.71, 0.1),
        ("98.71 (0.1)", 98.71, 0.1),
        *[(text, None, None) for text in ("", " ", "-", "–", "—", "n/a", "N/A", "**-**")],
    ],
)
def test_a_printed_cell_is_a_number_with_or_without_spread_or_none(
    text: str, value: float | None, spread: float | None
) -> None:
    printed = parse_printed(text)
    assert (printed.text, printed.value, printed.spread) == (text, value, spread)


@pytest.mark.parametrize(
    "text",
    [
        "from (Hendrycks and Dietterich 2019)",
        "12 34",
        "12/34",
        "3,05",
        "1,2345",
        "12 ± ",
        "± 3",
        "12 ± 3 ± 4",
        "12 points",
        "1.2.3",
        "> 12",
        "%",
        "٣",
    ],
)
def test_a_printed_cell_that_is_no_single_number_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_printed(text)
    assert str(caught.value).startswith(f"printed cell '{text}': expected one number")


@given(
    value=st.decimals(-(10**9), 10**9, places=3),
    spread=st.none() | st.decimals(0, 100, places=2),
    percent=st.booleans(),
    bold=st.booleans(),
)
def test_every_number_is_read_as_it_was_written(
    value: Decimal, spread: Decimal | None, percent: bool, bold: bool
) -> None:
    text = f"{value:,}" + ("%" if percent else "") + ("" if spread is None else f" ± {spread}")
    printed = parse_printed(f"**{text}**" if bold else text)
    assert printed.value == float(value)
    assert printed.spread == (None if spread is None else float(spread))


@given(st.text(max_size=12))
def test_whatever_is_printed_is_either_understood_or_refused(text: str) -> None:
    try:
        printed = parse_printed(text)
    except UserError as error:
        assert text in str(error)  # noqa: PT017
    else:
        assert printed.text == text

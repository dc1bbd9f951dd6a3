"""One scorecard over all scales, in a terminal and on the web."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import pytest

from robustrepro.errors import UserError
from robustrepro.scorecard.combined import as_markdown, combined, reading_in_words, tried_in_words
from robustrepro.scorecard.overview import BEGIN, END, write_overview
from robustrepro.scorecard.show import show_scorecard, show_verdicts
from robustrepro.spec.config import scales_by_faithfulness

ROOT = Path(__file__).parents[1]
SCALES = ["paper", "reduced", "quick"]
COLUMNS = ("paper", "claim", "says", "where", "verdict", "audit", "differs")
READING_COLUMNS = ("reading", "tried", "under")
FEW_EPOCHS = "epochs: 6 instead of 100 (cifar10-erm-128)"


def write(
    folder: Path,
    scale: str,
    *claims: tuple[str, str, str],
    differs: str = "",
    paper: str = "hrm",
    readings: Sequence[tuple[str, str, str]] = (),
) -> None:
    """Write a scale's scorecard: of each claim its key and both verdicts, and of the first ones what they were read as.

    Without ``readings`` it is one of an earlier version, which has no columns for them.
    """
    path = folder / scale / "scorecard.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS + (READING_COLUMNS if readings else ()))
        for (key, verdict, audit), read_as in zip_longest(claims, readings, fillvalue=()):
            writer.writerow([paper, key, f"The words of {key}.", "Table 2", verdict, audit, differs, *read_as])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The results of three scales; the most faithful measured one claim of three."""
    folder = tmp_path / "results"
    unmeasured = ("not measured", "not measured")
    write(folder, "paper", ("gain", "inconclusive", "does not survive"), ("small", *unmeasured), ("large", *unmeasured))
    indicative = ("indicative: does not hold", "indicative: does not survive")
    write(folder, "reduced", ("gain", *indicative), ("small", *indicative), ("large", *unmeasured), differs=FEW_EPOCHS)
    write(folder, "quick", *((key, "indicative: holds", "not applicable") for key in ("gain", "small", "large", "toy")))
    return folder


def test_each_claim_stands_once_from_the_most_faithful_scale_that_measured_it(results: Path) -> None:
    claims = combined(results, SCALES)
    assert [(claim.claim, claim.scale, str(claim.verdict)) for claim in claims] == [
        ("gain", "paper", "inconclusive"),
        ("small", "reduced", "indicative: does not hold"),
        ("large", "quick", "indicative: holds"),
        ("toy", "quick", "indicative: holds"),
    ]
    assert list(claims[0].by_scale) == ["paper", "reduced", "quick"]


def test_a_verdict_says_more_than_an_indication_of_a_more_faithful_scale(tmp_path: Path) -> None:
    write(
        tmp_path, "paper", ("gain", "indicative: holds", "indicative: survives"), differs="batch_size: 4 instead of 8"
    )
    write(tmp_path, "reduced", ("gain", "not reproduced", "does not survive"))
    (claim,) = combined(tmp_path, SCALES)
    assert (claim.scale, claim.audit) == ("reduced", "already fails")


def test_what_cannot_be_asked_on_other_data_says_no_more_than_an_indication_of_a_more_faithful_scale(
    tmp_path: Path,
) -> None:
    write(tmp_path, "reduced", ("gain", "indicative: holds", "indicative: survives"), differs=FEW_EPOCHS)
    write(tmp_path, "quick", ("gain", "cannot be asked here", "not applicable"), differs="dataset: digits")
    (claim,) = combined(tmp_path, SCALES)
    assert list(claim.by_scale) == ["reduced", "quick"]


def test_a_claim_measured_nowhere_is_not_measured(tmp_path: Path) -> None:
    write(tmp_path, "reduced", ("gain", "not measured", "not measured"))
    (claim,) = combined(tmp_path, SCALES)
    assert (claim.scale, str(claim.verdict)) == ("reduced", "not measured")


def test_claims_of_one_name_in_two_papers_are_two(tmp_path: Path) -> None:
    write(tmp_path, "paper", ("gain", "reproduced", "survives"))
    write(tmp_path, "quick", ("gain", "indicative: holds", "not applicable"), paper="hamming")
    assert [(claim.paper, claim.scale) for claim in combined(tmp_path, SCALES)] == [
        ("hrm", "paper"),
        ("hamming", "quick"),
    ]


def test_the_scales_are_ordered_by_their_faithfulness() -> None:
    assert scales_by_faithfulness(ROOT) == SCALES


def test_a_scorecard_of_an_earlier_version_is_named(tmp_path: Path) -> None:
    write(tmp_path, "quick", ("gain", "indicative: does not", "not applicable"))
    with pytest.raises(UserError, match=r"quick/scorecard\.csv: gain: unknown verdict: 'indicative: does not'.*again"):
        combined(tmp_path, SCALES)


# -- readings ------------------------------------------------------------------------------------------------

CLIPPED = ("clipped", "6", "reproduced under `clipped`, not reproduced under `plain` (6 readings tried)")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"reading": "clipped", "tried": "6"}, "clipped, 1 of 6"),
        ({"reading": "plain", "tried": "1"}, ""),
        ({"reading": "plain", "tried": "0"}, ""),
        ({"reading": "", "tried": "1"}, ""),
        ({"reading": "", "tried": ""}, ""),
        ({}, ""),
    ],
)
def test_a_reading_is_named_where_there_were_others(row: dict[str, str], words: str) -> None:
    assert reading_in_words(row) == words


@pytest.mark.parametrize(
    ("counts", "words"), [((), ""), ((1, 1), ""), ((3, 1, 3), "3"), ((6, 1, 2, 4), "2 to 6")], ids=str
)
def test_the_numbers_of_readings_tried_are_a_range(counts: tuple[int, ...], words: str) -> None:
    assert tried_in_words(counts) == words


def test_a_number_of_readings_that_is_none_is_named(tmp_path: Path) -> None:
    write(tmp_path, "quick", ("gain", "reproduced", "survives"), readings=[("clipped", "many", "")])
    with pytest.raises(UserError, match=r"quick/scorecard\.csv: gain: 'many' readings tried, expected their number"):
        combined(tmp_path, SCALES)


def test_the_reading_and_how_many_were_tried_stand_beside_the_verdict(tmp_path: Path) -> None:
    claims = (("gain", "reproduced", "does not survive"), ("alone", "reproduced", "not applicable"))
    write(tmp_path, "paper", *claims, readings=[CLIPPED, ("plain", "1", "")])
    markdown = as_markdown(combined(tmp_path, SCALES))
    assert "| The words of gain. (Table 2) | reproduced (clipped, 1 of 6) | does not survive | paper |" in markdown
    assert "| The words of alone. (Table 2) | reproduced | – | paper |" in markdown


def test_a_scale_of_an_earlier_version_stands_beside_one_with_readings(tmp_path: Path) -> None:
    write(tmp_path, "paper", ("gain", "reproduced", "does not survive"), readings=[CLIPPED])
    write(tmp_path, "reduced", ("gain", "indicative: holds", "survives"), ("small", "inconclusive", "survives"))
    gain, small = combined(tmp_path, SCALES)
    assert [(claim.reading, claim.tried) for claim in (gain, small)] == [("clipped, 1 of 6", 6), ("", 1)]


# -- in a terminal -------------------------------------------------------------------------------------------

LONG = "a-claim-whose-name-is-longer-than-the-line-that-it-stands-in-has-characters"


@pytest.mark.parametrize("paper", ["hrm", "robust_optimization"])
def test_a_terminal_of_80_columns_has_whole_names_and_whole_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, paper: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    worst = ("indicative: does not hold", "indicative: does not survive")
    write(tmp_path, "quick", (LONG, *worst), ("short", *worst), differs=FEW_EPOCHS, paper=paper)
    show_scorecard(tmp_path / "quick")
    show_verdicts(combined(tmp_path, SCALES))
    lines = capsys.readouterr().out.splitlines()
    of_claims = [line for line in lines if "a-claim" in line or "short" in line]
    assert len(of_claims) == 4
    for line in of_claims:
        assert len(line) <= 80
        assert "~ does not hold" in line
        assert "~ already fails" in line
    assert all(line.endswith("quick") for line in map(str.rstrip, of_claims[2:]))
    assert not any("…" in line for line in lines)
    assert sum("~ indicative: something differs from the paper" in line for line in lines) == 2


@pytest.mark.parametrize("paper", ["hrm", "robust_optimization"])
@pytest.mark.parametrize("reading", ["clipped", "a-reading-with-a-long-name"])
def test_a_terminal_of_80_columns_has_the_reading_on_the_line_of_its_claim(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, paper: str, reading: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    worst = ("cannot be asked here", "indicative: does not survive")
    readings = [(reading, "12", ""), ("plain", "1", "")]
    write(tmp_path, "reduced", (LONG, *worst), ("short", *worst), paper=paper, readings=readings)
    show_scorecard(tmp_path / "reduced")
    show_verdicts(combined(tmp_path, SCALES))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert all(len(line) <= 80 for line in lines if "Report: " not in line)
    shown = "clipped" if reading == "clipped" else "a-reading-w…"
    assert sum(f"cannot be asked here {shown}/12 ~ does not survive" in line for line in lines) == 2
    assert sum("short cannot be asked here ~ does not survive" in line for line in lines) == 2
    assert sum(line.startswith(paper[:10]) for line in lines) == 2
    assert sum(line.startswith("reading r/n: ") for line in lines) == 2


@pytest.mark.parametrize("columns", ["80", "72"])
def test_names_that_do_not_fit_go_on_below_and_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    verdicts = ("indicative: does not hold", "indicative: does not survive")
    ends = ("resist-a-mnist", "resist-a-mnist-more-than-the-control", "are-more-accurate-than-the-control", "x" * 60)
    names = [f"robustified-nets-{dataset}-{end}" for dataset in ("mnist", "cifar10") for end in ends]
    write(tmp_path, "quick", *((name, *verdicts) for name in names))
    show_verdicts(combined(tmp_path, SCALES))
    shown = ""
    lines = capsys.readouterr().out.splitlines()
    for line in lines[lines.index("hrm") + 1 :]:
        if line.startswith("~ indicative"):
            break
        shown += (" " if "~ does not hold" in line else "") + line.partition("~ does not hold")[0].strip()
        assert len(line) <= int(columns)
    assert shown.split() == names


@pytest.mark.parametrize("audit", ["vacuous", "indicative: vacuous", "survives"])
def test_a_vacuous_claim_is_explained_below(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, audit: str
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    write(tmp_path, "quick", ("gain", "reproduced", audit))
    show_scorecard(tmp_path / "quick")
    explained = "vacuous: a model gives every image the same class" in capsys.readouterr().out
    assert explained == (audit != "survives")


def test_a_wide_terminal_shows_names_and_readings_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    write(tmp_path, "quick", (LONG, "reproduced", "survives"), readings=[CLIPPED])
    show_scorecard(tmp_path / "quick")
    assert f"{LONG} reproduced clipped/6 survives" in " ".join(capsys.readouterr().out.split())


def test_what_looks_like_markup_is_printed_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    write(tmp_path, "quick", ("[/5]", "inconclusive", "survives"), paper="[red]", differs="x: [/] (config.yaml)")
    show_scorecard(tmp_path / "quick")
    shown = capsys.readouterr().out
    assert "[/5]" in shown
    assert "[red]" in shown
    assert "Changed: x: [/] (config.yaml)" in shown


def test_a_scale_with_a_long_name_leaves_the_verdicts_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    scale = "my-own-scale-with-a-longer-name"
    write(tmp_path, scale, (LONG, "indicative: does not hold", "indicative: does not survive"), differs=FEW_EPOCHS)
    show_verdicts(combined(tmp_path, [scale]))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "a-claim" in line)
    assert "~ does not hold  ~ already fails  my-own-…" in line


def test_the_users_changes_are_told_once_and_the_scales_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate = "optimizer.learning_rate: 0.002 instead of 0.001 (config.yaml)"
    folder = tmp_path / "quick"
    write(tmp_path, "quick", ("a", "inconclusive", "survives"), differs=f"{FEW_EPOCHS}; {rate} (mnist-hrm)")
    path = folder / "scorecard.csv"
    path.write_text(f'{path.read_text()}hrm,b,B,Table 3,inconclusive,survives,"{rate} (mnist-hrm, mnist-erm)"\n')
    show_scorecard(folder)
    shown = capsys.readouterr().out
    assert shown.count("Changed: ") == 1
    assert f"Changed: {rate}" in " ".join(shown.split())


# -- on the web ----------------------------------------------------------------------------------------------


def test_the_block_of_the_readme_counts_claims_and_the_page_has_each_and_what_differs(
    results: Path, tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"Before.\n{BEGIN}\nof yesterday\n{END}\nAfter.\n", encoding="utf-8")
    page, written = write_overview(results, readme, SCALES)
    text = written.read_text(encoding="utf-8")
    heading = "| paper | inconclusive | indicative: holds | indicative: does not hold | survive the audit |"
    counts = "| hrm | 1 | 2 | 1 | 0 of 2 |"
    assert text == f"Before.\n{BEGIN}\n{heading}\n| --- | ---: | ---: | ---: | ---: |\n{counts}\n{END}\nAfter.\n"
    row = "| hrm | The words of small. (Table 2) | indicative: does not hold | indicative: already fails | reduced |"
    assert row in page.read_text(encoding="utf-8")
    assert f"- hrm, small: {FEW_EPOCHS}" in page.read_text(encoding="utf-8")
    assert "[`reduced`](reduced/scorecard.md)" in page.read_text(encoding="utf-8")
    assert "not applicable" not in page.read_text(encoding="utf-8")


def test_the_overview_says_what_becomes_of_a_claim_under_every_reading(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    page, _ = write_overview(results, readme, SCALES)
    assert "under every reading" not in page.read_text(encoding="utf-8")
    assert "leaves unsaid" not in page.read_text(encoding="utf-8")
    write(results, "paper", ("gain", "reproduced", "does not survive"), readings=[CLIPPED])
    page, _ = write_overview(results, readme, SCALES)
    text = page.read_text(encoding="utf-8")
    assert f"## Each claim under every reading\n\n- hrm, gain: {CLIPPED[2]}\n" in text
    assert (
        "1 claim depends on what the paper leaves unsaid: the verdict is that of the reading most favourable to the "
        "paper, of 6 tried."
    ) in text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_a_readme_without_both_marks_is_left_as_it_is(results: Path, tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"README\.md: the verdicts go between two lines"):
        write_overview(results, readme, SCALES)
    assert readme.read_text(encoding="utf-8") == text

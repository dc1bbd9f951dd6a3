"""One scorecard over all scales, in a terminal and on the web."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from robustrepro.errors import UserError
from robustrepro.scorecard.combined import combined
from robustrepro.scorecard.overview import BEGIN, END, write_overview
from robustrepro.scorecard.show import show_scorecard, show_verdicts
from robustrepro.spec.config import scales_by_faithfulness

ROOT = Path(__file__).parents[1]
SCALES = ["paper", "reduced", "quick"]
COLUMNS = ("paper", "claim", "says", "where", "verdict", "audit", "differs")
FEW_EPOCHS = "epochs: 6 instead of 100 (cifar10-erm-128)"


def write(folder: Path, scale: str, *claims: tuple[str, str, str], differs: str = "", paper: str = "hrm") -> None:
    """Write a scale's scorecard; of each claim its key and both verdicts."""
    path = folder / scale / "scorecard.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for key, verdict, audit in claims:
            writer.writerow([paper, key, f"The words of {key}.", "Table 2", verdict, audit, differs])


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
    assert (claim.scale, claim.audit) == ("reduced", "does not survive")


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


# -- in a terminal -------------------------------------------------------------------------------------------

LONG = "a-claim-whose-name-is-longer-than-the-line-that-it-stands-in-has-characters"


@pytest.mark.parametrize("paper", ["hrm", "robust_optimization"])
def test_a_terminal_of_80_columns_has_one_line_per_claim_with_whole_verdicts(
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
        assert "~ does not survive" in line
    assert all(line.endswith("quick") for line in map(str.rstrip, of_claims[2:]))
    assert "…" in of_claims[0]
    assert sum("~ indicative: not all is as in the paper" in line for line in lines) == 2


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
    assert "~ does not hold  ~ does not survive  my-own-…" in line


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


def test_the_block_of_the_readme_and_the_page_have_every_claim_and_what_differs(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"Before.\n{BEGIN}\nof yesterday\n{END}\nAfter.\n", encoding="utf-8")
    page, written = write_overview(results, readme, SCALES)
    text = written.read_text(encoding="utf-8")
    assert text.startswith(f"Before.\n{BEGIN}\nOf 4 claims, 1 is inconclusive, 2 hold here and 1 does not hold here.")
    assert text.endswith(f"{END}\nAfter.\n")
    assert "of yesterday" not in text
    row = "| hrm | The words of small. (Table 2) | indicative: does not hold | indicative: does not survive | reduced |"
    assert row in text
    assert row in page.read_text(encoding="utf-8")
    assert f"- hrm, small: {FEW_EPOCHS}" in page.read_text(encoding="utf-8")
    assert "[`reduced`](reduced/scorecard.md)" in page.read_text(encoding="utf-8")
    assert text.count("not applicable") == 0


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_a_readme_without_both_marks_is_left_as_it_is(results: Path, tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"README\.md: the verdicts go between two lines"):
        write_overview(results, readme, SCALES)
    assert readme.read_text(encoding="utf-8") == text

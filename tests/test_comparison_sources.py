"""Where two sides of a comparison come from: folders, commits, and what stood there before the last run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from comparison_cases import write_results
from typer.testing import CliRunner

from robustrepro.command_line import app
from robustrepro.comparison.last_run import keep_last, run_finished
from robustrepro.comparison.settings import read_settings
from robustrepro.comparison.sources import Side, side_of
from robustrepro.errors import UserError

QUICK = Path("results/quick")
TABLE = "papers/small/tables/table2.json"


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").touch()
    for name in ("GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)


def git(*arguments: str) -> str:
    settings = ("-c", "user.name=Author", "-c", "user.email=author@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *settings, *arguments], capture_output=True, text=True, check=True).stdout


def hrm_of(side: Side, scale: str = "quick") -> float:
    """Return the mean of HRM's accuracy on a side."""
    table = json.loads(side.scales[scale][TABLE])
    return next(cell["mean"] for cell in table["cells"] if cell["row"] == "hrm")


def results_of(hrm: float, folder: Path = QUICK) -> Path:
    return write_results(folder, erm=[3.0], hrm=[hrm])


def run_that_leaves(hrm: float, *, to_its_end: bool = True, rules: tuple[str, ...] = ("train", "table")) -> None:
    """Do what a run does: keep what stands there, replace it, come to an end."""
    keep_last(QUICK, rules, {"models": {"hrm": {"epochs": int(hrm)}}})
    shutil.rmtree(QUICK, ignore_errors=True)
    results_of(hrm)
    if to_its_end:
        run_finished(QUICK)


def test_what_stood_there_before_the_last_run_is_kept() -> None:
    run_that_leaves(50.0)
    with pytest.raises(UserError, match=r"^no run has replaced results yet"):
        side_of("last")
    run_that_leaves(60.0)
    run_that_leaves(70.0)
    assert hrm_of(side_of("last")) == 60.0
    assert hrm_of(side_of("now")) == 70.0


def test_five_runs_are_kept_in_the_manner_of_git_and_older_ones_dropped() -> None:
    for hrm in range(50, 58):
        run_that_leaves(float(hrm))
    assert [hrm_of(side_of(name)) for name in ("now", "last", "last~0", "last~1", "last~4")] == [57, 56, 56, 55, 52]
    with pytest.raises(UserError, match=r"^last~5: of scale quick this is kept: last, last~1, last~2, last~3, last~4$"):
        side_of("last~5")
    assert len(list(Path("results/.last").glob("*.zip"))) == 5
    assert sum(path.stat().st_size for path in Path("results/.last").iterdir()) < 20_000


def test_a_place_that_a_killed_run_left_free_is_filled_first() -> None:
    for hrm in range(50, 56):
        run_that_leaves(float(hrm))
    Path("results/.last/quick~2.zip").unlink()
    run_that_leaves(56.0)
    assert [hrm_of(side_of(f"last~{back}")) for back in range(5)] == [55, 54, 53, 51, 50]


def test_what_is_kept_has_the_settings_that_it_was_made_with() -> None:
    for hrm in (50.0, 60.0, 70.0):
        run_that_leaves(hrm)
    for name, epochs in (("last~1", 50), ("last", 60), ("now", 70)):
        assert read_settings(side_of(name).scales["quick"]) == {"models": {"hrm": {"epochs": epochs}}}
    assert "Settings that differ: models.hrm.epochs: 60 → 70" in printed()


def test_of_results_that_no_run_here_has_recorded_the_cards_tell() -> None:
    run_that_leaves(50.0)
    Path("results/.last/quick.settings.json").unlink()
    for seed in (0, 1):
        card = QUICK / f"models/erm/seed{seed}/card.json"
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"spec": {"runs": [], "seed": seed, "training": {"epochs": 3}}}))
    assert read_settings(side_of("now").scales["quick"]) == {"models": {"erm": {"epochs": 3, "seeds": 2}}}
    run_that_leaves(60.0)
    assert read_settings(side_of("last").scales["quick"]) == {"models": {"erm": {"epochs": 3, "seeds": 2}}}


def test_settings_of_what_a_run_does_not_make_stay_as_they_were() -> None:
    run_that_leaves(50.0)
    keep_last(QUICK, ["table"], {"measures": {"pgd": {"steps": 40}}})
    assert read_settings(side_of("now").scales["quick"]) == {
        "models": {"hrm": {"epochs": 50}},
        "measures": {"pgd": {"steps": 40}},
    }


def test_a_run_that_is_interrupted_and_continued_is_compared_with_what_stood_there_before_it_began() -> None:
    run_that_leaves(50.0)
    run_that_leaves(60.0, to_its_end=False)
    run_that_leaves(70.0)
    assert hrm_of(side_of("last")) == 50.0
    run_that_leaves(80.0)
    assert hrm_of(side_of("last")) == 70.0


def test_the_first_run_interrupted_leaves_nothing_to_compare_with() -> None:
    run_that_leaves(50.0, to_its_end=False)
    run_that_leaves(60.0)
    with pytest.raises(UserError, match=r"^no run has replaced results yet"):
        side_of("last")


def test_a_run_that_makes_no_table_keeps_nothing() -> None:
    run_that_leaves(50.0)
    run_that_leaves(60.0)
    keep_last(QUICK, ["train", "figure"], {})
    run_finished(QUICK)
    assert hrm_of(side_of("last")) == 50.0


def test_the_last_run_is_that_of_any_scale_unless_one_is_named() -> None:
    for folder in (Path("results/paper"), QUICK):
        results_of(50.0, folder)
        keep_last(folder, ["table"], {})
    assert list(side_of("last").scales) == ["quick"]
    assert list(side_of("last", "paper").scales) == ["paper"]
    with pytest.raises(UserError, match=r"^no run of scale reduced has replaced results yet"):
        side_of("last", "reduced")


def test_a_folder_is_a_scale_or_has_some() -> None:
    results_of(50.0)
    results_of(60.0, Path("results/paper"))
    Path("results/metrics").mkdir()
    scale, scales = side_of("results/quick"), side_of("results")
    assert (list(scale.scales), scale.is_one_scale) == (["quick"], True)
    assert (list(scales.scales), scales.is_one_scale) == (["paper", "quick"], False)


def test_a_commit_has_the_results_that_were_published_in_it() -> None:
    git("init", "--quiet")
    for hrm in (50.0, 60.0):
        results_of(hrm, Path("docs/results/quick"))
        git("add", "--all")
        git("commit", "--quiet", "--message=Publish")
    before = side_of("HEAD~1")
    assert hrm_of(before) == 50.0
    assert before.name == f"commit HEAD~1, {git('rev-parse', 'HEAD~1')[:10]}: quick from docs/results"
    assert hrm_of(side_of(git("rev-parse", "--short", "HEAD").strip())) == 60.0


def test_a_commit_without_results_is_refused() -> None:
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message=Nothing")
    with pytest.raises(UserError, match=r"^HEAD: this commit has no tables and scorecards in JSON, neither"):
        side_of("HEAD")


LOCK = """
schema: '2.0'
stages:
  reproduce:
    cmd: snakemake
    outs:
    - {path: results, hash: md5, md5: 0123456789abcdef0123456789abcdef.dir, size: 1, nfiles: 1}
"""


@pytest.mark.parametrize("initialised", [True, False])
def test_results_that_dvc_tracks_and_cannot_find_are_passed_over(initialised: bool) -> None:
    git("init", "--quiet")
    if initialised:
        subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], check=True)
    Path("dvc.yaml").write_text("stages:\n  reproduce:\n    cmd: snakemake\n    outs: [results]\n")
    Path("dvc.lock").write_text(LOCK)
    Path(".gitignore").write_text("/results\n")
    git("add", "--all")
    git("commit", "--quiet", "--message=Results in nobody's cache")
    with pytest.raises(UserError, match=r"^HEAD: this commit has no tables .* nor in DVC's cache"):
        side_of("HEAD")
    results_of(50.0, Path("docs/results/quick"))
    git("add", "--all")
    git("commit", "--quiet", "--message=Publish")
    assert hrm_of(side_of("HEAD")) == 50.0


@pytest.mark.parametrize("inside", [True, False])
def test_what_is_neither_is_refused_in_one_message(inside: bool) -> None:
    if inside:
        git("init", "--quiet")
    Path("empty").mkdir()
    expected = r"expected a commit, a folder such as results/quick or docs/results, 'last' \(before the last run;"
    with pytest.raises(UserError, match=rf"^'nonsense' names no results; {expected}"):
        side_of("nonsense")
    with pytest.raises(UserError, match=rf"^empty: there are no results in this folder; {expected}"):
        side_of("empty")
    with pytest.raises(UserError, match=r"^results: nothing has run here yet; `make reproduce` runs it"):
        side_of("now")


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["compare", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_compares_the_last_run_with_now_unless_told_otherwise() -> None:
    run_that_leaves(50.0)
    run_that_leaves(90.0)
    assert printed() == printed("last", "now") == printed("last")
    assert "hrm, pgd   50.00  90.00  +40.00" in printed()
    assert "hrm, pgd   90.00  50.00  -40.00" in printed("results/quick", "last")
    assert json.loads(printed("--json"))["cells"][0]["difference"] == 40.0
    assert printed("--csv").startswith("scale,paper,table,row,column,")
    with pytest.raises(UserError, match="expected one of them"):
        printed("--json", "--csv")

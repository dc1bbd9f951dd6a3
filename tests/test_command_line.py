"""The commands for people: which scale they are about."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison_cases import write_results
from conftest import REPOSITORY
from typer.testing import CliRunner

from robustrepro.command_line import app
from robustrepro.errors import UserError

OUTSIDE = {
    "show": "config.yaml",
    "show quick": "workflow/scales",
    "brief": "config.yaml",
    "verdicts": "workflow/scales",
    "verdicts docs/results": "workflow/scales",
    "reproduce --cores 1": "Snakefile",
    "dry-run --config scale=paper": "Snakefile",
    "table hrm/table2": "Snakefile",
    "adopt": "config.yaml",
    "publish": "config.yaml",
    "publish quick": "workflow/scales",
    "compare": "config.yaml",
    "compare docs now": "config.yaml",
}
"""What each command misses first in a folder that is no clone of the project."""


@pytest.fixture
def overviews() -> list[str]:
    """Where the verdicts over all scales were written to."""
    return []


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overviews: list[str]) -> list[str]:
    """What the commands are asked to do, in a folder whose config.yaml has the scale `reduced`."""
    asked: list[str] = []

    def publish(source: Path, destination: Path, _: object) -> list[Path]:
        asked.append(f"publish {source.as_posix()} as {destination.as_posix()}")
        return []

    def write_overview(results: Path, readme: Path, _: list[str]) -> list[Path]:
        overviews.append(f"verdicts of {results.as_posix()} in {readme}")
        return [readme]

    class Planned:
        def __init__(self, config: dict[str, object]) -> None:
            asked.append(f"plan {config['scale']}")

    monkeypatch.setattr("robustrepro.publishing.publish", publish)
    monkeypatch.setattr("robustrepro.scorecard.overview.write_overview", write_overview)
    monkeypatch.setattr("robustrepro.scorecard.show.show_scorecard", lambda folder: asked.append(f"show {folder}"))
    monkeypatch.setattr("robustrepro.adoption.adopt", lambda _: [])
    monkeypatch.setattr("robustrepro.spec.plan.Plan", Planned)
    monkeypatch.chdir(tmp_path)
    for scale in ("reduced", "paper"):
        path = Path(f"workflow/scales/{scale}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"description: {scale}\nseeds: 1\n", encoding="utf-8")
    config = (REPOSITORY / "config.yaml").read_text(encoding="utf-8")
    Path("config.yaml").write_text(config.replace("scale: quick", "scale: reduced"), encoding="utf-8")
    return asked


COMMANDS = {
    "show": "show results/{}",
    "publish": "publish results/{0} as docs/results/{0}",
    "adopt": "plan {}",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_about_the_scale_of_config_yaml_unless_one_is_named(command: str, asked: list[str]) -> None:
    named = ["--scale", "paper"] if command == "adopt" else ["paper"]
    for arguments in ([command], [command, *named]):
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert asked == [COMMANDS[command].format(scale) for scale in ("reduced", "paper")]


def test_publishing_a_scale_writes_the_verdicts_over_all_of_them(asked: list[str], overviews: list[str]) -> None:
    CliRunner().invoke(app, ["publish"], catch_exceptions=False)
    assert asked == ["publish results/reduced as docs/results/reduced"]
    assert overviews == ["verdicts of docs/results in README.md"]


def test_verdicts_before_any_run_say_how_to_make_some(asked: list[str]) -> None:
    with pytest.raises(UserError, match=r"^results: no scale has a scorecard there; `make reproduce` makes one"):
        CliRunner().invoke(app, ["verdicts"], catch_exceptions=False)
    assert asked == []


def test_before_any_run_verdicts_are_the_published_ones(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "docs/results/reduced/scorecard.csv"
    published.parent.mkdir(parents=True)
    columns = "paper,claim,says,where,verdict,audit,differs"
    published.write_text(f"{columns}\nhrm,published,It gains.,Table 2,reproduced,survives,\n")
    done = CliRunner().invoke(app, ["verdicts"], catch_exceptions=False)
    assert done.stderr.startswith("Nothing has run here yet: these are the published verdicts, of docs/results.")
    assert "published" in done.stdout
    own = tmp_path / "results/reduced/scorecard.csv"
    own.parent.mkdir(parents=True)
    own.write_text(f"{columns}\nhrm,own,It gains.,Table 2,inconclusive,survives,\n")
    done = CliRunner().invoke(app, ["verdicts"], catch_exceptions=False)
    assert done.stderr == "Your own results. The published ones: make verdicts FROM=docs/results\n\n"
    assert "inconclusive" in done.stdout
    assert "published" not in done.stdout
    # What other papers had published stands below.
    published.write_text(published.read_text() + "other,further,It gains.,Table 2,reproduced,survives,\n")
    done = CliRunner().invoke(app, ["verdicts"], catch_exceptions=False)
    own_ones, said, others = done.stdout.partition("Of other nothing has run here yet")
    assert said
    assert "own" in own_ones
    assert "further" not in own_ones
    assert "further" in others
    published.write_text(f"{columns}\nother,published,It gains.,Table 2,reproduced,survives,\n")
    shown: list[tuple[Path, int, str | None]] = []
    monkeypatch.setattr(
        "robustrepro.scorecard.show.show_sentences",
        lambda folder, claims, about: shown.append((folder, len(claims), about and about["title"])),
    )
    for title, arguments in (
        (None, ["--paper", "other"]),
        ("Others", ["other"]),
        ("Others", ["other", "--paper", "other"]),
    ):
        if title:
            declare("other")
        done = CliRunner().invoke(app, ["verdicts", *arguments], catch_exceptions=False)
        assert done.stderr.startswith("Of other nothing has run here yet: these are the published verdicts")
        assert shown.pop() == (Path("docs/results"), 1, title)
    assert asked == []


def declare(*papers: str) -> None:
    """Write papers that declare a title alone."""
    for paper in papers:
        file = Path(f"papers/{paper}/paper.yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"title: {paper.capitalize()}s\n", encoding="utf-8")


def test_of_a_paper_that_is_declared_alone_what_to_do_next_is_said(asked: list[str]) -> None:
    declare("mine")
    next_step = r"`make reproduce PAPERS=mine` \(at scale quick two or three minutes on two CPU cores\)"
    with pytest.raises(
        UserError, match=rf"^mine is declared, but has not run here, .* Next: {next_step}; `make dry-run"
    ):
        CliRunner().invoke(app, ["verdicts", "mine"], catch_exceptions=False)
    with pytest.raises(UserError, match=r"^mine .* has not run at scale paper, .*reproduce PAPERS=mine SCALE=paper`"):
        CliRunner().invoke(app, ["verdicts", "--paper", "mine", "--scale", "paper"], catch_exceptions=False)
    assert asked == []


def test_what_is_neither_a_paper_nor_a_folder_is_told_both(asked: list[str]) -> None:
    declare("mine", "other")
    with pytest.raises(UserError, match=r"^'hmr' is neither a paper nor a folder\. Papers: mine, other, as in `robust"):
        CliRunner().invoke(app, ["verdicts", "hmr"], catch_exceptions=False)
    with pytest.raises(UserError, match=r"^'mine' and --paper other are two papers"):
        CliRunner().invoke(app, ["verdicts", "mine", "--paper", "other"], catch_exceptions=False)
    assert asked == []


@pytest.mark.parametrize("command", ["show", "publish"])
def test_a_scale_that_is_no_name_of_a_folder_is_refused(command: str, asked: list[str]) -> None:
    with pytest.raises(UserError, match=r"^the scale 'results/quick' cannot be part of a path; expected at most 100"):
        CliRunner().invoke(app, [command, "results/quick"], catch_exceptions=False)
    assert asked == []


def test_a_scale_that_there_is_not_is_refused_with_the_nearest(asked: list[str]) -> None:
    with pytest.raises(UserError, match=r"^unknown scale: 'reducd'; did you mean 'reduced'\?"):
        CliRunner().invoke(app, ["show", "reducd"], catch_exceptions=False)
    assert asked == []


def test_a_config_yaml_that_cannot_be_read_is_named(asked: list[str]) -> None:
    Path("config.yaml").write_text("scale: quick\nscale: paper\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"^config.yaml, line 2: .*the key 'scale' is there twice"):
        CliRunner().invoke(app, ["show"], catch_exceptions=False)
    assert asked == []


@pytest.mark.parametrize("command", OUTSIDE)
def test_outside_a_clone_a_command_says_in_one_line_where_to_run_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(tmp_path / "docs/quick", erm=[3.0], hrm=[50.0])
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        CliRunner().invoke(app, command.split(), catch_exceptions=False)
    missing = f"there is no {OUTSIDE[command]} in {tmp_path}"
    assert str(error.value) == f"{missing}: run this command in the folder of a clone of the project"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("elsewhere", ["--help", "--snakefile=there/Snakefile", "-d"])
def test_snakemake_is_asked_where_no_snakefile_is_needed_here(
    elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr("robustrepro.terminal.reproduce.reproduce", lambda arguments, _: asked.append(arguments) or 0)
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(app, ["reproduce", elsewhere, "there"], catch_exceptions=False)
    assert asked == [[elsewhere, "there"]]

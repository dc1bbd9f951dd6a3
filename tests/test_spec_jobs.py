"""How a job hands its spec and its inputs to the command of its step, however long and oddly named they are."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import Checkout, small_checkout
from typer.testing import CliRunner

from robustrepro import command_line
from robustrepro.errors import UserError
from robustrepro.spec.jobs import LONGEST_OPTIONS, OPTIONS, Job, spec_of
from robustrepro.steps import Work

LINUX_ALLOWS = 2**17
"""Bytes of one argument."""
ODD = 'it\'s $HOME, a "quotation" {and} braces; `id`'
PRINT = "import sys; sys.stdout.buffer.write('\\0'.join(sys.argv[1:]).encode())"
LONG_TABLE = """
  long:
    where: Table 2
    caption: {caption}
    published: printed.csv
    rows: {{theirs: {{label: Theirs, published_only: true}}}}
    columns: {{clean: {{label: Clean, measure: clean}}}}
figures:
"""


def job_of(text: str, inputs: tuple[tuple[str, str], ...] = ()) -> Job:
    return Job("table", spec_of([], caption=text), inputs)


def through_a_shell(options: str) -> list[str]:
    """Return the arguments that a command gets from options in a shell's command, which is one argument itself."""
    command = f"{shlex.join([sys.executable, '-c', PRINT])} {options}"
    return subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout.decode().split("\0")


def work_of(job: Job, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Return what the step of a job is asked to do when its command is run."""
    asked: list[Work] = []
    monkeypatch.setattr("robustrepro.tables.step.run", asked.append)
    command = ["run", job.step, *through_a_shell(job.options), "--output", "out"]
    done = CliRunner().invoke(command_line.app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return asked[0]


@pytest.mark.parametrize("length", [1, LINUX_ALLOWS + 1])
def test_a_step_gets_its_spec_and_inputs_to_the_letter_through_a_shell(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_of("é" * length + ODD, (("measurement", "a b/c'd.parquet"), ("", "found by name"), ("measurement", "e")))
    assert work_of(job, monkeypatch) == Work(
        json.loads(job.spec), job.code, {"measurement": [Path("a b/c'd.parquet"), Path("e")]}, [Path("out")]
    )


def test_many_inputs_travel_in_a_file_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [f"results/quick/measurements/pgd/model-{number}/seed0.parquet" for number in range(5_000)]
    job = job_of("short", tuple(("measurement", file) for file in files))
    assert len(job.options) < 200
    assert work_of(job, monkeypatch).inputs == {"measurement": [Path(file) for file in files]}


def test_short_options_stand_in_the_command_and_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shlex.split(job_of(ODD).options)[:2] == ["--spec", job_of(ODD).spec]
    assert not list(tmp_path.iterdir())


def test_a_file_of_options_is_named_after_its_content_and_not_after_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        named.append([job_of(text * LONGEST_OPTIONS).options for text in "aab"])
    assert named[0] == named[1]
    assert named[0][0] == named[0][1] != named[0][2]
    assert len(list(OPTIONS.iterdir())) == 2  # and nothing half written


def test_a_file_of_options_that_was_edited_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_of("a" * LONGEST_OPTIONS)
    file = Path(shlex.split(job.options)[1])
    written = file.read_text()
    file.write_text(written[:-20])
    assert shlex.split(job.options)[1] == str(file)
    assert file.read_text() == written


def test_the_command_line_takes_precedence_over_a_file_of_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Work] = []
    monkeypatch.setattr("robustrepro.tables.step.run", asked.append)
    file, job = tmp_path / "options.json", job_of("mine")
    file.write_text(json.dumps({"spec": job_of("the file's").spec, "code": job.code}))
    command = ["run", "table", "--spec", job.spec, "--options", str(file), "--output", "out"]
    assert CliRunner().invoke(command_line.app, command, catch_exceptions=False).exit_code == 0
    assert asked[0].spec["caption"] == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"cannot be read \(No such file or directory\); `snakemake -np` writes it"),
        ("{", r"not JSON in UTF-8"),
        ("[]", r"expected a mapping with code, input, spec, found \[\]"),
        ('{"output": "x"}', r"expected a mapping with code, input, spec, found 'output'"),
    ],
)
def test_a_file_that_has_no_options_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "options.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=f"^--options {file}: {message}"):
        CliRunner().invoke(command_line.app, ["run", "table", "--options", str(file)], catch_exceptions=False)


# -- through the real Snakemake --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The small paper with a table whose spec is longer than an argument can be."""
    checkout = small_checkout(tmp_path_factory.mktemp("long"), tmp_path_factory.mktemp("remote"))
    table = LONG_TABLE.format(caption="many words " * (LINUX_ALLOWS // 10))
    checkout.edit("papers/small/paper.yaml", "\nfigures:\n", table)
    (checkout.folder / "papers/small/published").mkdir()
    (checkout.folder / "papers/small/published/printed.csv").write_text(",Clean\nTheirs,98.7\n")
    return checkout


def test_a_long_spec_runs_in_snakemake_and_by_the_command_that_it_prints(long: Checkout) -> None:
    table = long.folder / "results/quick/papers/small/tables/long.json"
    printed = long.run("snakemake", "-np", "small_long").stdout
    (command,) = re.findall(r"^Shell command: (.* run table .*)$", printed, re.MULTILINE)
    long.run("bash", "-c", command)
    by_hand = table.read_bytes()
    shutil.rmtree(table.parent)  # files without a record would stop the run
    long.snakemake("small_long")
    assert table.read_bytes() == by_hand
    assert long.scheduled("small_long") == set()


def test_an_edit_of_a_long_spec_makes_its_table_anew(long: Checkout) -> None:
    long.snakemake("small_long")
    long.edit("papers/small/paper.yaml", "caption: many words", "caption: Too many words")
    assert long.scheduled("small_long") == {"papers/small/tables/long.json"}

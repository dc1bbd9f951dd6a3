"""Which edits of our sources change which jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import robustrepro
from robustrepro.errors import UserError
from robustrepro.spec import sources
from robustrepro.spec.sources import STEPS, code_digest, require_unchanged, words_of

LENET, MLP = "robustrepro.models.lenet5:LeNet5", "robustrepro.models.mlp:MultiLayerPerceptron"
ERM, CEM, HRM = (
    "robustrepro.objectives.erm:EmpiricalRisk",
    "robustrepro.objectives.cem:CrossErrorRisk",
    "robustrepro.objectives.hrm:HollowRisk",
)
CLEAN, FGSM, PGD, NOISE = (
    "robustrepro.attacks.measure:measure",
    "robustrepro.attacks.fgsm:ascent_of",
    "robustrepro.attacks.pgd:ascent_of",
    "robustrepro.attacks.noise:ascent_of",
)


def kind(name: str) -> str:
    """Return the implementation of a kind of measurement."""
    return f"robustrepro.measures.{name}:measure"


JOBS: dict[str, tuple[str, list[str]]] = {
    "data digits": ("data", ["robustrepro.datasets.digits:make"]),
    "data mnist": ("data", ["robustrepro.datasets.mnist:make"]),
    "train lenet5 erm": ("train", [LENET, ERM]),
    "train lenet5 hrm": ("train", [LENET, HRM]),
    "train mlp cem": ("train", [MLP, CEM]),
    "derive": ("derive", [LENET]),
    "attack clean": ("measure", [kind("attack"), LENET, CLEAN]),
    "attack fgsm": ("measure", [kind("attack"), LENET, FGSM]),
    "attack pgd": ("measure", [kind("attack"), LENET, PGD]),
    "attack pgd hrm": ("measure", [kind("attack"), LENET, PGD, HRM]),
    "transfer": ("measure", [kind("transfer"), LENET, PGD]),
    "battery": ("measure", [kind("audit"), LENET, FGSM, PGD, NOISE]),
    "losses": ("measure", [kind("losses"), MLP]),
    "path": ("measure", [kind("training_path"), MLP, CEM]),
    "distance": ("measure", [kind("parameter_distance")]),
    "boundary": ("measure", [kind("decision_boundary"), MLP]),
    "gather": ("gather", []),
    "table": ("table", ["robustrepro.tables.statistics:accuracy"]),
    "figure": ("figure", ["robustrepro.figures.decision_boundaries:draw"]),
    "audit": ("audit", []),
    "search": ("search", []),
    "scorecard": ("scorecard", []),
    "summary": ("summary", []),
    "page": ("page", []),
    "report": ("report", []),
}
TRAINED = {name for name in JOBS if name.startswith("train")}
ATTACKED = {name for name in JOBS if name.startswith("attack")} | {"transfer", "battery"}
MEASURED = {name for name, (step, _) in JOBS.items() if step == "measure"}
ON_EXAMPLES = MEASURED - {"distance"}
EDITS: dict[str, tuple[str, set[str]]] = {
    "one objective": ("objectives/hrm.py", {"train lenet5 hrm", "attack pgd hrm"}),
    "one attack": ("attacks/pgd.py", {"attack pgd", "attack pgd hrm", "transfer", "battery"}),
    "an attack inside the audit": ("attacks/noise.py", {"battery"}),
    "one architecture": ("models/mlp.py", {"train mlp cem", "boundary", "losses", "path"}),
    "one data set's loader": ("datasets/mnist.py", {"data mnist"}),
    "the training loop": ("training/loop.py", TRAINED | {"path"}),
    "an alarm": ("audits/alarms.py", {"battery"}),
    "how claims survive": ("audits/claims.py", {"audit"}),
    "how conditions are read": ("grammar.py", {"table", "search", "audit", "scorecard", "summary", "page", "report"}),
    "how printed numbers are read": ("printed.py", {"table"}),
    "a kind of measurement": ("measures/losses.py", {"losses"}),
    "statistics": ("tables/statistics.py", {"table", "audit", "scorecard"}),
    "a drawing": ("figures/decision_boundaries.py", {"figure"}),
    "where files lie": ("layout.py", {"table", "figure", "search", "audit", "scorecard", "summary", "page", "report"}),
    "a declaration": ("spec/plan.py", set()),
    "the command line": ("command_line.py", set()),
    "warm start": ("warm/server.py", set()),
    "the digests themselves": ("spec/sources.py", set()),
    "a template": ("report/paper.html", {"page", "report"}),
    "a new template": ("report/new.css", {"page", "report"}),
    "the mark of a typed package": ("py.typed", set()),
    "what type checkers are told": ("__init__.pyi", set()),
    "what the package offers": ("api/auditing.py", set()),
    "atomic writes": ("files.py", set()),
    "progress": ("steps.py", set()),
    "which GPU is taken": ("devices.py", set()),
}
# A copy of the sources is edited file after file; a fork that knows nothing yet computes the digests each time.
SCRIPT = """
import json, os, pathlib, sys
import robustrepro.spec.sources as sources

jobs, edits = json.loads(sys.argv[1]), json.loads(sys.argv[2])
root = pathlib.Path(sources.PACKAGE)
assert root.is_relative_to(os.environ["PYTHONPATH"]), root

def digests():
    reading, writing = os.pipe()
    if os.fork() == 0:
        digests = {name: sources.code_digest(step, runs) for name, (step, runs) in jobs.items()}
        os.write(writing, json.dumps(digests).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        return json.load(stream)

found = {"": digests()}
for file in edits:
    path = root / file
    before = path.read_text() if path.exists() else ""
    edited = "EDITED = True" if path.suffix == ".py" else "/* edited */"
    path.write_text(f"{before}\\n{edited}\\n")
    found[file] = digests()
    path.write_text(before) if before else path.unlink()
found["undone"] = digests()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Digests of every job by the file that was edited; without an edit under the empty name."""
    folder = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(robustrepro.__file__).parent, folder / "robustrepro", ignore=ignored)
    arguments = [json.dumps(JOBS), json.dumps([file for file, _ in EDITS.values()])]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def test_every_step_has_a_job_here() -> None:
    assert {step for step, _ in JOBS.values()} == set(STEPS)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_exactly_the_jobs_that_run_it(digests: dict[str, dict[str, str]], edit: str) -> None:
    file, expected = EDITS[edit]
    changed = {job for job in JOBS if digests[file][job] != digests[""][job]}
    assert changed == expected


def test_an_edit_undone_is_no_edit_and_the_place_of_the_sources_does_not_matter(
    digests: dict[str, dict[str, str]],
) -> None:
    assert digests["undone"] == digests[""]
    assert digests[""] == {name: code_digest(step, runs) for name, (step, runs) in JOBS.items()}


def test_jobs_of_other_names_have_other_digests(digests: dict[str, dict[str, str]]) -> None:
    assert len({digests[""][name] for name in TRAINED | ATTACKED}) == len(TRAINED | ATTACKED)


def test_a_job_starts_with_the_sources_it_was_scheduled_with_only(digests: dict[str, dict[str, str]]) -> None:
    step, runs = JOBS["train lenet5 hrm"]
    require_unchanged(step, runs, digests[""]["train lenet5 hrm"])
    with pytest.raises(UserError, match="were edited while it waited to start"):
        require_unchanged(step, runs, digests["objectives/hrm.py"]["train lenet5 hrm"])


def test_sources_that_nobody_has_written_since_the_run_began_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "attacks").mkdir()
    file = tmp_path / "attacks/pgd.py"
    file.write_text("steps = 40")
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    monkeypatch.setenv(sources.STATE, sources.state_of_the_sources())
    step, runs = JOBS["attack pgd"]
    require_unchanged(step, runs, "computed before the state was noted")
    file.write_text("steps = 20")
    os.utime(file, (0, 0))
    with pytest.raises(UserError, match="were edited while it waited to start"):
        require_unchanged(step, runs, "computed before the state was noted")


def test_a_new_source_file_changes_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    before = sources.state_of_the_sources()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/pgd.pyc").write_bytes(b"byte code")
    assert sources.state_of_the_sources() == before
    (tmp_path / "new.py").touch()
    assert sources.state_of_the_sources() != before


COMMENTED = '''"""What the module is for."""

import math  # which has the root

LARGEST = 3
"""What the number is for."""


def root(value: float) -> str:
    """Return the root.

    Its docstring has several lines.
    """
    # A comment of its own.
    text = f"{math.sqrt(value):.{LARGEST}f}" 'and so on'

    return text  # at the end of a line
'''
BARE = """import math
LARGEST = 3
def root(value: float) -> str:
    text = f"{math.sqrt(value):.{LARGEST}f}" 'and so on'
    return text
"""


def test_comments_docstrings_and_blank_lines_are_no_code() -> None:
    assert words_of(COMMENTED) == words_of(BARE)


@pytest.mark.parametrize(
    ("old", "new"),
    [("sqrt", "log"), ("LARGEST = 3", "LARGEST = 4"), (".{LARGEST}f", ".{LARGEST}g"), ("'and so on'", "'and so  on'")],
)
def test_every_word_of_the_code_counts(old: str, new: str) -> None:
    assert words_of(BARE.replace(old, new)) != words_of(BARE)


def test_an_f_string_is_one_word_on_every_version_of_python() -> None:
    assert words_of("""x = f'{a!r:>{b}} {f"{c}"}'\n""") == ["x", "=", """f'{a!r:>{b}} {f"{c}"}'""", "NEWLINE"]


def test_indentation_counts() -> None:
    inside, outside = "if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"
    assert words_of(inside) != words_of(outside)


def test_the_digests_of_files_are_kept_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources._known_digests.cache_clear()
    digest = sources._words_digest(b"a = 1  # one\n")
    sources.keep_digests()
    assert list(json.loads((tmp_path / sources.CACHE).read_text()).values()) == [digest]
    sources._known_digests.cache_clear()
    monkeypatch.setattr(sources, "words_of", lambda _: pytest.fail("read again"))
    assert sources._words_digest(b"a = 1  # one\n") == digest
    sources._known_digests.cache_clear()


@pytest.mark.parametrize("kept", ["[]", "{", "\udcff"])
def test_kept_digests_that_are_none_are_computed_and_kept_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / sources.CACHE).parent.mkdir(parents=True)
    (tmp_path / sources.CACHE).write_text(kept, encoding="utf-8", errors="surrogateescape")
    sources._known_digests.cache_clear()
    digest = sources._words_digest(b"a = 1\n")
    sources.keep_digests()
    sources._known_digests.cache_clear()
    assert list(json.loads((tmp_path / sources.CACHE).read_text()).values()) == [digest]


def test_digests_that_cannot_be_kept_end_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".snakemake").touch()
    sources._known_digests.cache_clear()
    assert sources._words_digest(b"a = 1\n")
    sources.keep_digests()
    sources._known_digests.cache_clear()


def test_what_an_editor_keeps_beside_a_source_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan.py").touch()
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    before = sources.state_of_the_sources()
    (tmp_path / ".#plan.py").symlink_to("somebody@somewhere.1234")
    assert sources.state_of_the_sources() == before

"""Which edits of our sources change which jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import robustrepro
from robustrepro.errors import UserError
from robustrepro.spec import sources
from robustrepro.spec.sources import STEPS, code_digest, require_unchanged

TRAINING = {"dataset": "mnist", "optimizer": {"name": "adam"}, "epochs": 1, "batch_size": 8}
LENET, MLP = {"name": "lenet5"}, {"name": "mlp", "hidden": [4]}
JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "data": ("data", {"dataset": {"name": "digits"}}),
    "train lenet5 erm": ("train", {**TRAINING, "architecture": LENET, "objective": {"name": "erm"}}),
    "train lenet5 hrm": ("train", {**TRAINING, "architecture": LENET, "objective": {"name": "hrm"}}),
    "train mlp cem": ("train", {**TRAINING, "architecture": MLP, "objective": {"name": "cem"}}),
    "attack clean": ("measure-attack", {"attack": {"name": "clean"}, "architecture": LENET}),
    "attack fgsm": ("measure-attack", {"attack": {"name": "fgsm"}, "architecture": LENET}),
    "attack pgd": ("measure-attack", {"attack": {"name": "pgd"}, "architecture": LENET}),
    "attack pgd hrm": (
        "measure-attack",
        {"attack": {"name": "pgd"}, "architecture": LENET, "objective": {"name": "hrm"}},
    ),
    "transfer": (
        "measure-transfer",
        {"attacks": [{"name": "pgd"}], "architecture": LENET, "targets": [{"architecture": LENET}]},
    ),
    "battery": (
        "measure-audit",
        {
            "balls": [
                {
                    "attacks": {"one-step": {"name": "fgsm"}},
                    "smaller": {"attack": {"name": "curve", "attack": {"name": "pgd"}}},
                    "noise": {"attack": {"name": "noise"}},
                }
            ],
            "architecture": LENET,
        },
    ),
    "losses": ("measure-losses", {"architecture": MLP, "split": "train"}),
    "path": (
        "measure-training-path",
        {"training": {**TRAINING, "architecture": MLP, "objective": {"name": "cem"}}, "every": 1},
    ),
    "distance": ("measure-parameter-distance", {"models": ["a", "b"]}),
    "boundary": ("measure-decision-boundary", {"architecture": MLP, "resolution": 20}),
    "table": ("table", {"training": {"a": '{"objective":{"name":"hrm"}}'}}),
    "figure": ("figure", {"figure": {"name": "decision_boundaries"}}),
    "audit": ("audit", {"papers": []}),
    "scorecard": ("scorecard", {"papers": []}),
    "report": ("report", {"papers": []}),
}
TRAINED = {name for name in JOBS if name.startswith("train")}
ATTACKED = {name for name in JOBS if name.startswith("attack")} | {"transfer", "battery"}
EDITS: dict[str, tuple[str, set[str]]] = {
    "one objective": ("objectives/hrm.py", {"train lenet5 hrm", "attack pgd hrm"}),
    "one attack": ("attacks/pgd.py", {"attack pgd", "attack pgd hrm", "transfer", "battery"}),
    "an attack inside the audit": ("attacks/noise.py", {"battery"}),
    "one architecture": ("models/mlp.py", {"train mlp cem", "boundary", "losses", "path"}),
    "the training loop": ("training/loop.py", TRAINED | {"path"}),
    "what training and attacks share": ("datasets/tensors.py", TRAINED | ATTACKED | {"boundary", "losses", "path"}),
    "an alarm": ("audit/alarms.py", {"battery"}),
    "how claims survive": ("audit/claims.py", {"audit"}),
    "statistics": ("tables/statistics.py", {"table", "audit", "scorecard"}),
    "a drawing": ("figures/decision_boundaries.py", {"figure"}),
    "a declaration": ("spec/plan.py", set()),
    "the command line": ("command_line.py", set()),
    "warm start": ("warm/server.py", set()),
    "the digests themselves": ("spec/sources.py", set()),
    "a template": ("report/page.html", {"report"}),
    "a new template": ("report/new.css", {"report"}),
    "atomic writes": ("files.py", set(JOBS)),
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
        found = {name: sources.code_digest(step, spec) for name, (step, spec) in jobs.items()}
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        return json.load(stream)

found = {"": digests()}
for file in edits:
    path = root / file
    before = path.read_text() if path.exists() else ""
    path.write_text(before + "\\n# edited\\n")
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
    assert digests[""] == {name: code_digest(step, spec) for name, (step, spec) in JOBS.items()}


def test_jobs_of_other_names_have_other_digests(digests: dict[str, dict[str, str]]) -> None:
    assert len({digests[""][name] for name in TRAINED | ATTACKED}) == len(TRAINED | ATTACKED)


def test_a_job_starts_with_the_sources_it_was_scheduled_with_only(digests: dict[str, dict[str, str]]) -> None:
    step, spec = JOBS["train lenet5 hrm"]
    require_unchanged(step, spec, digests[""]["train lenet5 hrm"])
    with pytest.raises(UserError, match="were edited while it waited to start"):
        require_unchanged(step, spec, digests["objectives/hrm.py"]["train lenet5 hrm"])


def test_sources_that_nobody_has_written_since_the_run_began_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "attacks").mkdir()
    file = tmp_path / "attacks/pgd.py"
    file.write_text("steps = 40")
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    monkeypatch.setenv(sources.STATE, sources.state_of_the_sources())
    step, spec = JOBS["attack pgd"]
    require_unchanged(step, spec, "computed before the state was noted")
    file.write_text("steps = 20")
    os.utime(file, (0, 0))
    with pytest.raises(UserError, match="were edited while it waited to start"):
        require_unchanged(step, spec, "computed before the state was noted")


def test_a_new_source_file_changes_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PACKAGE", tmp_path)
    before = sources.state_of_the_sources()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/pgd.pyc").write_bytes(b"byte code")
    assert sources.state_of_the_sources() == before
    (tmp_path / "new.py").touch()
    assert sources.state_of_the_sources() != before

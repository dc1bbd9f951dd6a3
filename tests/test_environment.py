"""What the repository says about itself in two places is the same: software, papers, and what CI runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
LOCKED = dict(re.findall(r"^([\w.-]+)==([^\s\\;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names_of(requirements: list[str]) -> set[str]:
    """Return the names of packages without their versions."""
    return {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}


def test_the_rules_environment_pins_what_the_lock_pins():
    pinned = yaml.safe_load((ROOT / "workflow/environment.yaml").read_text())["dependencies"][-1]["pip"]
    lock = (ROOT / "requirements.lock").read_text()
    assert pinned
    assert [pin for pin in pinned if not re.search(rf"^{re.escape(pin)}[ \\]", lock, re.MULTILINE)] == []


def test_the_rules_environment_has_every_library_that_a_step_imports():
    pinned = yaml.safe_load((ROOT / "workflow/environment.yaml").read_text())["dependencies"][-1]["pip"]
    assert names_of(PROJECT["dependencies"]) - names_of(pinned) == set()


def test_the_lock_names_no_index_and_hashes_everything():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    blocks = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)[1:]
    assert len(blocks) >= len(LOCKED) > 100
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_hooks_before_a_commit_check_with_the_locked_versions():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    pinned = {pin for hook in repository["hooks"] for pin in hook["additional_dependencies"]}
    assert pinned == {f"{name}=={LOCKED[name]}" for name in ("ruff", "snakefmt", "mypy", "pydantic")}


def test_the_hosted_ci_runs_what_every_change_must_pass():
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    assert (ROOT / ".ci/run").is_file()


def test_the_citation_names_the_software_and_every_paper_as_its_declaration_does():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    cited = {reference["title"]: authors_of(reference) for reference in citation["references"]}
    papers = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob("papers/*/paper.yaml")]
    assert cited == {paper["title"]: paper["authors"] for paper in papers}


def authors_of(reference: dict[str, list[dict[str, str]]]) -> str:
    """Return the authors of a reference in one line, as papers declare them."""
    people = reference["authors"]
    return ", ".join(one.get("name") or f"{one['given-names']} {one['family-names']}" for one in people)

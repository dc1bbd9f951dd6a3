"""A checkout of this project with a paper small enough to run for real in a test, driven by its real tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
AUTHOR = {"NAME": "Author", "EMAIL": "author@example.org"}
TOOLS = Path(sys.executable).parent

PAPER = """
title: A paper of two models
authors: Nobody
summary: Two models of points in the plane, for tests of the pipeline.
models:
  small-erm: &small
    dataset: two_moons
    network: {architecture: {name: mlp, hidden: [8]}}
    objective: {name: erm}
    optimizer: {name: adam, learning_rate: 0.01}
    epochs: 3
    batch_size: 16
    seeds: 1
  small-hrm: {<<: *small, objective: {name: hrm}}
measures:
  clean: {attack: {name: clean}}
  small-pgd: {attack: {name: pgd, epsilon: 0.2, steps: 3, step_size: 0.1}}
  grid: {decision_boundary: {resolution: 20}}
tables:
  accuracy:
    where: Table 1
    caption: Accuracy of two models
    rows: {erm: {label: ERM, model: small-erm}, hrm: {label: HRM, model: small-hrm}}
    columns: {clean: {label: Clean, measure: clean}, pgd: {label: PGD, measure: small-pgd}}
figures:
  boundaries:
    where: Figure 1
    caption: Their decision boundaries
    figure: {name: decision_boundaries, measure: grid, panels: [{label: HRM, model: small-hrm}]}
claims:
  no-worse:
    says: HRM is no worse.
    where: Table 1
    holds_if: ["accuracy[hrm, clean] >= accuracy[erm, clean] - 50"]
    margins: Half of all points.
"""

HRM_OUTPUTS = {
    "models/small-hrm/seed0/weights.safetensors",
    "measurements/clean/small-hrm/seed0.parquet",
    "measurements/small-pgd/small-hrm/seed0.parquet",
    "measurements/grid/small-hrm/seed0.parquet",
}
"""What is computed from the model that is trained with HRM."""

DRAWN = {
    "papers/small/tables/accuracy.json",
    "papers/small/figures/boundaries.png",
    "papers/small/audit.json",
    "papers/small/scorecard.json",
    "scorecard.csv",
    "report/index.html",
    "report/small.html",
}
"""What is drawn from measurements."""


@dataclass(frozen=True)
class Checkout:
    """A folder with a clone, and the commands that a user would type in it."""

    folder: Path

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command here, with this checkout's sources and no settings of the outside."""
        outside = {"ROBUSTREPRO_MIRROR", "ROBUSTREPRO_ADOPT", "ROBUSTREPRO_DEVICE", "ROBUSTREPRO_PROGRESS"}
        variables = {name: value for name, value in os.environ.items() if name not in outside | {"GIT_DIR"}}
        variables |= {
            "PYTHONPATH": str(self.folder / "src"),
            "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            # DVC commits experiments, and finds its author here where git is not configured.
            **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in AUTHOR.items()},
            **environment,
        }
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def snakemake(self, *arguments: str, check: bool = True, **environment: str) -> str:
        """Run snakemake and return both of its streams."""
        done = self.run("snakemake", "--cores", "2", *arguments, check=check, **environment)
        return done.stdout + done.stderr

    def scheduled(self, *arguments: str) -> set[str]:
        """Return the first output of every job that `snakemake -n` would run, relative to the scale's folder."""
        output = self.snakemake("-n", *arguments)
        found = re.findall(r"^    output: ([^,\s]+)", output, re.MULTILINE)
        assert found or "Nothing to be done" in output, output
        return {re.sub(r"^results/\w+/", "", name) for name in found}

    def git(self, *arguments: str) -> str:
        """Run git, and return what it prints."""
        return self.run("git", *arguments).stdout

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text that stands in a file exactly once."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name}: {old!r} stands there {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def clone(self, folder: Path, *options: str) -> Checkout:
        """Clone what is committed here, as a colleague would, and fetch the data and results from the DVC remote."""
        self.run("git", "clone", "--quiet", *options, str(self.folder), str(folder))
        colleague = Checkout(folder)
        colleague.run("dvc", "pull", "--quiet")
        return colleague


def small_checkout(folder: Path, remote: Path) -> Checkout:
    """Return a repository with this tree's sources, the small paper, and a DVC remote."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if not name.startswith(("docs/", "tests/", "benchmarks/")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "papers/small").mkdir()
    (folder / "papers/small/paper.yaml").write_text(PAPER, encoding="utf-8")
    checkout = Checkout(folder)
    config = (folder / "config.yaml").read_text(encoding="utf-8")
    asked = re.sub(r"^papers: \[.*?\]", "papers: [small]", config, flags=re.MULTILINE)
    (folder / "config.yaml").write_text(asked, encoding="utf-8")
    checkout.git("init", "--quiet", "--initial-branch=main")
    checkout.run("dvc", "remote", "add", "--quiet", "--default", "local", str(remote))
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message=A small paper")
    return checkout

"""What Snakemake and DVC promise together, held with the real tools in real clones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import DRAWN, HRM_OUTPUTS, Checkout, small_checkout

from robustrepro import warm

PGD_OUTPUTS = {f"measurements/small-pgd/small-{name}/seed0.parquet" for name in ("erm", "hrm")}
EDIT = "\nEDITED = True\n"


@pytest.fixture(scope="module")
def warm_server() -> Iterator[None]:
    """One resident process for all runs of this file: so few jobs a run would not repay one each."""
    with warm.start():
        yield


@pytest.fixture(scope="module")
def author(warm_server: None, tmp_path_factory: pytest.TempPathFactory) -> Checkout:  # noqa: ARG001
    """A repository in which `dvc repro` has run at scale quick; results pushed, lock file committed."""
    checkout = small_checkout(tmp_path_factory.mktemp("author"), tmp_path_factory.mktemp("remote"))
    # DVC raises the limit of open files, which the resident process outside does not have: its run starts its own.
    checkout.run("dvc", "repro", ROBUSTREPRO_WARM="")
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message=Results")
    checkout.run("dvc", "push", "--quiet")
    return checkout


@pytest.fixture
def colleague(author: Checkout, tmp_path: Path) -> Checkout:
    """A fresh clone with everything pulled."""
    return author.clone(tmp_path / "clone")


def test_a_clone_that_pulled_has_nothing_to_do_and_is_clean(colleague):
    assert colleague.scheduled() == set()
    assert colleague.git("status", "--porcelain") == ""
    assert json.loads((colleague.folder / "results/metrics/quick.json").read_text())["small"]["accuracy"]["erm"]


def test_a_clone_whose_git_converts_the_ends_of_lines_has_nothing_to_do_either(author, tmp_path):
    assert author.clone(tmp_path / "clone", "-c", "core.autocrlf=true").scheduled() == set()


DRY_RUN = """
import sys
sys.argv = ["snakemake", "-n", "--quiet"]
from snakemake.cli import main
try:
    main()
finally:
    heavy = {"torch", "pandas", "seaborn", "matplotlib", "scipy", "sklearn", "pyarrow"}
    print("imported:", *sorted(name for name in heavy if sys.modules.get(name)))
"""


def test_a_dry_run_imports_no_library_that_only_steps_need(colleague):
    # Snakemake itself imports pandas where it is installed, unless it is kept from it.
    assert "imported:\n" in colleague.run("python", "-c", DRY_RUN).stdout


def test_a_changed_learning_rate_schedules_what_depends_on_it_and_changed_back_nothing(colleague):
    declared = "small-hrm: {<<: *small, objective: {name: hrm}}"
    changed = declared.replace("}}", "}, optimizer: {name: adam, learning_rate: 0.02}}")
    colleague.edit("papers/small/paper.yaml", declared, changed)
    assert colleague.scheduled() == HRM_OUTPUTS | DRAWN
    colleague.edit("papers/small/paper.yaml", changed, declared)
    assert colleague.scheduled() == set()


def test_an_attack_edited_and_committed_but_never_run_is_measured_anew_in_a_clone_without_training(colleague, tmp_path):
    path = colleague.folder / "src/robustrepro/attacks/pgd.py"
    path.write_text(path.read_text(encoding="utf-8") + EDIT, encoding="utf-8")
    colleague.git("commit", "--quiet", "--all", "--message=Edit PGD without running it")
    second = Checkout(tmp_path / "second")
    colleague.run("git", "clone", "--quiet", ".", str(second.folder))
    second.run("dvc", "pull", "--quiet")
    # The figure shows no attack.
    assert second.scheduled() == PGD_OUTPUTS | DRAWN - {"papers/small/figures/boundaries.png"} | {"report/index.html"}


def test_an_edit_of_an_objective_touches_only_models_that_use_it_and_a_comment_none(colleague):
    path = colleague.folder / "src/robustrepro/objectives/hrm.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(f"{original}# A comment.\n", encoding="utf-8")
    assert colleague.scheduled() == set()
    path.write_text(original + EDIT, encoding="utf-8")
    assert colleague.scheduled() == HRM_OUTPUTS | DRAWN


def test_changed_printed_numbers_remake_their_table_and_no_measurement(colleague):
    header = "rows: {erm: {label: ERM, model: small-erm}"
    colleague.edit("papers/small/paper.yaml", header, f"published: accuracy.csv\n    {header}")
    published = colleague.folder / "papers/small/published/accuracy.csv"
    published.parent.mkdir()
    published.write_text(",Clean,PGD\nERM,90%,10%\nHRM,91%,20%\n")
    table = DRAWN - {"papers/small/figures/boundaries.png"}
    assert colleague.scheduled() == table
    colleague.snakemake()
    published.write_text(",Clean,PGD\nERM,90%,10%\nHRM,91%,21%\n")
    assert colleague.scheduled() == table


def test_two_scales_live_in_one_checkout(colleague):
    colleague.snakemake("--config", "scale=reduced")
    assert colleague.scheduled("--config", "scale=reduced") == set()
    # Each claim is listed from the scale that says most.
    assert colleague.scheduled() == {"report/index.html"}
    colleague.snakemake()
    assert colleague.scheduled() == set()
    assert colleague.scheduled("--config", "scale=reduced") == set()
    assert (colleague.folder / "results/reduced/report/index.html").exists()


def test_a_scale_of_ones_own_is_planned_from_its_file_alone(colleague):
    scale = "description: mine\nseeds: 1\nmodels: {small-hrm: {epochs: 2, seeds: 2}}\n"
    (colleague.folder / "workflow/scales/mine.yaml").write_text(scale, encoding="utf-8")
    # Every first page of a report knows the order of all scales; nothing is computed again.
    assert colleague.scheduled() == {"report/index.html"}
    scheduled = colleague.scheduled("--config", "scale=mine")
    models = {name for name in scheduled if name.endswith("weights.safetensors")}
    assert models == {
        f"models/{model}/weights.safetensors" for model in ("small-erm/seed0", "small-hrm/seed0", "small-hrm/seed1")
    }
    assert "results/mine/scorecard.csv" in colleague.snakemake("-n", "--config", "scale=mine")


def test_the_scorecard_is_printed_only_by_a_run_that_was_asked_for_it(colleague):
    printed = "Scale quick: 1 claim of 1 paper"
    assert printed not in colleague.snakemake("--forcerun", "table", "--", "small_accuracy")
    assert printed in colleague.snakemake("--forcerun", "summary")
    answer = colleague.folder / "src/robustrepro/scorecard/brief.py"
    answer.write_text("raise RuntimeError('the scorecard cannot be shown')\n", encoding="utf-8")
    assert "the scorecard cannot be shown" in colleague.snakemake("--forcerun", "summary")  # and the run is well


@pytest.fixture(scope="module")
def trained_longer(author: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A clone whose last commit has the results of longer trainings."""
    checkout = author.clone(tmp_path_factory.mktemp("longer") / "clone")
    checkout.edit("papers/small/paper.yaml", "epochs: 3", "epochs: 12")
    checkout.snakemake()
    checkout.run("dvc", "commit", "--force", "--quiet")
    checkout.git("commit", "--quiet", "--all", "--message=Train longer")
    return checkout


def test_dvc_compares_the_numbers_and_verdicts_of_two_commits(trained_longer):
    compared = trained_longer.run("dvc", "metrics", "diff", "--json", "--all", "HEAD~1")
    numbers = json.loads(compared.stdout)["results/metrics/quick.json"]
    assert "diff" in numbers["small.accuracy.hrm.clean"]
    assert numbers["small.claims.no-worse.verdict"] == {"old": "inconclusive", "new": "inconclusive"}
    shown = trained_longer.run("dvc", "metrics", "show")
    # Two scales have not run: nothing to warn of, and no lines of dashes.
    assert compared.stderr == shown.stderr == ""
    assert "reduced" not in shown.stdout


def test_two_commits_whose_results_dvc_tracks_are_compared_as_the_last_run_and_what_is_there_now(trained_longer):
    compare = ("python", "-m", "robustrepro", "compare", "--json")
    runs = json.loads(trained_longer.run(*compare).stdout)
    commits = json.loads(trained_longer.run(*compare, "HEAD~1", "HEAD").stdout)
    assert "hrm" in {cell["row"] for cell in runs["cells"]}
    assert runs["cells"] == commits["cells"]
    # Both sides have the cards of their models; the last run has recorded its measures, too.
    assert runs["settings"] == commits["settings"]
    assert "models.{small-erm, small-hrm}.epochs: 3 → 12" in runs["settings"]
    assert commits["before"].endswith(": quick from DVC")


def test_what_the_last_run_replaced_is_kept_where_neither_dvc_nor_snakemake_looks(trained_longer):
    assert (trained_longer.folder / "results/.last/quick.zip").exists()
    assert "up to date" in trained_longer.run("dvc", "status").stdout
    assert trained_longer.scheduled() == set()


def test_an_experiment_outside_the_workspace_runs_the_code_of_its_own_copy(colleague):
    # The environment has the code of this checkout; the experiment, as a queued one, runs in a copy that DVC makes.
    colleague.edit("papers/small/paper.yaml", "title: A paper of two models", "title: A paper of two nets")
    colleague.run("dvc", "exp", "run", "--temp", ROBUSTREPRO_WARM="")
    assert colleague.git("for-each-ref", "refs/exps")


def test_a_source_edited_while_a_step_waits_to_start_stops_the_step(colleague):
    target = "results/quick/models/small-hrm/seed0/weights.safetensors"
    recorded = colleague.snakemake("-n", "-p", "--force", target)
    line = next(line for line in recorded.splitlines() if "python -m robustrepro run train" in line)
    command = line[line.index("python -m") :]
    path = colleague.folder / "src/robustrepro/objectives/hrm.py"
    path.write_text(path.read_text(encoding="utf-8") + EDIT, encoding="utf-8")
    before = (colleague.folder / target).read_bytes()
    done = colleague.run("bash", "-c", command, check=False)
    assert done.returncode == 2
    assert "edited while it waited to start" in done.stderr
    assert "Traceback" not in done.stderr
    assert (colleague.folder / target).read_bytes() == before


def test_a_checkpoint_copied_in_by_hand_is_named_and_not_used_until_adopted(colleague, tmp_path):
    model = "results/quick/models/small-hrm/seed0"
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(colleague.folder / model, elsewhere)
    # As if this checkout had never trained it.
    shutil.rmtree(colleague.folder / "results")
    shutil.rmtree(colleague.folder / ".snakemake")
    shutil.copytree(elsewhere, colleague.folder / model)
    refused = colleague.snakemake("-n", check=False)
    assert f"{model}/weights.safetensors" in refused
    assert "robustrepro adopt" in refused

    weights = colleague.folder / model / "weights.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-4] + b"\0\0\0\1")
    tampered = colleague.run("python", "-m", "robustrepro", "adopt", check=False)
    assert tampered.returncode == 2
    assert "sha256 of weights.safetensors is not the one in card.json" in tampered.stderr
    assert weights.exists()

    weights.write_bytes(original)
    adopted = colleague.run("python", "-m", "robustrepro", "adopt")
    assert "adopted 4 file(s)" in adopted.stdout
    assert weights.read_bytes() == original
    scheduled = colleague.scheduled()
    assert "models/small-hrm/seed0/weights.safetensors" not in scheduled
    assert "models/small-erm/seed0/weights.safetensors" in scheduled


def test_results_of_other_sources_are_not_adopted(colleague):
    model = "results/quick/models/small-hrm/seed0"
    shutil.rmtree(colleague.folder / ".snakemake")
    shutil.rmtree(colleague.folder / "results/quick/papers")
    for name in ("scorecard.csv", "audit.csv", "report/index.html", "report/small.html"):
        (colleague.folder / "results/quick" / name).unlink()
    path = colleague.folder / "src/robustrepro/objectives/hrm.py"
    path.write_text(path.read_text(encoding="utf-8") + EDIT, encoding="utf-8")
    refused = colleague.run("python", "-m", "robustrepro", "adopt", check=False)
    assert refused.returncode == 2
    assert f"{model}/weights.safetensors: it was computed with other sources" in refused.stderr
    assert "small-erm" not in refused.stderr

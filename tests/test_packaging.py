"""The wheel is the library: everything that it reads is inside, and it runs without what only the workflow needs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import REPOSITORY

from robustrepro.spec.audit import AUDIT_FILE, Audit, built_in_audit
from robustrepro.spec.strict_yaml import read_yaml

PACKAGE = REPOSITORY / "src/robustrepro"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COME_WITH = {"pydantic-core": "pydantic", "markupsafe": "jinja2"}
"""Parts of a dependency that have a package of their own, which it pins."""

DISTRIBUTIONS = packages_distributions()
"""What installed each top-level module of this environment."""

WORKFLOW_MODULES = sorted(
    {"snakemake", "dvc", "grimp", "highspy", "psutil"}
    | {name for name in DISTRIBUTIONS if name.startswith(("snakemake_", "dvc_"))}
)
WITHOUT_WORKFLOW = f"import sys; sys.modules.update(dict.fromkeys({WORKFLOW_MODULES}))\n"

LIBRARY = [
    "robustrepro.attacks.measure",
    "robustrepro.audits.battery",
    "robustrepro.datasets.prepare",
    "robustrepro.measures.store",
    "robustrepro.models.build",
    "robustrepro.report",
]


def normalised(name: str) -> str:
    """Return a distribution's name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names_of(requirements: list[str]) -> set[str]:
    """Return the names of packages without their versions."""
    return {normalised(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of these sources."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's contents, as pip unpacks them, and no checkout around it."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def metadata_of(installed: Path) -> Message:
    """Return what the wheel says of itself."""
    (path,) = installed.glob("*.dist-info/METADATA")
    return Parser().parsestr(path.read_text(encoding="utf-8"))


def run_without_workflow(installed: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code on the installed wheel, outside any checkout, where what only the workflow needs cannot be imported."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", WITHOUT_WORKFLOW + code]
    return subprocess.run(command, cwd=installed.parent, env=environment, capture_output=True, text=True, check=False)


def command(*arguments: str) -> str:
    """Return code that runs the command with these arguments."""
    return f"from robustrepro.__main__ import main; sys.argv[1:] = {list(arguments)}; main()"


# -- contents ----------------------------------------------------------------------------------------------------------


def test_the_wheel_has_every_source_and_every_file_that_they_read(installed: Path) -> None:
    sources = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    packed = {path.relative_to(installed / "robustrepro") for path in (installed / "robustrepro").rglob("*.*")}
    assert {"layout.html", "style.css", "script.js", "py.typed"} <= {path.name for path in sources}
    assert packed == sources | {Path("spec/audit.yaml")}


def test_the_wheel_has_the_projects_audit_byte_for_byte(installed: Path) -> None:
    audit = (REPOSITORY / "workflow/audit.yaml").read_bytes()
    assert (installed / "robustrepro/spec/audit.yaml").read_bytes() == audit


def test_the_wheel_has_nothing_of_a_checkout_but_the_package_and_its_licence(installed: Path) -> None:
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"robustrepro"}
    assert [path.read_text() for path in installed.glob("*.dist-info/licenses/*")] == [
        (REPOSITORY / "LICENSE").read_text()
    ]


def test_snakemake_and_dvc_are_asked_for_by_the_extra_alone(installed: Path) -> None:
    requirements = metadata_of(installed).get_all("Requires-Dist") or []
    of_workflow = {name for name in requirements if "extra == 'workflow'" in name}
    assert names_of(list(of_workflow)) == {"snakemake", "dvc", "grimp", "highspy", "psutil"}
    assert not names_of(list(set(requirements) - of_workflow)) & names_of(list(of_workflow))


# -- what the sources import -------------------------------------------------------------------------------------------


def imported_by(file: Path) -> set[str]:
    """Return the distributions that a source file imports, wherever in it."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module or "")
    foreign = {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"robustrepro"}
    names = {normalised(DISTRIBUTIONS[name][0]) for name in foreign}
    return {COME_WITH.get(name, name) for name in names}


def test_every_library_that_the_sources_import_is_a_declared_dependency_and_no_other_is() -> None:
    imported = set().union(*(imported_by(file) for file in PACKAGE.rglob("*.py")))
    library, workflow = names_of(PROJECT["dependencies"]), names_of(PROJECT["optional-dependencies"]["workflow"])
    assert imported - library - workflow == set()
    assert library - imported == set()


# -- without the workflow ----------------------------------------------------------------------------------------------


def test_the_library_is_imported_without_snakemake_and_dvc(installed: Path) -> None:
    code = f"import importlib\nfor name in {LIBRARY}: print(importlib.import_module(name).__file__)"
    done = run_without_workflow(installed, code)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if not line.startswith(str(installed))] == []


def test_importing_the_package_imports_no_library() -> None:
    heavy = ["torch", "numpy", "pandas", "pydantic", "matplotlib", "typer"]
    code = f"import sys, robustrepro; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_built_in_audit_is_read_from_the_wheel_wherever_one_is(installed: Path) -> None:
    done = run_without_workflow(installed, "from robustrepro.spec.audit import built_in_audit; print(built_in_audit())")
    assert "'name': 'autoattack'" in done.stdout, done.stderr


def test_the_built_in_audit_of_a_checkout_is_the_one_that_the_workflow_reads() -> None:
    assert built_in_audit() == Audit.model_validate(read_yaml(REPOSITORY / AUDIT_FILE))


def test_the_command_says_how_it_is_used_without_snakemake_and_dvc(installed: Path) -> None:
    done = run_without_workflow(installed, command("--help"))
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["adopt"], "snakemake, grimp"),
        (["publish"], "grimp"),
        (["run", "data", "--spec", "{}", "--code", "none", "--output", "manifest.json"], "grimp"),
    ],
)
def test_a_command_that_needs_the_workflow_says_in_one_message_what_to_install(
    installed: Path, arguments: list[str], absent: str
) -> None:
    done = run_without_workflow(installed, command(*arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"robustrepro: `robustrepro {arguments[0]}` needs packages that are not installed: {absent}. "
        "Run `make setup` in a checkout, or `pip install 'robustrepro[workflow]'`\n"
    )


@pytest.mark.slow
def test_the_wheel_alone_runs_in_an_environment_that_was_empty(wheel: Path, tmp_path: Path) -> None:
    uv, python = [sys.executable, "-m", "uv"], tmp_path / "bin/python"
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            list(map(str, arguments)), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(*uv, "venv", "--python", sys.executable, tmp_path, "--allow-existing")
    run(*uv, "pip", "install", "--python", python, "--constraints", REPOSITORY / "requirements.lock", wheel)
    assert not {"snakemake", "dvc"} & names_of(run(*uv, "pip", "freeze", "--python", python).splitlines())
    assert "Usage" in run(tmp_path / "bin/robustrepro", "--help")
    code = "import robustrepro.audits.battery, robustrepro.attacks.measure, robustrepro.models, robustrepro.report"
    assert run(python, "-c", f"{code}; print('imported')") == "imported\n"

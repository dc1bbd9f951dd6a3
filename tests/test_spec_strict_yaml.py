"""How YAML files are read: nothing is lost, and nothing taken for something else without a word."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml
from conftest import REPOSITORY, Declarations
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from robustrepro import spec
from robustrepro.errors import UserError
from robustrepro.spec.base import Declaration, Number
from robustrepro.spec.config import read_config
from robustrepro.spec.plan import Plan
from robustrepro.spec.strict_yaml import read_yaml


def written(folder: Path, text: str) -> Path:
    path = folder / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# -- keys ----------------------------------------------------------------------------------------------------


def test_keys_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, '{no: 1, 8: 2, 8.10: 3, null: 4, 2020-01-01: 5, on: 6, 1e-2: 7, 010: 8, "1:30": 9}')
    assert [*read_yaml(path)] == ["no", "8", "8.10", "null", "2020-01-01", "on", "1e-2", "010", "1:30"]


def test_a_key_that_is_an_alias_leaves_the_value_that_it_names_as_it_is(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "a: &eight 8\nb: {*eight : 1}\n")) == {"a": 8, "b": {"8": 1}}


def test_a_key_that_is_merged_from_elsewhere_is_not_there_twice(tmp_path: Path) -> None:
    # The outer mapping merges the inner one before that is itself constructed.
    text = "base: &base {x: 0, no: 1}\ntop:\n  a: &a {<<: *base, x: 1}\nother: {<<: *a, y: 2}\n"
    tree = read_yaml(written(tmp_path, text))
    assert tree["top"]["a"] == {"x": 1, "no": 1}
    assert tree["other"] == {"x": 1, "no": 1, "y": 2}


def test_a_row_and_a_model_may_be_called_no_and_8(declarations: Declarations) -> None:
    tables = declarations.paper["tables"]
    tables["accuracy"]["rows"]["no"] = tables["accuracy"]["rows"].pop("erm")
    tables["distances"]["rows"]["8"]["models"] = {"8": "points-erm", "hrm": "points-hrm"}
    tables["distances"]["columns"]["erm-hrm"]["of"] = ["8", "hrm"]
    declarations.paper["claims"]["hrm-is-better"]["holds_if"] = ["accuracy[hrm, pgd] >= accuracy[no, pgd] + 20"]
    declarations.published["accuracy.csv"] = ",Clean,PGD\nHRM,98.54%,56.22%\nERM,98.71%,3.25%\n"
    text = yaml.safe_dump(declarations.paper, sort_keys=False)
    declarations.papers["small"] = text.replace("'no':", "no:").replace("'8':", "8:")
    assert "no:" in declarations.papers["small"]
    paper = declarations.plan().papers["small"]
    assert [*paper.tables["accuracy"].rows] == ["hrm", "no"]
    assert paper.tables["distances"].rows["8"].models == {"8": "points-erm", "hrm": "points-hrm"}


# -- numbers -------------------------------------------------------------------------------------------------

NUMBER: TypeAdapter[float] = TypeAdapter(Number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("1e-2", 0.01), ("1E5", 1e5), ("1.e-2", 0.01), ("1e+2", 100.0), (".5e1", 5.0), ("8/255", 8 / 255)],
        *[("8 / 255", 8 / 255), (".5/2", 0.25), ("-8/255", -8 / 255), ("1e-2/2", 0.005), ("0.25", 0.25), ("3", 3.0)],
    ],
)
def test_numbers_are_read_as_papers_write_them(tmp_path: Path, text: str, number: float) -> None:
    assert NUMBER.validate_python(read_yaml(written(tmp_path, f"a: {text}"))["a"], strict=True) == number


@pytest.mark.parametrize(
    "text", ["8/0", "1e", "e5", "1e5 x", "1/2/3", "٣/4", "'0.25'", "yes", "8 255", "1e999", ".nan"]
)
def test_what_is_no_number_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError):
        NUMBER.validate_python(read_yaml(written(tmp_path, f"a: {text}"))["a"], strict=True)


def takes_no_text(annotation: Any, metadata: tuple[Any, ...] = ()) -> bool:
    """Tell whether there is a float in a type that is not read as a `Number` is."""
    if annotation is float:
        return not any(isinstance(part, BeforeValidator) for part in metadata)
    if get_origin(annotation) is Annotated:
        inner, *beside = get_args(annotation)
        return takes_no_text(inner, (*metadata, *beside))
    return any(takes_no_text(part) for part in get_args(annotation))


def test_every_fraction_that_is_declared_may_be_written_as_a_ratio_or_a_power_of_ten() -> None:
    modules = [
        importlib.import_module(module.name) for module in pkgutil.walk_packages(spec.__path__, f"{spec.__name__}.")
    ]
    declared = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    classes = {each for each in declared if issubclass(each, Declaration)}
    plain = [
        f"{each.__name__}.{name}"
        for each in classes
        for name, field in each.model_fields.items()
        if takes_no_text(field.annotation, tuple(field.metadata))
    ]
    assert len(classes) > 50
    assert plain == []


def test_rates_of_a_model_may_be_powers_of_ten(declarations: Declarations) -> None:
    optimizer = {"name": "sgd", "learning_rate": "1e-2", "momentum": "9e-1", "weight_decay": "5E-4"}
    declarations.paper["models"]["image-hrm"] |= {"optimizer": optimizer, "objective": {"name": "hrm", "guard": "1e-8"}}
    model = declarations.plan().declarations.model("image-hrm")
    assert model.optimizer.model_dump(exclude={"name", "nesterov"}) == {
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0005,
    }
    assert model.objective.guard == 1e-8


# -- config.yaml ---------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the config.yaml of this repository."""
    (tmp_path / "config.yaml").write_text((REPOSITORY / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_empty_models_of_config_yaml_do_not_silently_beat_those_above_them(project: Path) -> None:
    path = project / "config.yaml"
    path.write_text(path.read_text().replace("overrides:\n", "overrides:\n  models: {mnist-*: {epochs: 1}}\n"))
    with pytest.raises(UserError, match=r"^config.yaml, line \d+: .* the key 'models' is there twice, first in line"):
        read_config({})


def test_files_and_settings_of_the_command_line_lie_over_config_yaml(project: Path) -> None:
    for name, epochs in (("first", 3), ("second", 5)):
        (project / f"{name}.yaml").write_text(f"overrides: {{models: {{a: {{epochs: {epochs}, {name}: 1}}}}}}\n")
    files = [project / "first.yaml", project / "second.yaml"]
    changes = {"scale": "reduced", "overrides": {"seeds": "2", "models": {"a": {"rate": "0.5", "name": "x"}}}}
    config = read_config(changes, files)
    assert config["papers"] == ["hrm", "robust_optimization", "decision_surface", "idiosyncrasy", "hamming"]
    assert config["scale"] == "reduced"
    assert config["overrides"]["seeds"] == 2
    assert config["overrides"]["models"] == {"a": {"epochs": 5, "first": 1, "second": 1, "rate": 0.5, "name": "x"}}


def test_a_file_that_replaces_config_yaml_needs_none(project: Path) -> None:
    (project / "config.yaml").unlink()
    (project / "mine.yaml").write_text("scale: paper\n")
    assert read_config({}, [project / "mine.yaml"], replaced=True) == {"scale": "paper"}
    with pytest.raises(UserError, match=r"^config.yaml: there is no such file"):
        read_config({})


def test_a_file_of_the_command_line_is_read_as_strictly(project: Path) -> None:
    (project / "mine.yaml").write_text("scale: paper\nscale: quick\n")
    with pytest.raises(UserError, match=r"mine.yaml, line 2: .* the key 'scale' is there twice, first in line 1"):
        read_config({}, [project / "mine.yaml"])


@pytest.mark.usefixtures("project")
def test_what_config_yaml_comes_with_can_be_planned() -> None:
    assert Plan(read_config({}), REPOSITORY).scale_name == "quick"


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.getcwd []", "!!python/name:os.system ''", "!anything {}"])
def test_no_file_can_run_code(tmp_path: Path, tag: str) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(f"title: {tag}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"paper\.yaml, line 1: not valid YAML: could not determine a constructor"):
        read_yaml(path)


@pytest.mark.parametrize("number", ["010", "1:30"])
def test_a_number_on_the_command_line_that_reads_as_another_one_is_refused(number: str) -> None:
    # Snakemake leaves what stands inside a mapping as text.
    with pytest.raises(UserError, match=f"--config: '{number}' would be read in another base"):
        read_config({"overrides": {"models": {"mnist-*": {"epochs": number}}}})

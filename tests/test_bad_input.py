"""Mistakes in declarations: one message each that names the key or file, what was found and what is expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PUBLISHED, Declarations

from robustrepro.errors import UserError
from robustrepro.spec.config import read_yaml
from robustrepro.spec.plan import Plan

Change = Callable[[Declarations], object]


def put(value: object, *keys: str | int) -> Change:
    """Set a value of the small paper."""
    return lambda declared: _put(declared.paper, keys, value)


def configure(value: object, *keys: str) -> Change:
    """Set a value of config.yaml."""
    return lambda declared: _put(declared.config, keys, value)


def scale(value: object, *keys: str) -> Change:
    """Set a value of the scale."""
    return lambda declared: _put(declared.scales["quick"], keys, value)


def leave_out(*keys: str) -> Change:
    """Remove a key of the small paper."""

    def change(declared: Declarations) -> None:
        tree: Any = declared.paper
        for key in keys[:-1]:
            tree = tree[key]
        del tree[keys[-1]]

    return change


def _put(tree: Any, keys: tuple[str | int, ...], value: object) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {}) if isinstance(tree, dict) else tree[key]
    tree[keys[-1]] = value


def differently_in_a_second_paper(declared: Declarations) -> None:
    other = {**declared.paper["models"]["image-erm"], "epochs": 7}
    declared.papers["second"] = {**declared.paper, "models": {"image-erm": other}}


PGD = ("measures", "pgd", "attack")
CLAIM = ("claims", "hrm-is-better", "holds_if")
PAPER = "papers/small/paper.yaml"
# What was done wrong: (the change, what the message says).
MISTAKES: dict[str, tuple[Change, list[str]]] = {
    # config.yaml
    "unknown key": (configure(1, "paperz"), ["config.yaml: paperz: unknown key; did you mean 'papers'?", "scale"]),
    "unknown key below": (
        configure(1, "overrides", "seed"),
        ["config.yaml: overrides.seed: unknown key; did you mean 'seeds'?", "known: audit, measures, models, seeds"],
    ),
    "unknown paper": (configure(["smal"], "papers"), ["paper in config.yaml: 'smal'; did you mean 'small'?"]),
    "no paper": (configure([], "papers"), ["config.yaml: papers", "found []", "at least 1 item"]),
    "unknown scale": (configure("quik", "scale"), ["scale in config.yaml: 'quik'; did you mean 'quick'?", "paper"]),
    "scale of a wrong type": (configure(3, "scale"), ["config.yaml: scale: found 3", "valid string"]),
    "unknown model pattern": (
        configure({"image-emr": {}}, "overrides", "models"),
        ["model in config.yaml: overrides: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "unknown measure pattern": (
        configure({"pdg": {}}, "overrides", "measures"),
        ["measure in config.yaml: overrides: 'pdg'; did you mean 'pgd'?"],
    ),
    "unknown key of a model": (
        configure({"image-erm": {"epoch": 3}}, "overrides", "models"),
        ["models.image-erm: epoch: unknown key; did you mean 'epochs'?"],
    ),
    "no seeds": (
        configure(0, "overrides", "seeds"),
        ["config.yaml: overrides.seeds: found 0", "greater than or equal"],
    ),
    "unknown unverified data set": (
        configure(["mnits"], "data", "allow_unverified"),
        ["data set in config.yaml: data.allow_unverified: 'mnits'; did you mean 'mnist'?"],
    ),
    # workflow/scales/quick.yaml
    "unknown key of a scale": (
        scale({}, "dataset"),
        ["workflow/scales/quick.yaml: dataset: unknown key; did you mean 'datasets'?"],
    ),
    "unknown pattern of a scale": (
        scale({}, "models", "imge-*"),
        ["model in workflow/scales/quick.yaml: 'imge-*'"],
    ),
    "unknown stand-in": (
        scale("digit", "datasets", "mnist"),
        ["data set in workflow/scales/quick.yaml: 'digit'; did you mean 'digits'?"],
    ),
    "a scale is no mapping": (
        lambda declared: declared.scales.update(quick="- a\n- b\n"),
        ["workflow/scales/quick.yaml", "expected a mapping of keys to values, found list"],
    ),
    # paper.yaml
    "syntax error": (
        lambda declared: declared.papers.update(small="title: [unclosed\nmodels: {"),
        [PAPER, "not valid YAML", "line"],
    ),
    "missing key": (leave_out("title"), [f"{PAPER}: title: this key is missing"]),
    "no models": (leave_out("models"), [f"{PAPER}: models: expected a mapping of names to declarations"]),
    "model of a wrong type": (
        put(3, "models", "image-erm"),
        [f"{PAPER}: models.image-erm: expected a mapping, found 3"],
    ),
    "unknown architecture": (
        put("lenet", "models", "image-erm", "architecture", "name"),
        ["models.image-erm: architecture.name: unknown name 'lenet'; did you mean 'lenet5'?", "lenet5, mlp"],
    ),
    "unknown objective": (
        put("hrn", "models", "image-hrm", "objective", "name"),
        ["models.image-hrm: objective.name: unknown name 'hrn'; did you mean 'hrm'?", "cem, erm, hrm"],
    ),
    "objective as text": (
        put("hrm", "models", "image-hrm", "objective"),
        ["models.image-hrm: objective: found 'hrm'", "dictionary"],
    ),
    "objective without a name": (
        leave_out("models", "image-hrm", "objective", "name"),
        ["models.image-hrm: objective: expected a mapping with a key 'name', found {'guard': 1e-08}"],
    ),
    "option of another objective": (
        put(0.1, "models", "image-erm", "objective", "guard"),
        ["models.image-erm: objective.guard: unknown key"],
    ),
    "unknown optimizer": (
        put("sgd", "models", "image-erm", "optimizer", "name"),
        ["models.image-erm: optimizer.name: found 'sgd'", "adam"],
    ),
    "unknown data set": (
        put("mnits", "models", "image-erm", "dataset"),
        ["data set of model image-erm: 'mnits'; did you mean 'mnist'?"],
    ),
    "no epochs": (put(0, "models", "points-erm", "epochs"), ["models.points-erm: epochs: found 0"]),
    "epochs as text": (
        put("4", "models", "points-erm", "epochs"),
        ["models.points-erm: epochs: found '4'", "valid integer"],
    ),
    "a learning rate as text": (
        put("1e-3", "models", "points-erm", "optimizer", "learning_rate"),
        ["models.points-erm: optimizer.learning_rate: found '1e-3'", "valid number"],
    ),
    "learning rate of zero": (
        put(0.0, "models", "points-erm", "optimizer", "learning_rate"),
        ["models.points-erm: optimizer.learning_rate: found 0.0", "greater than 0"],
    ),
    "guard of infinity": (
        put(float("inf"), "models", "image-hrm", "objective", "guard"),
        ["models.image-hrm: objective.guard: found inf", "finite"],
    ),
    "batches of one": (put(1, "models", "image-erm", "batch_size"), ["models.image-erm: batch_size: found 1"]),
    "no seeds of a model": (put(0, "models", "image-erm", "seeds"), ["models.image-erm: seeds: found 0"]),
    "declared twice": (
        differently_in_a_second_paper,
        ["models.image-erm: declared differently in papers/", "names are global"],
    ),
    "unknown attack": (
        put("pdg", *PGD, "name"),
        ["measures.pgd: attack.name: unknown name 'pdg'; did you mean 'pgd'?", "fgsm, noise, pgd"],
    ),
    "negative epsilon": (put(-0.1, *PGD, "epsilon"), ["measures.pgd: attack.epsilon: found -0.1", "greater than or"]),
    "unknown option of an attack": (
        put(3, *PGD, "step"),
        ["measures.pgd: attack.step: unknown key; did you mean 'steps'?"],
    ),
    "unknown norm": (put("l3", *PGD, "norm"), ["measures.pgd: attack.norm: found 'l3'", "'linf' or 'l2'"]),
    "restarts that are all the same": (
        put({"name": "pgd", "epsilon": 0.3, "steps": 5, "step_size": 0.1, "restarts": 3, "random_start": False}, *PGD),
        ["measures.pgd: attack", "restarts is 3, but without random_start they would all be the same"],
    ),
    "unknown split": (put("valid", "measures", "clean", "split"), ["measures.clean: split: found 'valid'"]),
    "unknown model of a row": (
        put("image-hmr", "tables", "accuracy", "rows", "hrm", "model"),
        [f"model in {PAPER}: tables.accuracy.rows.hrm: 'image-hmr'; did you mean 'image-hrm'?"],
    ),
    "unknown measure of a column": (
        put("pgd40", "tables", "accuracy", "columns", "pgd", "measure"),
        [f"measure in {PAPER}: tables.accuracy.columns.pgd: 'pgd40'; did you mean 'pgd'?"],
    ),
    "a row without a model": (
        put({"label": "ERM"}, "tables", "accuracy", "rows", "erm"),
        [f"{PAPER}: tables.accuracy.rows.erm: expected either 'model' or 'models'"],
    ),
    "a column of both kinds": (
        put(["a", "b"], "tables", "accuracy", "columns", "pgd", "distance"),
        [f"{PAPER}: tables.accuracy.columns.pgd: expected either 'measure', 'distance' or 'transfer'"],
    ),
    "an attack on two models": (
        put({"label": "PGD", "measure": "pgd"}, "tables", "distances", "columns", "pgd"),
        [f"{PAPER}: tables.distances.rows.8: column pgd measures one model; expected 'model'"],
    ),
    "distance of an unknown model": (
        put(["erm", "cem"], "tables", "distances", "columns", "erm-hrm", "distance"),
        [f"model of row 8 in {PAPER}: tables.distances.columns.erm-hrm: 'cem'", "known: erm, hrm"],
    ),
    "a name that is no part of a path": (
        put({"label": "a", "model": "image-erm"}, "tables", "accuracy", "rows", "../a"),
        [PAPER, "tables.accuracy.rows", "../a"],
    ),
    "unknown model of a panel": (
        put("points-emr", "figures", "regions", "figure", "panels", 0, "model"),
        [f"model in {PAPER}: figures.regions: 'points-emr'; did you mean 'points-erm'?"],
    ),
    "unknown figure": (
        put("boundaries", "figures", "regions", "figure", "name"),
        [f"{PAPER}: figures.regions.figure.name: unknown name 'boundaries'", "did you mean 'decision_boundaries'"],
    ),
    "claim about an unknown table": (
        put(["acuracy[hrm, pgd] >= 1"], *CLAIM),
        [f"table in {PAPER}: claims.hrm-is-better: 'acuracy'; did you mean 'accuracy'?"],
    ),
    "claim about an unknown row": (
        put(["accuracy[hmr, pgd] >= 1"], *CLAIM),
        [f"row of accuracy in {PAPER}: claims.hrm-is-better: 'hmr'; did you mean 'hrm'?"],
    ),
    "claim about an unknown column": (
        put(["accuracy[hrm, pdg] >= 1"], *CLAIM),
        [f"column of accuracy in {PAPER}: claims.hrm-is-better: 'pdg'; did you mean 'pgd'?"],
    ),
    "claim that cannot be read": (
        put(["accuracy[hrm, pgd] > 1"], *CLAIM),
        [f"{PAPER}: claims.hrm-is-better", "condition 'accuracy[hrm, pgd] > 1': cannot read '> 1'"],
    ),
    "claim without a condition": (put([], *CLAIM), [f"{PAPER}: claims.hrm-is-better.holds_if: found []"]),
    # published/
    "missing printed numbers": (
        lambda declared: declared.published.clear(),
        ["papers/small/published/accuracy.csv: there is no such file, though a table names it under 'published'"],
    ),
    "printed numbers of another table": (
        lambda declared: declared.published.update({"accuracy.csv": PUBLISHED.replace("Clean", "Test")}),
        ["papers/small/published/accuracy.csv: column names ['Test', 'PGD'] differ from the declared labels"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_message_that_names_the_key_or_file(declarations: Declarations, mistake: str) -> None:
    change, said = MISTAKES[mistake]
    declarations.plan()  # without the mistake there is none
    change(declarations)
    with pytest.raises(UserError) as caught:
        declarations.plan()
    message = str(caught.value)
    assert [part for part in said if part not in message] == [], message
    assert len(message.splitlines()) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file") as caught:
        read_yaml(tmp_path / "paper.yaml")
    assert str(tmp_path / "paper.yaml") in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda plan: plan.model("image-emr"),
        lambda plan: plan.attack_spec("image-emr", "pgd"),
        lambda plan: plan.attack_spec("image-erm", "pdg"),
        lambda plan: plan.table_spec("small", "acuracy"),
        lambda plan: plan.figure_spec("small", "region"),
        lambda plan: plan.data_spec("digit"),
    ],
)
def test_a_target_on_the_command_line_that_nobody_declared_names_the_nearest(
    declarations: Declarations, ask: Callable[[Plan], object]
) -> None:
    plan = declarations.plan()
    with pytest.raises(UserError, match="did you mean"):
        ask(plan)

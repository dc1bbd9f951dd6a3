"""Mistakes in declarations: one message each that names the key or file, what was found and what is expected."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Declarations
from mistakes import AROUND_A_PAPER, Change, both, configure
from mistakes_of_papers import GIVEN, IN_A_PAPER, dataset, derived, shown, transfer
from mistakes_of_tables import IN_TABLES, transfer_from, value
from planned_jobs import jobs_of

from robustrepro.errors import UserError
from robustrepro.spec.config import require_said_once
from robustrepro.spec.plan import Plan
from robustrepro.spec.strict_yaml import read_yaml

MISTAKES = AROUND_A_PAPER | IN_A_PAPER | IN_TABLES


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_message_that_names_the_key_or_file(declarations: Declarations, mistake: str) -> None:
    change, parts = MISTAKES[mistake]
    change(declarations)
    with pytest.raises(UserError) as caught:
        declarations.plan()
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert len(message.splitlines()) == 1


WITHOUT_A_MISTAKE: dict[str, Change] = {
    "nothing": lambda _: None,
    "transfer": both(transfer, transfer_from),
    "transfer with one seed": both(both(transfer, transfer_from), configure(1, "overrides", "seeds")),
    "expressions over expressions": value("this[twice] / 2", twice="this[pgd] * 2"),
    "derived and given models": both(derived(), shown({"attack": {"name": "clean"}}, "given")),
    "a generated data set": both(dataset("generated"), shown({"attack": {"name": "clean"}, "data": "other"})),
    "examples held out": both(dataset("held_out"), shown({"attack": {"name": "clean"}, "data": "other"})),
    "as many parts as examples were held out": both(
        dataset("held_out", **{"from": "digits", "examples": 5}),
        shown({"attack": {"name": "clean"}, "data": "other", "shards": 5}),
    ),
    "half of the training examples held out": dataset("held_out", examples=30_000),
    "a part of a data set": both(dataset("sampled"), shown({"attack": {"name": "clean"}, "data": "other"})),
    "as many shards as examples were drawn": both(
        dataset("sampled", **{"from": "digits", "train": 9, "test": 5}),
        shown({"attack": {"name": "clean"}, "data": "other", "shards": 5}),
    ),
    "all examples of a data set": dataset("sampled", train=60_000, test=10_000),
    "adversarial examples": both(dataset("adversarial"), shown({"attack": {"name": "clean"}, "data": "other"})),
}


@pytest.mark.parametrize("which", WITHOUT_A_MISTAKE)
def test_without_the_mistake_there_is_none(declarations: Declarations, which: str) -> None:
    WITHOUT_A_MISTAKE[which](declarations)
    assert jobs_of(declarations.plan())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"\xff\xfe", "not valid YAML"),
        (b"- a\n", "expected a mapping of keys to values, found list"),
        (b"", "expected a mapping of keys to values, found NoneType"),
        (b"[" * 5000, "not valid YAML"),
    ],
    ids=["missing", "not UTF-8", "list", "empty", "deep"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "paper.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda plan: plan.job("train", model="image-emr", seed=0),
        lambda plan: plan.job("measure", measure="pgd", subject="image-emr", seed=0),
        lambda plan: plan.job("measure", measure="pdg", subject="image-erm", seed=0),
        lambda plan: plan.job("table", paper="small", table="acuracy"),
        lambda plan: plan.job("figure", paper="small", figure="region"),
        lambda plan: plan.job("data", dataset="digit"),
    ],
)
def test_a_target_on_the_command_line_that_nobody_declared_names_the_nearest(
    declarations: Declarations, ask: Callable[[Plan], object]
) -> None:
    plan = declarations.plan()
    with pytest.raises(UserError, match="did you mean"):
        ask(plan)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "scale=quick", "papers=hrm", "scale=reduced"], r"^--config: 'scale' is there 2 times, and only"),
        (["-C", "scale=quick", "-n", "--config", "papers=hrm"], r"^--config is there 2 times, and only"),
        (["-Cscale=quick", "--config=papers=hrm"], r"^--config is there 2 times"),
        (
            ["--configfile", "a.yaml", "-n", "--configfiles=b.yaml"],
            r"^--configfile is there 2 times, and only the last",
        ),
        (["--config", "models={a: {epochs: 1}, a: {epochs: 2}}"], r"^--config models, line 1: .*'a' is there twice"),
    ],
    ids=str,
)
def test_what_snakemake_would_pass_over_on_the_command_line_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        require_said_once(["snakemake", *arguments])


def test_a_command_line_that_says_everything_once_is_none_of_them() -> None:
    require_said_once(
        ["snakemake", "--config", "scale=quick", "models={a: {epochs: 1}}", "-n", "scale=quick", "--cores"]
    )
    require_said_once(["snakemake", "-j2", "--configfile", "a.yaml", "b.yaml", "--config", "seeds="])


# -- anything at all ---------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        3,
        1.5,
        10**30,
        float("inf"),
        float("nan"),
        {},
        [],
        [[]],
        [None],
        ["a"],
        {"a": 1},
        {"x": None},
    ),
    *("", "x", "8/0", "8/255", "é" * 300, "a\nb", "[", "..", "*", "this", "audit-x", "transfer", "accuracy", "clean"),
    *("image-hrm", "points-erm", "cut", "given", "pgd", "distance", "mnist", "cifar10", "other", "fooling"),
    *({1: 2}, {None: 1}, {"name": "pgd"}, [{"name": "pgd"}], ["image-erm"]),
]
NAMES: list[Any] = [
    "x",
    "",
    "name",
    "from",
    "kind",
    "a b",
    "this",
    "a_b",
    "audit-z",
    "digits",
    "image-erm",
    "pgd",
    3,
    None,
]


def everything(declared: Declarations) -> None:
    """Let the small paper have one of every kind of declaration."""
    for change in (transfer, transfer_from, derived(), dataset("generated")):
        change(declared)
    paper = declared.paper
    paper["datasets"]["fooling"] = {
        "adversarial": {"model": "image-erm", "attacks": [{"name": "fgsm", "epsilon": 0.1}]}
    }
    paper["datasets"]["validation"] = {"held_out": {"from": "mnist", "examples": 5000}}
    paper["datasets"]["part"] = {"sampled": {"from": "validation", "train": 900, "test": 90}}
    network = {"architecture": "lenet5", "preprocessing": [{"name": "standardise", "mean": 0.1, "std": 0.3}]}
    paper["models"]["given"] = {"given": {**GIVEN}, "dataset": "mnist", "network": network}
    rate = {"name": "ramp", "initial": 0.1, "final": 0.0, "epochs": 4}
    paper["models"]["points-erm"]["optimizer"] = {"name": "sgd", "learning_rate": rate}
    kernel = {"name": "rbf", "gamma": 1.0}
    paper["models"]["image-hrm"]["objective"] = {"name": "v_matrix", "hollow": True, "kernel": kernel}
    steps = {"name": "pgd", "steps": 5, "relative_step": 0.5}
    paper["measures"] |= {
        "curve": {"curve": {"epsilons": ["8/255", 0.1], "attack": steps}},
        "losses": {"losses": {"split": "train"}, "data": "validation"},
        "fool": {"attack": {"name": "clean"}, "data": "fooling"},
        "noise": {"attack": {"name": "clean"}, "data": "other", "shards": 2, "examples": 9},
        "part": {"attack": {"name": "clean"}, "data": "part"},
        "path": {"training_path": {"every": 2}},
    }
    models = {"erm": "image-erm", "cut": "cut", "given": "given"}
    paper["tables"]["more"] = {
        "where": "Table 5",
        "caption": "More",
        "published": "more.csv",
        "rows": {key: {"label": key, "model": model} for key, model in models.items()}
        | {"theirs": {"label": "theirs", "published_only": True}},
        "columns": {
            "fool": {"label": "F", "measure": "fool"},
            "noise": {"label": "N", "group": "G", "measure": "noise"},
            "part": {"label": "P", "group": "G", "measure": "part"},
            "worst": {"label": "W", "measure": ["pgd", "fgsm"]},
            "loss": {"label": "L", "measure": "losses", "statistic": {"mean": "loss"}, "unit": "nats", "decimals": 3},
            "ratio": {"label": "R", "value": "this[loss] / erm[loss]"},
        },
    }
    declared.published["more.csv"] = (
        ",F,G: N,G: P,W,L,R\nerm,1,2,6,3,4,5\ncut,,-,6,3,1,5\ngiven,1,2,6,3,4,5\ntheirs,1,2,6,3,4,5\n"
    )
    lines = {"model": "image-erm", "measure": "curve", "label": "ERM", "seed": 1, "rows": {"epsilon": 0.1}}
    for key, figure in {
        "lines": {"name": "lines", "x": {"column": "epsilon", "label": "ε"}, "series": [lines | {"columns": {"n": 1}}]},
        "paths": {"name": "training_paths", "measure": "path", "panels": [{"label": "ERM", "model": "points-erm"}]},
        "heat": {"name": "heat_map", "table": "transfer"},
    }.items():
        paper["figures"][key] = {"where": "Figure 2", "caption": "A figure", "figure": figure}
    paper["claims"]["more"] = {
        **paper["claims"]["hrm-is-better"],
        "holds_if": ["more[erm, loss] >= more[cut, loss] + 1", "distances[8, erm-hrm] <= 1"],
    }
    declared.config |= {"leave_out": [], "data": {"mirror": None, "allow_unverified": ["mnist"]}}
    declared.config["overrides"] = {"models": {"points-*": {"epochs": 2}}, "measures": {"pgd": {"examples": 5}}}


def places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield every place in nested mappings and lists, as the keys that lead there."""
    yield place
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, below in inside:
        yield from places(below, (*place, key))


def at(tree: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        tree = tree[key]
    return tree


def mutate(tree: Any, choice: random.Random) -> str:
    """Change one thing somewhere in nested mappings and lists; return what, for messages."""
    all_places = list(places(tree))
    place = choice.choice(all_places[1:])
    parent, key = at(tree, place[:-1]), place[-1]
    how = choice.choice(["drop", "replace", "replace", "replace", "add", "rename", "repeat", "copy"])
    if how == "drop":
        del parent[key]
    elif how == "add" and isinstance(parent[key], dict):
        parent[key][choice.choice(NAMES)] = copy.deepcopy(choice.choice(VALUES))
    elif how == "rename" and isinstance(parent, dict):
        parent[choice.choice(NAMES)] = parent.pop(key)
    elif how == "repeat" and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    elif how == "copy":
        parent[key] = copy.deepcopy(at(tree, choice.choice(all_places)))
    else:
        parent[key] = copy.deepcopy(choice.choice(VALUES))
    return f"{how} at {place}"


def refusal(declared: Declarations, what: str) -> str:
    """Return the message with which the declarations are refused; none where all jobs can be planned."""
    try:
        jobs_of(declared.plan())
    except UserError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(what) from error
    return ""


@pytest.mark.parametrize("seed", range(4))
def test_anything_declared_can_be_planned_or_is_refused_in_one_line(declarations: Declarations, seed: int) -> None:
    everything(declarations)
    assert len(jobs_of(declarations.plan())) > 80
    as_declared = copy.deepcopy(declarations)
    for number in range(20):
        choice = random.Random(1000 * seed + number)
        changed = copy.deepcopy(as_declared)
        parts = {"paper": changed.paper, "config": changed.config, "audit": changed.audit} | {
            "scale": changed.scales["quick"]
        }
        (part,) = choice.choices(list(parts), weights=[8, 1, 1, 1])
        what = f"{part}: {mutate(parts[part], choice)}"
        message = refusal(changed, what)
        assert len(message.splitlines()) <= 1, (what, message)

"""What can be done wrong around a paper (config, scale, audit), each with what its message says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conftest import Declarations

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


def audit(value: object, *keys: str) -> Change:
    """Set a value of workflow/audit.yaml."""
    return lambda declared: _put(declared.audit, keys, value)


def without(*keys: str) -> Change:
    """Remove a key of the small paper."""

    def change(declared: Declarations) -> None:
        tree: Any = declared.paper
        for key in keys[:-1]:
            tree = tree[key]
        del tree[keys[-1]]

    return change


def both(first: Change, second: Change) -> Change:
    """Make two changes that only together are a mistake."""

    def change(declared: Declarations) -> None:
        first(declared)
        second(declared)

    return change


def claim_on_points(declared: Declarations) -> None:
    """Let the claim be about the robustness of the two models of points."""
    table = declared.paper["tables"]["accuracy"]
    del table["published"]
    for row in table["rows"].values():
        row["model"] = row["model"].replace("image", "points")


def claim_on_given_weights(declared: Declarations) -> None:
    """Let the claim be about two models of points, of which the weights of one are given."""
    claim_on_points(declared)
    models = declared.paper["models"]
    given = {"file": "erm.safetensors", "sha256": "0" * 64}
    models["points-erm"] = {"given": given, "dataset": "two_moons", "network": models["points-erm"]["network"]}


def second_paper(name: str, table: str = "") -> Change:
    """Ask for a paper of this name, too, with no table or the one of distances."""

    def change(declared: Declarations) -> None:
        tables = {table: declared.paper["tables"]["distances"]} if table else {}
        declared.papers[name] = {**declared.paper, "tables": tables, "figures": {}, "claims": {}}
        declared.config["papers"] = ["small", name]

    return change


def _put(tree: Any, keys: tuple[str | int, ...], value: object) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {}) if isinstance(tree, dict) else tree[key]
    tree[keys[-1]] = value


# What was done wrong: (the change, what the message says).
AROUND_A_PAPER: dict[str, tuple[Change, list[str]]] = {
    # config.yaml
    "unknown key": (configure(1, "paperz"), ["config.yaml: paperz: unknown key; did you mean 'papers'?", "scale"]),
    "unknown key below": (
        configure(1, "overrides", "seed"),
        [
            "config.yaml: overrides.seed: unknown key; did you mean 'seeds'?",
            "audit, measures, models, readings, seeds",
        ],
    ),
    "unknown paper": (configure(["smal"], "papers"), ["paper in config.yaml: 'smal'; did you mean 'small'?"]),
    **{
        f"a paper with the name {name}": (
            second_paper(name),
            [f"papers/{name}: the target '{name}' would be a rule of the workflow; rename the folder"],
        )
        for name in ("train", "audit", "all", "Report", "data_of_scale")
    },
    "a paper with the name of a page": (
        second_paper("index"),
        ["papers/index: the report has a page 'index' of its own; rename the folder"],
    ),
    "a paper with the name of a table": (
        second_paper("small_accuracy"),
        ["papers/small/paper.yaml: a paper and a table or figure would be the target 'small_accuracy'; rename one"],
    ),
    "a table with the name of a rule": (
        second_paper("data_of", "scale"),
        ["papers/data_of/paper.yaml: the target 'data_of_scale' would be a rule of the workflow"],
    ),
    "papers that differ in case": (
        second_paper("Small"),
        ["papers/", "differs from it in the case of letters alone, and would be the same file on some systems"],
    ),
    "a scale whose name is no part of a path": (
        both(
            lambda declared: declared.scales.update({"my scale": declared.scales["quick"]}),
            configure("my scale", "scale"),
        ),
        ["workflow/scales/my scale: the scale's name cannot be part of a path; expected at most 100 letters"],
    ),
    "a scale called like the folder of all scales' metrics": (
        both(
            lambda declared: declared.scales.update({"metrics": declared.scales["quick"]}),
            configure("metrics", "scale"),
        ),
        ["workflow/scales/metrics.yaml: results/metrics is for the metrics of all scales; rename it"],
    ),
    "scales that differ in case": (
        lambda declared: declared.scales.update({"Quick": declared.scales["quick"]}),
        ["workflow/scales/quick: 'Quick' differs from it in the case of letters alone"],
    ),
    "what a scale changes, twice": (
        lambda declared: declared.scales.update(quick="description: a\nseeds: 1\nmodels: {x: {}}\nmodels: {}\n"),
        ["workflow/scales/quick.yaml, line 4: not valid YAML: the key 'models' is there twice, first in line 3"],
    ),
    "a paper whose name is no part of a target": (
        both(lambda declared: declared.papers.update({"a b": declared.paper}), configure(["a b"], "papers")),
        ["papers/a b: the folder's name cannot be part of a target; expected at most 100 letters"],
    ),
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
    "unknown model to leave out": (
        configure(["points-erm", "image-emr"], "leave_out"),
        ["model in config.yaml: leave_out: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "pattern to leave out that fits nothing": (
        configure("imge-*", "leave_out"),
        ["model in config.yaml: leave_out: 'imge-*'", "known: image-erm"],
    ),
    # workflow/audit.yaml, and what is laid over it
    "audit without FGSM": (
        audit({"pgd": {"name": "pgd", "steps": 5}}, "attacks"),
        ["workflow/audit.yaml: attacks.fgsm: expected an attack of this name, which the alarms compare"],
    ),
    "audit without FGSM and PGD": (
        audit({"margin": {"name": "fgsm", "loss": "margin"}}, "attacks"),
        ["workflow/audit.yaml: attacks.fgsm: expected an attack of this name, which the alarms compare"],
    ),
    "unknown attack of the audit": (
        audit("pdg", "attacks", "pgd-margin", "name"),
        ["workflow/audit.yaml: ", "attack in attacks.pgd-margin: 'pdg'; did you mean 'pgd'?"],
    ),
    "unknown attack for when an alarm goes off": (
        audit("pdg", "escalation", "pgd-margin-2", "name"),
        ["workflow/audit.yaml: ", "attack in escalation.pgd-margin-2: 'pdg'; did you mean 'pgd'?"],
    ),
    "an attack without a bound for when an alarm goes off": (
        audit({"name": "deepfool"}, "escalation", "pgd-margin-2"),
        ["workflow/audit.yaml: ", "attack in escalation.pgd-margin-2: 'deepfool'", "known: autoattack, "],
    ),
    "an audit with the training objective": (
        audit("training", "attacks", "pgd-margin", "loss"),
        ["workflow/audit.yaml: attacks.pgd-margin: expected a loss that every model has, found 'training'"],
    ),
    "another attack under the name of PGD": (
        audit({"name": "fgsm"}, "attacks", "pgd"),
        ["workflow/audit.yaml: attacks.pgd: expected an attack of this name"],
    ),
    "unknown option of an attack of the audit": (
        audit(3, "attacks", "pgd-margin", "step"),
        ["workflow/audit.yaml: attacks.pgd-margin: step: unknown key; did you mean 'steps'?"],
    ),
    "shares that do not increase": (
        audit([0.5, 0.25], "smaller", "shares"),
        ["workflow/audit.yaml: smaller.shares: expected increasing shares, found [0.5, 0.25]"],
    ),
    "the audit's transfer makes no examples": (
        audit({"name": "clean"}, "transfer"),
        ["workflow/audit.yaml: ", "attack in transfer: 'clean'", "known: autoattack, "],
    ),
    "the audit's transfer is by what cannot attack the models": (
        both(claim_on_points, audit({"name": "autoattack"}, "transfer")),
        [
            "workflow/audit.yaml: transfer: autoattack needs images; found shape (2,)",
            "it is to attack points-erm, on whose data papers/small/paper.yaml claims robustness",
        ],
    ),
    "the audit's transfer ascends an objective that nobody knows": (
        both(claim_on_given_weights, audit("training", "transfer", "loss")),
        [
            "workflow/audit.yaml: transfer.loss: expected a loss that every model has, found 'training'",
            "the weights of points-erm are given",
        ],
    ),
    "training objective at smaller epsilons": (
        audit("training", "smaller", "attack", "loss"),
        ["workflow/audit.yaml: smaller.attack: expected a loss that every model has, found 'training'"],
    ),
    "share of the whole ball": (
        audit([0.5, 1.0], "smaller", "shares"),
        ["workflow/audit.yaml: smaller.shares[1]: found 1.0", "less than 1"],
    ),
    "share of nothing": (
        audit([0.0], "smaller", "shares"),
        ["workflow/audit.yaml: smaller.shares[0]: found 0.0", "greater than 0"],
    ),
    "no noises": (audit(0, "noises"), ["workflow/audit.yaml: noises: found 0", "greater than or equal to 1"]),
    "unknown key of a scale's audit": (
        scale(60, "audit", "example"),
        ["workflow/scales/quick.yaml: audit: example: unknown key; did you mean 'examples'?"],
    ),
    "unknown paper of a scale's audit": (
        scale({"smal": {"examples": 3}}, "audit", "papers"),
        ["workflow/scales/quick.yaml: audit.papers", "'smal'", "did you mean 'small'?"],
    ),
    "audit of a paper that is no mapping": (
        scale({"small": 3}, "audit", "papers"),
        ["workflow/scales/quick.yaml: audit.papers.small: expected a mapping, found 3"],
    ),
    "no examples in the user's audit": (
        configure(0, "overrides", "audit", "examples"),
        ["config.yaml: overrides.audit: examples: found 0", "greater than or equal to 1"],
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
}

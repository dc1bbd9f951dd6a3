"""What can be done wrong in a paper's own declaration, each with what its message says."""

from __future__ import annotations

from conftest import PUBLISHED, Declarations
from mistakes import Change, both, put, without


def differently_in_a_second_paper(declared: Declarations) -> None:
    other = {**declared.paper["models"]["image-erm"], "epochs": 7}
    declared.papers["second"] = {**declared.paper, "models": {"image-erm": other}}


def transfer(**changed: object) -> Change:
    """Let the table of distances be one of transfer from both networks to image-erm, with some keys changed."""

    def change(declared: Declarations) -> None:
        column = {"label": "Transfer", "transfer": {"target": "image-erm", "measure": "pgd", **changed}}
        declared.paper["tables"]["distances"] = {**declared.paper["tables"]["accuracy"], "columns": {"erm": column}}
        del declared.paper["tables"]["distances"]["published"]

    return change


def attack_by_transfer(source: str, **changed: object) -> Change:
    """Let the measure pgd attack with a model's examples, made by its own attack with some keys changed."""

    def change(declared: Declarations) -> None:
        measure = declared.paper["measures"]["pgd"]
        measure["attack"] = {"name": "transfer", "source": source, "attack": {**measure["attack"], **changed}}

    return change


PGD = ("measures", "pgd", "attack")
BATCHES = [{"batch_size": size, "losses": "image-hrm", "accuracy": {"HRM": "image-hrm"}} for size in (8, 16)]
CLAIM = ("claims", "hrm-is-better", "holds_if")
PAPER = "papers/small/paper.yaml"
# What was done wrong: (the change, what the message says).
IN_A_PAPER: dict[str, tuple[Change, list[str]]] = {
    "syntax error": (
        lambda declared: declared.papers.update(small="title: [unclosed\nmodels: {"),
        [PAPER, "not valid YAML", "line"],
    ),
    "missing key": (without("title"), [f"{PAPER}: title: this key is missing"]),
    "no models": (without("models"), [f"{PAPER}: models: expected a mapping of names to declarations"]),
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
        without("models", "image-hrm", "objective", "name"),
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
    "a table where the report has the departures": (
        lambda project: project.paper["tables"].update(departures=project.paper["tables"]["accuracy"]),
        [f"{PAPER}: ", "'departures' names two places of the report"],
    ),
    "a figure with the key of a table": (
        lambda project: project.paper["figures"].update(accuracy=project.paper["figures"]["regions"]),
        [f"{PAPER}: ", "'accuracy' names two places of the report"],
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
    "heat map of an unknown table": (
        put({"name": "heat_map", "table": "acuracy"}, "figures", "regions", "figure"),
        [f"table in {PAPER}: figures.regions: 'acuracy'; did you mean 'accuracy'?"],
    ),
    "figure of an unknown measure": (
        put({"name": "diagonal_dominance", "measure": "pdg", "batches": BATCHES}, "figures", "regions", "figure"),
        [f"measure in {PAPER}: figures.regions: 'pdg'; did you mean 'pgd'?"],
    ),
    "transfer to an unknown model": (
        transfer(target="image-emr"),
        [f"model in {PAPER}: tables.distances.columns.erm: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "transfer by an unknown measure": (
        transfer(measure="pdg"),
        [f"measure in {PAPER}: tables.distances.columns.erm: 'pdg'; did you mean 'pgd'?"],
    ),
    "transfer of clean images": (
        transfer(measure="clean"),
        [
            f"{PAPER}: tables.distances.columns.erm",
            "an attack that makes them (autoattack, bim, fgsm, noise, pgd)",
            "clean is not",
        ],
    ),
    "transfer to the only seed": (
        both(transfer(), put(1, "models", "image-erm", "seeds")),
        [f"{PAPER}: tables.distances.columns.erm: image-erm has one seed", "needs two or more", "seeds"],
    ),
    "white box of another model's only seed": (
        both(transfer(white_box=True), put(1, "models", "image-erm", "seeds")),
        [f"{PAPER}: tables.distances.columns.erm: image-erm has one seed", "needs two or more"],
    ),
    "transfer from several models": (
        put(
            {"label": "T", "transfer": {"target": "points-erm", "measure": "pgd"}},
            "tables",
            "distances",
            "columns",
            "t",
        ),
        [f"{PAPER}: tables.distances.rows.8: column t attacks with one model; expected 'model'"],
    ),
    "attack by transfer from an unknown model": (
        attack_by_transfer("image-emr"),
        ["source in measures.pgd: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "attack by transfer on other data": (
        attack_by_transfer("points-erm"),
        [f"{PAPER}: tables.accuracy.columns.pgd", "points-erm is of two_moons, image-erm of digits"],
    ),
    "attack by transfer from the only seed": (
        both(attack_by_transfer("image-erm"), put(1, "models", "image-erm", "seeds")),
        [f"{PAPER}: tables.accuracy.columns.pgd: image-erm has one seed", "independently trained source"],
    ),
    "attack by transfer with restarts that are all the same": (
        attack_by_transfer("image-erm", restarts=2, random_start=False),
        ["measures.pgd: attack", "restarts is 2, but without random_start they would all be the same"],
    ),
    "attack by transfer with clean images": (
        attack_by_transfer("image-erm", name="clean"),
        ["measures.pgd: ", "'clean'"],
    ),
    "figure of an attack by transfer": (
        both(
            attack_by_transfer("image-erm"),
            put({"name": "diagonal_dominance", "measure": "pgd", "batches": BATCHES}, "figures", "regions", "figure"),
        ),
        [f"{PAPER}: figures.regions: pgd attacks by transfer"],
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

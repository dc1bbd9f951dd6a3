"""What can be done wrong where a paper declares models, measures and data sets, each with what its message says."""

from __future__ import annotations

from typing import Any

from conftest import Declarations
from mistakes import Change, both, configure, put, scale, without

ERM, HRM = "image-erm", "image-hrm"
PGD = ("measures", "pgd", "attack")
TRANSFER = ("measures", "transfer-pgd")
PAPER = "papers/small/paper.yaml"
CHANGE = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 10}
CUT = {"from": ERM, "change": CHANGE}
RARE = {**CHANGE, "name": "remove_rarely_active"}
EARLY = {"from": ERM, "change": {"name": "checkpoint", "epoch": 1}}
OVER_EPOCHS: dict[str, Any] = {"over_epochs": {"attack": {"name": "fgsm", "epsilon": "8/255"}}}
GIVEN = {"file": "erm.safetensors", "sha256": "0" * 64}
NOISE = {"name": "gaussian_noise", "standard_deviation": 0.1}
STANDARDISED = {"name": "preprocessing", "steps": [{"name": "standardise", "mean": 0.1, "std": 0.3}]}
AUTOATTACK = {"name": "autoattack", "epsilon": "8/255"}
FGSM = {"name": "fgsm", "epsilon": "8/255"}
LPA: dict[str, Any] = {"name": "lagrangian_perceptual", "features": {"layers": ["features.0"]}}


def differently_in_a_second_paper(kind: str, name: str, key: str, value: object) -> Change:
    """Declare a model or measure of the small paper in a second one, with one key changed."""

    def change(declared: Declarations) -> None:
        other = {**declared.paper[kind][name], key: value}
        declared.papers["second"] = {**declared.paper, kind: {name: other}}

    return change


def transfer(declared: Declarations) -> None:
    """Add a table of transfer between the two networks on images."""
    declared.add_transfer("transfer", white_box=True)


def derived(*keys: str, value: object = None) -> Change:
    """Add the models `cut`, derived from image-erm, and `given`; then change the paper."""

    def change(declared: Declarations) -> None:
        network = {"architecture": "lenet5"}
        declared.paper["models"] |= {
            "cut": {"derived": {**CUT}},
            "given": {"given": {**GIVEN}, "dataset": "mnist", "network": network},
        }
        if keys:
            put(value, *keys)(declared)

    return change


def keeping(*epochs: int) -> Change:
    """Let image-erm, which is trained for two epochs at this scale, have checkpoints."""
    return put(list(epochs), "models", ERM, "checkpoints")


def dataset(origin: str, **options: object) -> Change:
    """Add a data set `other`."""
    defaults: dict[str, Any] = {
        "generated": {"from": "mnist", "by": NOISE},
        "held_out": {"from": "mnist", "examples": 5000},
        "sampled": {"from": "mnist", "train": 5000, "test": 1000},
        "adversarial": {"model": ERM, "attacks": [FGSM]},
    }
    return put({origin: {**defaults[origin], **options}}, "datasets", "other")


def shown(measure: object, model: str = ERM) -> Change:
    """Declare a measure `extra` and show it of one model, in a table of its own."""

    def change(declared: Declarations) -> None:
        declared.paper["measures"]["extra"] = measure
        declared.paper["tables"]["extra"] = {
            "where": "Table 9",
            "caption": "Extra",
            "rows": {"row": {"label": "Row", "model": model}},
            "columns": {"extra": {"label": "Extra", "measure": "extra"}},
        }

    return change


EXTRA_COLUMN = ("tables", "extra", "columns", "extra")
EXTRA = f"{PAPER}: tables.extra.rows.row: column extra: extra"
# What was done wrong: (the change, what the message says).
IN_A_PAPER: dict[str, tuple[Change, list[str]]] = {
    "syntax error": (
        lambda declared: declared.papers.update(small="title: [unclosed\nmodels: {"),
        [PAPER, "not valid YAML", "line"],
    ),
    "a key that is there twice": (
        lambda declared: declared.papers.update(small="title: a\nmodels: {}\ntitle: b\n"),
        [PAPER, "not valid YAML: the key 'title' is there twice", "line 3"],
    ),
    "a key that is a list": (
        lambda declared: declared.papers.update(small="title: a\nmodels: {[a, b]: {}}\n"),
        [PAPER, ", line 2: not valid YAML", "unhashable key"],
    ),
    "a key twice": (
        lambda declared: declared.papers.update(small="title: a\nmodels:\n  a: {}\n  a: {}\n"),
        [f"{PAPER}, line 4: not valid YAML: the key 'a' is there twice, first in line 3"],
    ),
    "one name as it is and in quotes": (
        lambda declared: declared.papers.update(small="title: a\nmodels:\n  8: {}\n  '8': {}\n"),
        [f"{PAPER}, line 4: not valid YAML: the key '8' is there twice, first in line 3"],
    ),
    "a number in base 8": (
        lambda declared: declared.papers.update(small="title: a\nmodels: {a: {epochs: 010}}\n"),
        [f"{PAPER}, line 2: not valid YAML: '010' would be read in another base"],
    ),
    "a number in base 60": (
        lambda declared: declared.papers.update(small="title: a\nmodels: {a: {label: 1:30}}\n"),
        [f"{PAPER}, line 2: not valid YAML: '1:30' would be read in another base"],
    ),
    "models that differ in case": (
        lambda declared: declared.paper["models"].update({"image-ERM": declared.paper["models"][ERM]}),
        [f"{PAPER}: models.image-ERM: '{ERM}' differs from it in the case of letters alone"],
    ),
    "a data set that differs in case from one that is built in": (
        put({"generated": {"from": "mnist", "by": NOISE}}, "datasets", "MNIST"),
        [f"{PAPER}: datasets.MNIST: a data set of this name is built in"],
    ),
    "tables that differ in case": (
        lambda declared: declared.paper["tables"].update(Accuracy=declared.paper["tables"]["accuracy"]),
        [f"{PAPER}: tables.Accuracy: 'accuracy' differs from it in the case of letters alone", "rename one"],
    ),
    "figures that differ in case": (
        lambda declared: declared.paper["figures"].update(Regions=declared.paper["figures"]["regions"]),
        [f"{PAPER}: figures.Regions: 'regions' differs from it in the case of letters alone"],
    ),
    "tables with one target": (
        lambda declared: declared.paper["tables"].update(
            {name: {**declared.paper["tables"]["distances"]} for name in ("table-1", "table_1")}
        ),
        [f"{PAPER}: two tables or figures would be the target 'small_table_1'; rename one"],
    ),
    "a truth value for a target": (
        put(False, "tables", "accuracy", "columns", "pgd", "target"),
        [f"{PAPER}: tables.accuracy.columns.pgd.target: found False", "so write it in quotes, as in 'no'"],
    ),
    "a truth value in a pair": (
        put([False, 8], "tables", "distances", "columns", "erm-hrm", "of"),
        [f"{PAPER}: tables.distances.columns.erm-hrm.of[0]: found False", "so write it in quotes, as in 'no'"],
    ),
    "a number in a pair": (
        put(["erm", 8], "tables", "distances", "columns", "erm-hrm", "of"),
        [f"{PAPER}: tables.distances.columns.erm-hrm.of[1]: found 8", "so write it in quotes, as in '8'"],
    ),
    "a number for a label": (
        put(8, "tables", "accuracy", "rows", "erm", "label"),
        [f"{PAPER}: tables.accuracy.rows.erm.label: found 8", "so write it in quotes, as in '8'"],
    ),
    "a number among several measures": (
        put(["clean", 8], "tables", "accuracy", "columns", "pgd", "measure"),
        [f"{PAPER}: tables.accuracy.columns.pgd.measure[1]: found 8", "so write it in quotes, as in '8'"],
    ),
    "a misspelt caption": (
        both(put("Accuracy", "tables", "accuracy", "captoin"), without("tables", "accuracy", "caption")),
        [f"{PAPER}: tables.accuracy.captoin: unknown key; did you mean 'caption'?"],
    ),
    "a misspelt name of an attack's name": (
        put({"nmae": "fgsm", "epsilon": 0.3}, *PGD),
        ["measures.pgd: attack.nmae: unknown key; did you mean 'name'?"],
    ),
    "a misspelt key of a figure in a union": (
        put([{"lable": "x", "model": "points-erm"}], "figures", "regions", "figure", "panels"),
        [f"{PAPER}: figures.regions.figure.panels[0].lable: unknown key; did you mean 'label'?"],
    ),
    "a misspelt key of a schedule": (
        put({"name": "ramp", "initail": 1, "final": 2, "epochs": 3}, "models", ERM, "optimizer", "learning_rate"),
        [f"models.{ERM}: optimizer.learning_rate.initail: unknown key; did you mean 'initial'?"],
    ),
    "a misspelt origin of a model": (
        put({"derved": CUT}, "models", "cut"),
        [f"{PAPER}: models.cut: derved: unknown key; did you mean 'derived'?"],
    ),
    "epsilon in 255ths": (
        put(8, *PGD, "epsilon"),
        ["epsilon is 8", "no two images of (1, 28, 28) are further apart than 1 in linf", "did you mean 8/255?"],
    ),
    "epsilon of a training in 255ths": (
        put({"name": "adversarial", "adversary": {**FGSM, "epsilon": 8}}, "models", "image-erm", "objective"),
        ["models.image-erm: objective: epsilon is 8", "did you mean 8/255?"],
    ),
    "epsilon of a training beside a norm in 255ths": (
        put(
            {
                "name": "gradient_regularisation",
                "function": "margin",
                "norm": "l2",
                "coefficient": 1,
                "beside": {"name": "adversarial", "clipped": False, "adversary": {**FGSM, "epsilon": 8}},
            },
            *("models", "image-erm", "objective"),
        ),
        ["models.image-erm: objective: epsilon is 8", "did you mean 8/255?"],
    ),
    "epsilon in 255ths without clipping": (
        both(put(8, *PGD, "epsilon"), put(False, "measures", "pgd", "clipped")),
        ["epsilon is 8", "did you mean 8/255?"],
    ),
    "a step in 255ths": (put(2, *PGD, "step_size"), ["pgd: step_size is 2", "did you mean 2/255?"]),
    "epsilon in 255ths, in l2": (
        put({"name": "fgsm", "epsilon": 128, "norm": "l2"}, *PGD),
        ["pgd: epsilon is 128", "further apart than 28 in l2", "did you mean 128/255?"],
    ),
    "noise in 255ths": (
        put({"name": "noise", "epsilon": 8, "draws": 2}, *PGD),
        ["pgd: epsilon is 8", "did you mean 8/255?"],
    ),
    "the largest epsilon of a curve in 255ths": (
        both(
            put({"curve": {"epsilons": [0.5, 2, 4], "attack": {"name": "fgsm"}}}, "measures", "pgd"),
            put({"epsilon": 0.5}, "tables", "accuracy", "columns", "pgd", "rows"),
        ),
        ["pgd: epsilons is 2", "did you mean 2/255?"],
    ),
    "transfer in 255ths": (
        both(put(4, *PGD, "epsilon"), transfer),
        ["epsilon is 4", "did you mean 4/255?"],
    ),
    "adversarial examples in 255ths": (
        dataset("adversarial", attacks=[{"name": "fgsm", "epsilon": 4}]),
        ["datasets.other: adversarial.attacks: epsilon is 4", "did you mean 4/255?"],
    ),
    "steps of the audit in 255ths": (
        lambda declared: declared.audit["attacks"]["pgd"].update(step_size=2),
        ["workflow/audit.yaml: attacks.pgd: step_size is 2", "did you mean 2/255?"],
    ),
    "steps of the audit's transfer in 255ths": (
        lambda declared: declared.audit["transfer"].update(step_size=2),
        ["workflow/audit.yaml: transfer: step_size is 2", "did you mean 2/255?"],
    ),
    "an epsilon of a perceptual attack": (
        put({"name": "stadv", "epsilon": 0.05}, *PGD),
        ["measures.pgd: attack.epsilon: unknown key", "(known: bound, form, name, steps)"],
    ),
    "an unknown form of a perceptual attack": (
        put({"name": "stadv", "form": "correct"}, *PGD),
        ["measures.pgd: attack.form: found 'correct'", "'faithful' or 'corrected'"],
    ),
    "a perceptual attack that leaves the range of pixels": (
        both(put({"name": "stadv"}, *PGD), put(False, "measures", "pgd", "clipped")),
        ["measures.pgd: clipped is false, but stadv makes images in [0, 1]; expected true"],
    ),
    "a perceptual attack on grey images": (
        put({"name": "jpeg"}, *PGD),
        [
            "pgd cannot attack image-erm on digits: jpeg needs images in colour, of shape (3, height, width)",
        ],
    ),
    "features of no layer": (
        put({**LPA, "features": {"model": ERM}}, *PGD),
        ["measures.pgd: attack.features.layers: this key is missing"],
    ),
    "features of an unknown model": (
        put({**LPA, "features": {"model": "image-emr", "layers": ["features.0"]}}, *PGD),
        [f"model in {PAPER}: measures.pgd: features: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "features of a model of other data": (
        put({**LPA, "features": {"model": "points-erm", "layers": ["features.0"]}}, *PGD),
        ["column pgd: pgd: features.model: points-erm is of two_moons, with 2 classes of shape (2,); expected, as in"],
    ),
    "the slow Lagrangian attack in a training": (
        put({"name": "adversarial", "adversary": LPA}, "models", ERM, "objective"),
        [f"models.{ERM}: objective.adversary.name: unknown name 'lagrangian_perceptual'", "fast_lagrangian_perceptual"],
    ),
    "a standard deviation in 255ths": (
        dataset("generated", by={**NOISE, "standard_deviation": 25}),
        ["standard_deviation: expected at most 1, the range of pixels; did you mean 25/255?"],
    ),
    "a mapping that contains itself": (
        lambda declared: declared.papers.update(small="title: a\nmodels: &all\n  erm: *all\n"),
        [f"{PAPER}: models.erm: this contains itself"],
    ),
    "missing key": (without("title"), [f"{PAPER}: title: this key is missing"]),
    "models that are none": (put(None, "models"), [f"{PAPER}: models: expected a mapping of names to declarations"]),
    "model of a wrong type": (put(3, "models", ERM), [f"{PAPER}: models.{ERM}: expected a mapping, found 3"]),
    "a model's name that is no part of a path": (
        put({}, "models", "../erm"),
        [f"{PAPER}: models: the name '../erm' cannot be part of a path; expected at most 100 letters, digits"],
    ),
    # Models
    "unknown architecture": (
        put("lenet", "models", ERM, "network", "architecture", "name"),
        [f"{PAPER}: models.{ERM}: network.architecture.name: unknown name 'lenet'; did you mean 'lenet5'?", "mlp"],
    ),
    "unknown architecture, in short": (
        put("lenet", "models", ERM, "network", "architecture"),
        [f"models.{ERM}: network.architecture.name: unknown name 'lenet'; did you mean 'lenet5'?"],
    ),
    "unknown preprocessing": (
        put([{"name": "standardize"}], "models", ERM, "network", "preprocessing"),
        [f"models.{ERM}: network.preprocessing[0].name: unknown name 'standardize'; did you mean 'standardise'?"],
    ),
    "architecture outside the network": (
        put("lenet5", "models", ERM, "architecture"),
        [f"models.{ERM}: architecture: unknown key (known: augmentation, batch_size, checkpoints, dataset, epochs"],
    ),
    "unknown objective": (
        put("hrn", "models", HRM, "objective", "name"),
        [
            f"{PAPER}: models.{HRM}: objective.name: unknown name 'hrn'; did you mean 'hrm'?",
            "cem, dense_hamming, erm, gradient_regularisation, hamming, hrm, label_smoothing, ramped_adversarial",
        ],
    ),
    "objective as text": (
        put("hrm", "models", HRM, "objective"),
        [f"models.{HRM}: objective: expected a mapping, found 'hrm'"],
    ),
    "objective without a name": (
        without("models", HRM, "objective", "name"),
        [f"models.{HRM}: objective: expected a mapping with a key 'name', found {{'guard': 1e-08}}"],
    ),
    "option of another objective": (
        put(0.1, "models", ERM, "objective", "guard"),
        [f"models.{ERM}: objective.guard: unknown key"],
    ),
    "unknown optimizer": (
        put("sgdd", "models", ERM, "optimizer", "name"),
        [f"models.{ERM}: optimizer.name: unknown name 'sgdd'; did you mean 'sgd'?", "adam, sgd"],
    ),
    "unknown data set": (
        put("mnits", "models", ERM, "dataset"),
        [f"data set of model {ERM}: 'mnits'; did you mean 'mnist'?"],
    ),
    "a mapping as data set": (put({}, "models", ERM, "dataset"), [f"{PAPER}: models.{ERM}: dataset: found {{}}"]),
    "no epochs": (put(0, "models", "points-erm", "epochs"), ["models.points-erm: epochs: found 0"]),
    "epochs as text": (
        put("4", "models", "points-erm", "epochs"),
        ["models.points-erm: epochs: found '4'", "valid integer"],
    ),
    "a learning rate as text": (
        put("1e-3 or so", "models", "points-erm", "optimizer", "learning_rate"),
        ["models.points-erm: optimizer.learning_rate: found '1e-3 or so'", "valid number"],
    ),
    "learning rate of zero": (
        put(0.0, "models", "points-erm", "optimizer", "learning_rate"),
        ["models.points-erm: optimizer.learning_rate: expected a positive rate", "found 0.0"],
    ),
    "unknown schedule": (
        put({"name": "rmap"}, "models", "points-erm", "optimizer", "learning_rate"),
        ["models.points-erm: optimizer.learning_rate.name: unknown name 'rmap'; did you mean 'ramp'?"],
    ),
    "guard of infinity": (
        put(float("inf"), "models", HRM, "objective", "guard"),
        [f"models.{HRM}: objective.guard: found inf", "finite"],
    ),
    "batches of one": (put(1, "models", ERM, "batch_size"), [f"models.{ERM}: batch_size: found 1"]),
    "no seeds of a model": (put(0, "models", ERM, "seeds"), [f"models.{ERM}: seeds: found 0"]),
    "more seeds than a plan counts through": (
        put(10**30, "models", ERM, "seeds"),
        [f"{PAPER}: models.{ERM}: seeds: found 1000000000000000000000000000000", "less than or equal to 1000"],
    ),
    "more shards than a plan counts through": (
        put(10**30, "measures", "pgd", "shards"),
        [f"{PAPER}: measures.pgd: shards: found 1000000000000000000000000000000", "less than or equal to 1000"],
    ),
    "a model that is declared twice": (
        differently_in_a_second_paper("models", ERM, "epochs", 7),
        [f"models.{ERM}: declared differently in papers/", "names are global"],
    ),
    "a measure that is declared twice": (
        differently_in_a_second_paper("measures", "pgd", "examples", 7),
        ["measures.pgd: declared differently in papers/", "names are global"],
    ),
    "derived from an unknown model": (
        derived("models", "cut", "derived", "from", value="image-emr"),
        ["model in models.cut: derived.from: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "derived in a circle": (
        both(
            derived("models", "again", value={"derived": {**CUT, "from": "cut"}}),
            put("again", "models", "cut", "derived", "from"),
        ),
        ["models.cut: derived in a circle: cut from again from cut"],
    ),
    "derived from itself": (
        derived("models", "cut", "derived", "from", value="cut"),
        ["models.cut: derived in a circle: cut from cut"],
    ),
    "a derived model of more percent than there are": (
        derived("models", "cut", "derived", "change", value={**CHANGE, "percent": "200/1"}),
        [f"{PAPER}: models.cut: derived.change.percent: found '200/1'", "less than or equal to 99"],
    ),
    "units rarely active on training images that there are not": (
        both(
            both(dataset("generated"), derived("models", "given", "dataset", value="other")),
            put({"derived": {"from": "given", "change": RARE}}, "models", "rare"),
        ),
        ["models.rare: derived.change.split: other has a test split only; expected test"],
    ),
    "weights after an epoch of a model that keeps none": (
        put({"derived": EARLY}, "models", "early"),
        [
            "models.early: derived.change.epoch: 1 needs weights of the training of image-erm, which keeps none; add "
            "'checkpoints' to the model"
        ],
    ),
    "weights after another epoch than those kept": (
        both(keeping(2, 4), put({"derived": EARLY}, "models", "early")),
        ["models.early: derived.change.epoch: image-erm keeps no weights after epoch 1 at this scale; those kept: 2"],
    ),
    "weights after an epoch of a derived model": (
        derived("models", "early", value={"derived": {**EARLY, "from": "cut"}}),
        ["models.early: derived.change.epoch: 1 needs weights of the training of cut, which is made from another mod"],
    ),
    "weights after no epoch": (
        put({"derived": {**EARLY, "change": {"name": "checkpoint", "epoch": 0}}}, "models", "early"),
        [f"{PAPER}: models.early: derived.change.epoch: found 0", "greater than or equal to 1"],
    ),
    "an unknown change": (
        derived("models", "cut", "derived", "change", value={"name": "checkpiont", "epoch": 1}),
        [f"{PAPER}: models.cut: derived.change.name: unknown name 'checkpiont'; did you mean 'checkpoint'?"],
    ),
    "a checksum that is none": (
        derived("models", "given", "given", "sha256", value="abc"),
        [f"{PAPER}: models.given: given.sha256: found 'abc'"],
    ),
    "epochs of a derived model, by its name": (
        both(derived(), scale({"epochs": 3}, "models", "cut")),
        ["workflow/scales/quick.yaml: models.cut: epochs: unknown key (known: derived, seeds)"],
    ),
    "a misspelt key instead of one that has to be there": (
        both(without("models", ERM, "epochs"), put(3, "models", ERM, "epoch")),
        [f"models.{ERM}: epoch: unknown key; did you mean 'epochs'?"],
    ),
    "a misspelt key for a pattern that a derived model fits": (
        both(derived(), scale({"epoch": 3}, "models", "cu*")),
        ["models.cut: epoch: unknown key"],
    ),
    # Measures
    "unknown attack": (
        put("pdg", *PGD, "name"),
        [f"{PAPER}: measures.pgd: attack.name: unknown name 'pdg'; did you mean 'pgd'?", "known: autoattack, "],
    ),
    "an attack on images of points": (
        shown({"attack": AUTOATTACK}, "points-erm"),
        [f"{EXTRA} cannot attack points-erm on two_moons: autoattack needs images", "found shape (2,)"],
    ),
    "transfer by an attack on images between models of points": (
        both(
            shown({"transfer": {"attack": AUTOATTACK, "targets": ["points-erm"], "white_box": True}}, "points-erm"),
            put({"label": "T", "measure": "extra", "target": "points-erm", "white_box": True}, *EXTRA_COLUMN),
        ),
        [f"{EXTRA} cannot attack points-erm on two_moons: autoattack needs images"],
    ),
    "samples of images that nobody attacked": (
        both(shown({"samples": {}}), put("count", *EXTRA_COLUMN, "statistic")),
        [f"{EXTRA} shows adversarial examples; expected 'data' made from a model, not digits"],
    ),
    "samples of a norm that made none of them": (
        both(
            dataset("adversarial"),
            both(shown({"samples": {"norm": "l1"}, "data": "other"}), put("count", *EXTRA_COLUMN, "statistic")),
        ),
        [f"{EXTRA} shows the norm l1; other has linf"],
    ),
    "clipped adversarial training on images without a range": (
        both(
            dataset("generated", split="both", by=STANDARDISED, **{"from": "digits"}),
            both(
                put("other", "models", ERM, "dataset"),
                put({"name": "adversarial", "adversary": FGSM}, "models", ERM, "objective"),
            ),
        ),
        [f"models.{ERM}: objective.clipped: the images of other have no range to be clipped to; expected false"],
    ),
    "a clipped attack on images without a range": (
        both(
            dataset("generated", split="both", by=STANDARDISED, **{"from": "digits"}),
            shown({"attack": FGSM, "data": "other"}),
        ),
        [f"{EXTRA} clips to the range of pixels, which other has none of; add 'clipped: false'"],
    ),
    "a clipped data set of images without a range": (
        both(
            dataset("generated", split="both", by=STANDARDISED, **{"from": "digits"}),
            both(
                put("other", "models", HRM, "dataset"),
                put({"adversarial": {"model": HRM, "attacks": [FGSM]}}, "datasets", "fooling"),
            ),
        ),
        ["datasets.fooling: adversarial.clipped: the examples of other have no range to be clipped to; expected false"],
    ),
    "preprocessing once with what only a training learns": (
        dataset("generated", by={"name": "preprocessing", "steps": [{"name": "input_normalisation"}]}),
        ["datasets.other.generated", "steps: input_normalisation learns from batches"],
    ),
    "the epoch in which what has no epochs settles": (
        both(
            shown({"attack": FGSM}),
            put({"settled": {"column": "margin", "within": 0.1}}, *EXTRA_COLUMN, "statistic"),
        ),
        [f"column of extra in {PAPER}: tables.extra.columns.extra", "'epoch'"],
    ),
    "test accuracies of a training that does not look at them": (
        both(
            shown({"history": {}}),
            put({"settled": {"column": "test_accuracy", "within": 0.1}}, *EXTRA_COLUMN, "statistic"),
        ),
        [f"{EXTRA} has no test_accuracy of {ERM}; add 'test_accuracy: true' to the model"],
    ),
    "rows of a norm that made none of the examples": (
        both(
            dataset("adversarial"),
            both(
                shown({"attack": {"name": "clean"}, "data": "other"}),
                put({"origin_norm": "l7"}, *EXTRA_COLUMN, "rows"),
            ),
        ),
        ["extra has no rows of origin_norm l7; expected one of linf"],
    ),
    "the history of a model without a training of its own": (
        both(
            both(put({"derived": CUT}, "models", "cut"), shown({"history": {}}, "cut")),
            put("count", *EXTRA_COLUMN, "statistic"),
        ),
        [f"{EXTRA} needs the history of cut, which has no training of its own"],
    ),
    "more shards than the first examples": (
        shown({"attack": FGSM, "examples": 3, "shards": 4}),
        [f"{EXTRA} has 4 shards, but 3 examples of digits to share"],
    ),
    "more shards than examples": (
        shown({"losses": {}, "shards": 361}),
        [f"{EXTRA} has 361 shards, but 360 examples of digits to share"],
    ),
    "more shards than the first examples of data that are not made yet": (
        both(dataset("adversarial"), shown({"attack": FGSM, "data": "other", "examples": 3, "shards": 4})),
        [f"{EXTRA} has 4 shards, but 3 examples of other to share"],
    ),
    "cropped points": (
        put({"name": "crop_and_flip"}, "models", "points-erm", "augmentation"),
        ["models.points-erm: augmentation: crop_and_flip is of images; those of two_moons are points of the plane"],
    ),
    "negative epsilon": (put(-0.1, *PGD, "epsilon"), ["measures.pgd: attack.epsilon: found -0.1", "greater than or"]),
    "a ratio over zero": (
        put("8/0", *PGD, "epsilon"),
        ["measures.pgd: attack.epsilon: found '8/0'", "number"],
    ),
    "a ratio of letters": (put("8/x", *PGD, "epsilon"), ["measures.pgd: attack.epsilon: found '8/x'", "number"]),
    "epsilons that do not increase": (
        put({"curve": {"epsilons": ["8/255", "4/255"], "attack": {"name": "fgsm"}}}, "measures", "pgd"),
        ["measures.pgd: curve: epsilons are [0.031", "expected each larger than the one before"],
    ),
    "unknown option of an attack": (
        put(3, *PGD, "step"),
        ["measures.pgd: attack.step: unknown key; did you mean 'steps'?"],
    ),
    "unknown norm": (put("l3", *PGD, "norm"), ["measures.pgd: attack.norm: found 'l3'", "'linf', 'l2' or 'l1'"]),
    "restarts that are all the same": (
        put({"name": "pgd", "epsilon": 0.3, "steps": 5, "step_size": 0.1, "restarts": 3, "random_start": False}, *PGD),
        ["measures.pgd: attack", "restarts is 3, but without random_start they would all be the same"],
    ),
    "unknown split": (put("valid", "measures", "clean", "split"), ["measures.clean: split: found 'valid'"]),
    "no examples": (put(0, "measures", "clean", "examples"), ["measures.clean: examples: found 0"]),
    "two kinds in one measure": (
        put({}, "measures", "pgd", "losses"),
        [f"{PAPER}: measures.pgd: expected one kind of measurement (attack, corrupted, ", "found attack, losses"],
    ),
    "no kind of measurement": (
        put({"examples": 5}, "measures", "pgd"),
        [f"{PAPER}: measures.pgd: expected one kind of measurement (attack, corrupted, ", "found none"],
    ),
    "unknown kind of measurement": (
        put({"loses": {}, "examples": 5}, "measures", "pgd"),
        [f"kind of measurement in {PAPER}: measures.pgd: 'loses'; did you mean 'losses'?"],
    ),
    "two unknown kinds of measurement": (
        put({"atack": {}, "exampels": 5}, "measures", "pgd"),
        [f"kind of measurement in {PAPER}: measures.pgd: 'atack'; did you mean 'attack'?"],
    ),
    "a kind of which papers declare none": (
        put({"audit": {}}, "measures", "pgd"),
        [f"kind of measurement in {PAPER}: measures.pgd: 'audit'"],
    ),
    "options that are no mapping": (
        put({"losses": [1]}, "measures", "pgd"),
        [f"{PAPER}: measures.pgd: losses: expected a mapping of options, found [1]"],
    ),
    "an attack that is a list": (
        put([1], *PGD),
        [f"{PAPER}: measures.pgd: attack: expected a mapping, found [1]"],
    ),
    "a kind that says its kind": (
        put({"losses": {"kind": "attack"}}, "measures", "pgd"),
        [f"{PAPER}: measures.pgd: losses.kind: unknown key"],
    ),
    "an option that is there twice": (
        put({"losses": {"split": "train"}, "split": "test"}, "measures", "pgd"),
        [f"{PAPER}: measures.pgd: split is there twice, under losses and beside it"],
    ),
    "shards of what is one piece": (
        put(2, "measures", "grid", "shards"),
        [f"{PAPER}: measures.grid: shards is 2, but a measurement of kind 'decision_boundary' is one piece"],
    ),
    "a measure with the audit's name": (
        put({"attack": {"name": "clean"}}, "measures", "audit-linf-0.3"),
        [f"{PAPER}: measures.audit-linf-0.3: names that begin with 'audit-' are the audit's own; take another"],
    ),
    "a measure on an unknown data set": (
        put("mnits", "measures", "pgd", "data"),
        [f"data set in {PAPER}: measures.pgd: 'mnits'; did you mean 'mnist'?"],
    ),
    "a measure on images of another shape": (
        put("cifar10", "measures", "pgd", "data"),
        [
            f"{PAPER}: tables.accuracy.rows.erm: column pgd: pgd is of cifar10, with 10 classes of shape (3, 32, 32); "
            f"{ERM} is of digits, with 10 of (1, 28, 28)"
        ],
    ),
    "a decision boundary of images": (
        shown({"decision_boundary": {}}),
        [f"{EXTRA} is for points of the plane; {ERM} is of digits"],
    ),
    "corruptions of grey images": (
        shown({"corrupted": {"corruptions": ["fog"]}}),
        [f"{EXTRA} is for square images in colour, of shape (3, H, H); those of digits are (1, 28, 28)"],
    ),
    "an unknown corruption": (
        shown({"corrupted": {"corruptions": ["mist"]}}),
        ["corruptions[0]", "'mist'"],
    ),
    "training losses of a test set": (
        both(dataset("generated"), shown({"losses": {"split": "train"}, "data": "other"})),
        [f"{EXTRA} reads the training images of other, which has a test split only"],
    ),
    "the training objective of a given model": (
        both(derived(), shown({"attack": {**FGSM, "loss": "training"}}, "given")),
        [f"{EXTRA} needs the training objective of given, whose weights are given"],
    ),
    "the training of a derived model": (
        both(
            derived(),
            both(shown({"training_path": {}}, "cut"), put({"mean": "value"}, *EXTRA_COLUMN, "statistic")),
        ),
        [f"{EXTRA} needs the training of cut, which is derived from another model"],
    ),
    # Over epochs
    "a measure over the epochs of a model that keeps none": (
        shown(OVER_EPOCHS),
        [f"{EXTRA} needs weights of the training of {ERM}, which keeps none; add 'checkpoints' to the model"],
    ),
    "a measure over epochs that a scale does not reach": (
        both(keeping(3, 4), shown(OVER_EPOCHS)),
        [
            f"{EXTRA} needs weights of the training of {ERM}, which is trained for 2 epochs, before its 'checkpoints' "
            "(3, 4); add an earlier one"
        ],
    ),
    "a measure over the epochs of a derived model": (
        both(derived(), shown(OVER_EPOCHS, "cut")),
        [f"{EXTRA} needs weights of the training of cut, which is made from another model; only a model that is trai"],
    ),
    "a measure over the epochs of a given model": (
        both(derived(), shown(OVER_EPOCHS, "given")),
        [f"{EXTRA} needs weights of the training of given, which is given; only a model that is trained keeps 'check"],
    ),
    "a measure over epochs without a gradient": (
        shown({"over_epochs": {"attack": {"name": "noise", "epsilon": 0.3, "draws": 2}}}),
        [f"{PAPER}: measures.extra: attack.name: unknown name 'noise'", "known: bim, clean, fgsm, mi_fgsm, pgd"],
    ),
    "an accuracy over several epochs": (
        both(keeping(1, 2), shown(OVER_EPOCHS)),
        [f"{EXTRA} has a row per epoch; expected 'rows' with one epoch of 1, 2"],
    ),
    "an epoch that is not kept": (
        both(keeping(1, 2), both(shown(OVER_EPOCHS), put({"epoch": 3}, *EXTRA_COLUMN, "rows"))),
        [f"{EXTRA} has no rows of epoch 3; expected one of 1, 2"],
    ),
    # Transfer
    "transfer to an unknown model": (
        both(transfer, put(["image-emr"], *TRANSFER, "transfer", "targets")),
        [f"model in {PAPER}: measures.transfer-pgd: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "transfer to no model": (
        both(transfer, put([], *TRANSFER, "transfer", "targets")),
        [f"{PAPER}: measures.transfer-pgd: targets: found []", "at least 1 item"],
    ),
    "transfer from an unknown model": (
        both(transfer, put("image-emr", *TRANSFER, "transfer", "source")),
        [f"model in {PAPER}: measures.transfer-pgd: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "transfer between data sets": (
        both(transfer, put([ERM, "points-erm"], *TRANSFER, "transfer", "targets")),
        ["measures.transfer-pgd: examples are transferred between models of one data set", "'digits', 'two_moons'"],
    ),
    "transfer of clean images": (
        both(transfer, put({"name": "clean"}, *TRANSFER, "transfer", "attack")),
        [
            f"{PAPER}: measures.transfer-pgd: attack.name: unknown name 'clean'",
            "known: autoattack, ",
        ],
    ),
    "transfer with restarts that are all the same": (
        both(
            transfer,
            put(
                {"name": "pgd", "epsilon": 0.3, "steps": 5, "step_size": 0.1, "restarts": 2, "random_start": False},
                *TRANSFER,
                "transfer",
                "attack",
            ),
        ),
        ["measures.transfer-pgd: attack: restarts is 2, but without random_start they would all be the same"],
    ),
    # Data sets
    "a data set with a built-in name": (
        put({"generated": {"from": "mnist", "by": NOISE}}, "datasets", "digits"),
        [f"{PAPER}: datasets.digits: a data set of this name is built in; give it another name"],
    ),
    "a data set of no origin": (
        put({}, "datasets", "other"),
        [
            f"{PAPER}: datasets.other: found no key; expected exactly one of the keys ",
            "adversarial, generated, held_out, sampled",
        ],
    ),
    "a generated data set of an unknown one": (
        dataset("generated", **{"from": "mnits"}),
        ["data set in datasets.other: generated.from: 'mnits'; did you mean 'mnist'?"],
    ),
    "a data set that is generated from itself": (
        dataset("generated", **{"from": "other"}),
        ["datasets.other: made in a circle: other from other"],
    ),
    "a data set that stands in for what it is generated from": (
        both(dataset("generated"), scale("other", "datasets", "mnist")),
        ["datasets.other: made in a circle: other from other"],
    ),
    "noise on points": (
        dataset("generated", **{"from": "two_moons"}),
        ["datasets.other: generated.from: two_moons has points of the plane; expected images"],
    ),
    "noise on adversarial examples": (
        both(
            dataset("adversarial"),
            put({"generated": {"from": "other", "by": NOISE, "split": "test"}}, "datasets", "more"),
        ),
        ["datasets.more: generated.from: other is made from a model", "expected images"],
    ),
    "a training split of a test split": (
        both(
            dataset("generated"),
            put({"generated": {"from": "other", "by": NOISE, "split": "both"}}, "datasets", "more"),
        ),
        ["datasets.more: generated.from: other has a test split only, so that 'split: both' cannot be made of it"],
    ),
    "data sets that are made from one another where nothing stands in for them": (
        both(
            both(dataset("held_out", **{"from": "more"}), scale("digits", "datasets", "more")),
            put({"generated": {"from": "other", "by": NOISE, "split": "both"}}, "datasets", "more"),
        ),
        ["datasets.other: made in a circle: other from more from other"],
    ),
    "examples held out of an unknown data set": (
        dataset("held_out", **{"from": "mnits"}),
        ["data set in datasets.other: held_out.from: 'mnits'; did you mean 'mnist'?"],
    ),
    "no examples held out": (
        dataset("held_out", examples=0),
        [f"{PAPER}: datasets.other.held_out: examples: found 0", "greater than or equal to 1"],
    ),
    "a share of the examples held out": (
        dataset("held_out", examples=0.1),
        [f"{PAPER}: datasets.other.held_out: examples: found 0.1", "integer"],
    ),
    "more than half of the training examples held out": (
        dataset("held_out", examples=30_001),
        [
            "datasets.other: held_out.examples: found 30001; expected at most 30000, half of the 60000 training "
            "examples of mnist"
        ],
    ),
    "more than half of what an earlier one has left": (
        both(
            dataset("held_out", examples=20_000),
            put({"held_out": {"from": "other", "examples": 20_001}}, "datasets", "more"),
        ),
        [
            "datasets.more: held_out.examples: found 20001; expected at most 20000, half of the 40000 training "
            "examples of other"
        ],
    ),
    "training examples held out of test images": (
        both(dataset("generated"), put({"held_out": {"from": "other", "examples": 9}}, "datasets", "more")),
        ["datasets.more: held_out.from: other has a test split only, so that no training examples can be held out"],
    ),
    "training examples held out of adversarial ones": (
        both(dataset("adversarial"), put({"held_out": {"from": "other", "examples": 9}}, "datasets", "more")),
        ["datasets.more: held_out.from: other has a test split only, so that no training examples can be held out"],
    ),
    "noise on points that were held out": (
        both(
            dataset("held_out", **{"from": "two_moons", "examples": 9}),
            put({"generated": {"from": "other", "by": NOISE}}, "datasets", "more"),
        ),
        ["datasets.more: generated.from: other has points of the plane; expected images"],
    ),
    "more parts than examples were held out": (
        both(
            dataset("held_out", **{"from": "digits", "examples": 5}),
            shown({"attack": {"name": "clean"}, "data": "other", "shards": 6}),
        ),
        [f"{EXTRA} has 6 shards, but 5 examples of other to share"],
    ),
    "a part of an unknown data set": (
        dataset("sampled", **{"from": "mnits"}),
        ["data set in datasets.other: sampled.from: 'mnits'; did you mean 'mnist'?"],
    ),
    "a data set that stands in for what it is a part of": (
        both(dataset("sampled"), scale("other", "datasets", "mnist")),
        ["datasets.other: made in a circle: other from other"],
    ),
    "a part without training examples": (
        dataset("sampled", train=0),
        [f"{PAPER}: datasets.other.sampled: train: found 0", "greater than or equal to 1"],
    ),
    "a part without test examples": (
        dataset("sampled", test=0),
        [f"{PAPER}: datasets.other.sampled: test: found 0", "greater than or equal to 1"],
    ),
    "a share of the examples": (
        dataset("sampled", train=0.1),
        [f"{PAPER}: datasets.other.sampled: train: found 0.1", "integer"],
    ),
    "a part with more training examples than the whole": (
        dataset("sampled", train=60_001),
        ["datasets.other: sampled.train: found 60001; expected at most 60000, all training examples of mnist"],
    ),
    "a part with more test examples than the whole": (
        dataset("sampled", test=10_001),
        ["datasets.other: sampled.test: found 10001; expected at most 10000, all test examples of mnist"],
    ),
    "a part with more examples than the part that it is of": (
        both(dataset("sampled"), put({"sampled": {"from": "other", "train": 5000, "test": 1001}}, "datasets", "more")),
        ["datasets.more: sampled.test: found 1001; expected at most 1000, all test examples of other"],
    ),
    "a part with more test examples than were held out": (
        both(dataset("held_out"), put({"sampled": {"from": "other", "train": 9, "test": 5001}}, "datasets", "more")),
        ["datasets.more: sampled.test: found 5001; expected at most 5000, all test examples of other"],
    ),
    "more than half of a part held out": (
        both(dataset("sampled"), put({"held_out": {"from": "other", "examples": 2501}}, "datasets", "more")),
        [
            "datasets.more: held_out.examples: found 2501; expected at most 2500, half of the 5000 training examples "
            "of other"
        ],
    ),
    "a part of test images": (
        both(dataset("generated"), put({"sampled": {"from": "other", "train": 9, "test": 9}}, "datasets", "more")),
        ["datasets.more: sampled.from: other has a test split only, so that no training examples can be drawn from it"],
    ),
    "a part of adversarial examples": (
        both(dataset("adversarial"), put({"sampled": {"from": "other", "train": 9, "test": 9}}, "datasets", "more")),
        ["datasets.more: sampled.from: other has a test split only, so that no training examples can be drawn from it"],
    ),
    "a part of test images that stand in": (
        both(dataset("sampled"), scale("imagenet", "datasets", "mnist")),
        ["datasets.other: sampled.from: imagenet has a test split only"],
    ),
    "noise on some points": (
        both(
            dataset("sampled", **{"from": "two_moons", "train": 9, "test": 9}),
            put({"generated": {"from": "other", "by": NOISE}}, "datasets", "more"),
        ),
        ["datasets.more: generated.from: other has points of the plane; expected images"],
    ),
    "more shards than examples were drawn": (
        both(
            dataset("sampled", **{"from": "digits", "train": 9, "test": 5}),
            shown({"attack": {"name": "clean"}, "data": "other", "shards": 6}),
        ),
        [f"{EXTRA} has 6 shards, but 5 examples of other to share"],
    ),
    "noise of no strength": (
        dataset("generated", by={**NOISE, "standard_deviation": 0}),
        [f"{PAPER}: datasets.other.generated: by.standard_deviation: found 0", "greater than 0"],
    ),
    "adversarial examples for an unknown model": (
        dataset("adversarial", model="image-emr"),
        ["model in datasets.other: adversarial.model: 'image-emr'; did you mean 'image-erm'?"],
    ),
    "adversarial examples by the training objective": (
        dataset("adversarial", attacks=[{**FGSM, "loss": "training"}]),
        [f"{PAPER}: datasets.other.adversarial: attacks[0].loss is 'training'; name the loss itself"],
    ),
    "a box around points": (
        dataset("adversarial", model="points-erm"),
        [
            "datasets.other: adversarial.clipped: the examples of two_moons have no range to be clipped to",
            "expected false",
        ],
    ),
    "a model that is trained on a test split": (
        both(dataset("generated"), put("other", "models", ERM, "dataset")),
        [f"models.{ERM}: dataset: other has a test split only, so none can be trained on it"],
    ),
    "a model that is trained on adversarial examples": (
        both(dataset("adversarial"), put("other", "models", HRM, "dataset")),
        [f"models.{HRM}: dataset: other is made from a model, so no model can be of it"],
    ),
    # Extensions
    "an extension that is not there": (
        configure(["no_such_module"], "extensions"),
        ["config.yaml: extensions: no_such_module cannot be imported (ModuleNotFoundError: No module named"],
    ),
    "an extension without a name": (configure([""], "extensions"), ["config.yaml: extensions:  cannot be imported"]),
}

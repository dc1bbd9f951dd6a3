"""No step executes code that its digest lacks: every step of a small pipeline is run and traced, call by call."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import CodeType, FrameType, UnionType
from typing import Any, NamedTuple, get_origin

import pytest
from conftest import AUDIT, Declarations
from in_process import jobs_for, run_of, work_of
from pydantic import BaseModel, TypeAdapter
from safetensors.torch import save_file

from robustrepro.models.build import build_network
from robustrepro.schedules import value_at
from robustrepro.spec.attacks import Pgd, attack_adapter
from robustrepro.spec.audit import attack_at
from robustrepro.spec.base import Declaration
from robustrepro.spec.networks import Network
from robustrepro.spec.plan import Plan
from robustrepro.spec.sources import DECLARATIONS, PACKAGE, PLUMBING, STEPS, modules_of

SAID_BY_THE_SPEC = {("robustrepro.spec.training", "TrainingSpec.kept_epochs")}
"""What a step calls of a declaration, and what returns what stands in the spec of every planned job."""
VALIDATORS = {
    *("model_validator", "field_validator", "BeforeValidator", "AfterValidator", "Discriminator"),
    "no_info_plain_validator_function",
}
"""What makes pydantic call a function during validation."""

# -- tracing -------------------------------------------------------------------------------------------------


def within(module: str, packages: Iterable[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)


@cache
def module_of(filename: str) -> str | None:
    """Return the module of ours that a source file is, or None; a template belongs to the package it lies in."""
    path = Path(filename)
    if PACKAGE not in path.parents:
        return None
    own = path.with_suffix("") if path.suffix == ".py" else path.parent
    return ".".join(("robustrepro", *own.relative_to(PACKAGE).parts)).removesuffix(".__init__")


@cache
def validators_of(filename: str) -> frozenset[str]:
    """Return the names of the functions of a source file that pydantic calls during validation."""
    names = {"__get_pydantic_core_schema__"}
    for node in ast.walk(ast.parse(Path(filename).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            decorators = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
            if any(isinstance(each, ast.Name) and each.id in VALIDATORS for each in decorators):
                names.add(node.name)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in VALIDATORS:
            names |= {argument.id for argument in node.args if isinstance(argument, ast.Name)}
            names |= {argument.attr for argument in node.args if isinstance(argument, ast.Attribute)}
    return frozenset(names)


def is_body(code: CodeType) -> bool:
    """Tell whether code is the body of a module or a class, which an import executes."""
    return not code.co_flags & inspect.CO_OPTIMIZED


def serves_a_declaration(frame: FrameType | None) -> bool:
    """Tell whether a function of a declaration's module runs for an import or a validation, at whatever depth."""
    while frame is not None and within(module_of(frame.f_code.co_filename) or "", [DECLARATIONS]):
        code = frame.f_code
        if is_body(code) or code.co_name in validators_of(code.co_filename):
            return True
        frame = frame.f_back
    return False


Calls = set[tuple[str, str]]
"""Module and function of each."""


class Traced(NamedTuple):
    """A step, what it executed, and what of that its digest lacks."""

    step: str
    calls: Calls
    beyond: Calls


@contextmanager
def executed() -> Iterator[Calls]:
    """Collect (module, function) of every call into the package in the block, but bodies and validators."""
    calls: Calls = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call" or is_body(code):
            return
        module = module_of(code.co_filename)
        if module is None or (within(module, [DECLARATIONS]) and serves_a_declaration(frame)):
            return
        calls.add((module, code.co_qualname))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def traced(run: Callable[[], object], step: str, runs: Iterable[str]) -> Traced:
    """Run something as a step that its spec says to run these implementations."""
    digested = modules_of(frozenset(target.partition(":")[0] for target in (STEPS[step], *runs)))
    with executed() as calls:
        run()
    assert calls, "nothing was traced"
    beyond = {(module, name) for module, name in calls if module not in digested and not within(module, PLUMBING)}
    said = {(module, name) for module, name in beyond if (module, name.partition(".<locals>")[0]) in SAID_BY_THE_SPEC}
    return Traced(step, calls, beyond - said)


# -- a pipeline with something of everything -----------------------------------------------------------------

FGSM, PGD = {"name": "fgsm", "epsilon": 0.1}, {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.05}
AUTOATTACK = {"name": "autoattack", "epsilon": 0.1, "steps": 2, "square_queries": 5}
SCHEDULES: list[Any] = [
    {"name": "cosine", "initial": 0.01, "final": 0.001, "epochs": 2},
    {"name": "ramp", "initial": 0.01, "final": 0.001, "epochs": 2},
    {"name": "steps", "initial": 0.01, "factor": 0.5, "at": [1]},
    {"name": "piecewise_linear", "points": [[0, 0], [1, 0.01], [2, 0.001]]},
]
OBJECTIVES: dict[str, dict[str, Any]] = {
    "points-cem": {"name": "cem"},
    "points-v": {"name": "v_matrix", "hollow": True, "kernel": {"name": "rbf", "gamma": 1.0}},
}
GIVEN: dict[str, Any] = {"architecture": {"name": "mlp", "hidden": [3]}}
SMALL = {"examples": 8}
SEEN = {"model": "image-erm", "layers": ["features.2"]}
PERCEPTUAL: list[dict[str, Any]] = [
    {"name": "stadv", "steps": 1},
    {"name": "recoloradv", "steps": 1, "form": "corrected"},
    {"name": "jpeg", "steps": 1},
    {"name": "lagrangian_perceptual", "steps": 1, "features": {"layers": ["features.1"]}},
]
NOT_RUN = {
    "robustrepro.datasets.cifar10",
    "robustrepro.datasets.imagenet",
    "robustrepro.datasets.mnist",
    "robustrepro.figures.contact_sheet",
    "robustrepro.measures.corrupted",
    "robustrepro.measures.corrupted_samples",
    "robustrepro.models.preprocessing.colour_space",
    "robustrepro.models.resnet",
    "robustrepro.models.torchvision_network",
    "robustrepro.tables.corruption_errors",
}
"""Official files, colour images and a network too large for a test; each imports what others import, too."""


UNDER_FGSM = (
    "cut",
    "remove_rarely_active",
    "remove_and_truncate",
    "early",
    "prepared",
    "attacked",
    "flattened",
    "averaged",
    "beforehand",
    "blocks",
    "pairs",
    "normalised-pairs",
    "deep",
    "seeing",
    "image-hrm",
)
"""Models whose only number is their accuracy under FGSM."""


def add_models(declared: Declarations, mirror: Path) -> None:
    """Declare models and data sets of every origin; the given one's weights lie in the mirror."""
    models = declared.paper["models"]
    for name, model in models.items():
        # Transfer needs a second seed, and a path several updates.
        small = {"batch_size": 64, "seeds": 2} if name.startswith("image") else {"batch_size": 8, "seeds": 1}
        model |= {"epochs": 1, **small}
    for (name, objective), schedule in zip(OBJECTIVES.items(), SCHEDULES, strict=False):
        sgd = {"name": "sgd", "learning_rate": schedule, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}
        models[name] = {**models["points-erm"], "objective": objective, "optimizer": sgd, "test_accuracy": True}
    models["image-hrm"] |= {"augmentation": {"name": "crop_and_flip", "padding": 1}}
    models["image-hrm"]["optimizer"] = {"name": "sgd", "learning_rate": SCHEDULES[2]}
    preprocessing = [
        {"name": "standardise", "mean": [0.1], "std": [0.3]},
        {"name": "pad", "size": 30},
        {"name": "input_normalisation"},
    ]
    convnet = {"name": "convnet", "channels": [2]}
    models["prepared"] = {
        **models["image-erm"],
        "network": {"architecture": convnet, "preprocessing": preprocessing},
    }
    local = {"name": "local_contrast_normalisation", "channels": [0], "size": 3}
    pooled = {"name": "pooled_convnet", "channels": [2], "kernel": 5, "pools": [3], "hidden": [4]}
    models["attacked"] = {
        **models["image-erm"],
        "network": {"architecture": pooled, "preprocessing": [local]},
        "objective": {"name": "adversarial", "adversary": FGSM},
    }
    strided = {"name": "strided_convnet", "channels": [2], "kernel": 5, "stride": 2, "hidden": [4]}
    models["flattened"] = {
        **models["image-erm"],
        "network": {"architecture": strided},
        "objective": {
            "name": "gradient_regularisation",
            "function": "margin",
            "norm": "l2",
            "coefficient": 1.0,
            "beside": {"name": "adversarial", "adversary": FGSM},
        },
    }
    averaged = {"name": "averaged_convnet", "channels": [2], "strides": [2]}
    ramped = {"name": "ramped_adversarial", "ramp": 1, "adversary": {**PGD, "steps": 1}}
    models["averaged"] = {**models["image-erm"], "network": {"architecture": averaged}, "objective": ramped}
    torch7 = {"name": "torch7_sgd", "learning_rate": 0.01, "momentum": 0.9}
    models["beforehand"] = {**models["image-erm"], "dataset": "prepared-once", "optimizer": torch7}
    models["blocks"] = {
        **models["image-erm"],
        "network": {"architecture": {"name": "block_convnet", "stem": 2, "channels": [2]}},
        "objective": {"name": "label_smoothing", "smoothing": 0.1},
    }
    pairs = {"epsilon": 0.1, "stability": 1.0, "hamming": 1.0}
    for name, architecture in {
        "pairs": {"name": "carlini_wagner", "channels": [2], "hidden": [3]},
        "normalised-pairs": {"name": "preact_resnet18", "width": 2},
    }.items():
        objective = {"name": "hamming" if name == "pairs" else "dense_hamming", **pairs}
        models[name] = {**models["image-erm"], "network": {"architecture": architecture}, "objective": objective}
    compared = {"name": "cifar_alexnet", "channels": [2] * 5, "hidden": [3]}
    models["compared"] = {**models["image-erm"], "dataset": "digits_rgb", "network": {"architecture": compared}}
    fast = {"name": "fast_lagrangian_perceptual", "steps": 1, "features": SEEN}
    models["seeing"] = {**models["image-erm"], "objective": {"name": "adversarial", "adversary": fast}}
    models["deep"] = {**models["image-erm"], "network": {"architecture": {"name": "vgg", "channels": [2] * 5}}}
    change = {"name": "truncate_singular_values", "layer": "classifier.3", "percent": 50}
    models["cut"] = {"derived": {"from": "image-erm", "change": change}}
    for name in ("remove_rarely_active", "remove_and_truncate"):
        models[name] = {"derived": {"from": "image-erm", "change": {**change, "name": name}}}
    models["image-erm"] |= {"checkpoints": [1]}
    models["early"] = {"derived": {"from": "image-erm", "change": {"name": "checkpoint", "epoch": 1}}}
    network = build_network(Network.model_validate(GIVEN), (2,), 2)
    mirror.mkdir()
    save_file(dict(network.state_dict()), mirror / "given.safetensors")
    digest = hashlib.sha256((mirror / "given.safetensors").read_bytes()).hexdigest()
    given = {"file": "given.safetensors", "sha256": digest}
    models["given"] = {"given": given, "dataset": "two_moons", "network": GIVEN}
    declared.paper["datasets"] = {
        "noisy": {"generated": {"from": "digits", "by": {"name": "gaussian_noise", "standard_deviation": 0.1}}},
        "validation": {"held_out": {"from": "digits", "examples": 100}},
        "part": {"sampled": {"from": "digits", "train": 200, "test": 50}},
        "fooling": {"adversarial": {"model": "image-erm", "attacks": [FGSM]}},
        "prepared-once": {
            "generated": {
                "from": "digits",
                "split": "both",
                "by": {"name": "preprocessing", "steps": [{"name": "standardise", "mean": 0.1, "std": 0.3}]},
            }
        },
        "points-validation": {"held_out": {"from": "two_moons", "examples": 20}},
    }
    declared.scales["quick"] |= {"seeds": 1, "models": {}}


def add_measures(declared: Declarations) -> None:
    """Declare measures of every kind, with every attack."""
    noise = {"name": "noise", "epsilon": 0.1, "draws": 2}
    attacks: list[dict[str, Any]] = [
        FGSM,
        {**PGD, "name": "bim"},
        {**PGD, "name": "mi_fgsm"},
        noise,
        AUTOATTACK,
        {"name": "deepfool", "steps": 2},
        {**PGD, "loss": "training", "restarts": 2, "norm": "l2"},
        {**PGD, "loss": "margin", "norm": "l1"},
        {**PGD, "loss": "log_odds", "precision": "float64"},
        {**PGD, "search": "bfloat16"},
        {"name": "legacy_fgsm", "steps": 20},
        {"name": "legacy_deepfool", "steps": 2},
        {"name": "legacy_carlini_wagner", "max_iterations": 2},
        {"name": "rays", "epsilon": 0.1, "queries": 5},
        {"name": "hop_skip_jump", "epsilon": 0.1, "steps": 1, "samples": 100},
    ]
    in_colour = {f"seen{number}": {"attack": attack, **SMALL} for number, attack in enumerate(PERCEPTUAL)}
    seen_by = {"name": "lagrangian_perceptual", "steps": 1, "features": SEEN, "form": "corrected"}
    curves = [{"name": "fgsm"}] + [{"name": name, "steps": 2, "relative_step": 0.5} for name in ("bim", "pgd")]
    declared.paper["measures"] |= {
        **{f"attack{number}": {"attack": attack, **SMALL} for number, attack in enumerate(attacks)},
        **in_colour,
        "seen-by": {"attack": seen_by, **SMALL},
        **{
            f"curve{number}": {"curve": {"epsilons": [0.1, 0.2], "attack": attack}, **SMALL}
            for number, attack in enumerate(curves)
        },
        "losses": {"losses": {}},
        "sweep": {
            "weight_perturbation": {"attack": FGSM, "layer": "classifier.3", "every": 50},
            **SMALL,
        },
        "surface": {
            "surface": {
                "space": "inputs",
                "directions": ["random", "margin"],
                "functions": ["margin"],
                "reach": 0.1,
                "resolution": 3,
                "images": [0],
            }
        },
        "gradients": {"input_gradients": {"images": [0]}},
        "geometry": {"input_geometry": {"functions": ["cross_entropy"]}, **SMALL},
        "neighbours": {"nearest_neighbours": {}, "examples": 5},
        "verified": {"verification": {"attack": {**PGD, "loss": "margin"}, "seconds": 1}, "examples": 2},
        "over-epochs": {"over_epochs": {"attack": {**FGSM, "loss": "clipped_cross_entropy"}}, **SMALL},
        "path": {"training_path": {"every": 2}},
        "in-parts": {"attack": FGSM, **SMALL, "shards": 2},
        "on-noisy": {"attack": {"name": "clean"}, "data": "noisy", **SMALL},
        "on-held-out": {"attack": {"name": "clean"}, "data": "validation", **SMALL},
        "on-part": {"attack": {"name": "clean"}, "data": "part", **SMALL},
        "on-fooling": {"attack": {"name": "clean"}, "data": "fooling", "examples": 2},
        "samples": {"samples": {"count": 2}, "data": "fooling"},
        "history": {"history": {}},
    }


def add_tables(declared: Declarations) -> None:
    """Declare tables of every statistic, with expressions, worst cases, and rows that are only published."""
    tables, measures = declared.paper["tables"], declared.paper["measures"]
    declared.add_transfer("transfer", white_box=True)
    declared.add_transfer_from("image-erm")
    attacks = [name for name in measures if name.startswith("attack")]
    columns: dict[str, Any] = {name: {"label": name, "measure": name} for name in attacks if name != "attack5"}
    columns |= {
        "deepfool": {"label": "distance", "measure": "attack5", "statistic": {"median": "queries"}},
        "worst": {"label": "worst", "measure": ["attack0", "attack1"]},
        "parts": {"label": "parts", "measure": "in-parts"},
        "difference": {"label": "difference", "value": "this[attack0] / hrm[attack0] - this[parts] * 2"},
    }
    for name in ("mean", "median", "total", "maximum"):
        columns[name] = {"label": name, "measure": "losses", "statistic": {name: "loss"}}
    above = {"median_above": {"column": "loss", "threshold": 0}}
    columns["median-above"] = {"label": "median above", "measure": "losses", "statistic": above}
    zeros = {"percentage": "gradient_zeros"}
    columns["zeros"] = {
        "label": "zeros",
        "measure": "geometry",
        "rows": {"function": "cross_entropy"},
        "statistic": zeros,
    }
    columns["steepness"] = {"label": "steepness", "measure": "geometry", "rows": {"function": "cross_entropy"}}
    columns["sweep"] = {
        "label": "sweep",
        "measure": "sweep",
        "rows": {"method": "remove_and_truncate", "percent": 50},
        "statistic": {"accuracy_within": {"epsilon": 0.1}},
    }
    for kind in ({"failures": "zero"}, {"failures": "largest", "of": "median"}):
        columns[f"score-{kind['failures']}"] = {
            "label": f"score {kind['failures']}",
            "measure": "attack5",
            "statistic": {"score": kind},
        }
    columns["carriers"] = {"label": "carriers", "measure": "attack5", "statistic": {"score": {"of": "carriers"}}}
    tenth = {"percentile": {"column": "distance", "rank": 10}}
    columns["tenth"] = {"label": "tenth", "measure": "neighbours", "statistic": tenth}
    columns["count"] = {"label": "count", "measure": "losses", "statistic": "count"}
    settled = {"settled": {"column": "loss", "within": 0.1}}
    columns["settled"] = {"label": "settled", "measure": "history", "statistic": settled}
    share = {"share": {"column": "loss", "below": 1}}
    columns["share"] = {"label": "share", "measure": "losses", "statistic": share}
    columns["seen-by"] = {"label": "size", "measure": "seen-by", "statistic": {"mean": "size"}}
    rows = {**tables["accuracy"]["rows"], "other": {"label": "Other", "published_only": True}}
    printed = {"": [column["label"] for column in columns.values()]}
    printed |= {row: [text] * len(columns) for row, text in (("ERM", "98.7 ± 0.1"), ("HRM", "-"), ("Other", "56.22"))}
    declared.published["everything.csv"] = "\n".join(",".join([row, *texts]) for row, texts in printed.items()) + "\n"
    table = {"where": "Table 4", "caption": "Everything", "published": "everything.csv"}
    tables["everything"] = {**table, "rows": rows, "columns": columns}
    origins = {name: {"label": name, "model": name} for name in UNDER_FGSM}
    tables["seen"] = {
        "where": "Table 6",
        "caption": "Seen",
        "rows": {"compared": {"label": "compared", "model": "compared"}},
        "columns": {f"seen{number}": {"label": str(number), "measure": f"seen{number}"} for number in range(4)},
    }
    tables["verified"] = {
        "where": "Table 6",
        "caption": "Verified",
        "rows": {"flattened": {"label": "flattened", "model": "flattened"}},
        "columns": {"verified": {"label": "verified", "measure": "verified"}},
    }
    tables["origins"] = {
        "where": "Table 5",
        "caption": "Origins",
        "rows": origins,
        "columns": {
            name: {"label": name, "measure": name} for name in ("on-noisy", "on-held-out", "on-part", "on-fooling")
        },
    }
    tables["points"] = {
        "where": "Table 6",
        "caption": "Points",
        "rows": {name: {"label": name, "model": name} for name in (*OBJECTIVES, "given")},
        "columns": {"clean": {"label": "clean", "measure": "clean"}},
    }


def add_figures(declared: Declarations) -> None:
    """Declare figures of every kind."""
    panels = [{"label": "ERM", "model": "points-erm"}, {"label": "HRM", "model": "points-hrm"}]
    x = {"column": "loss", "label": "loss"}
    curves = [{"label": name, "model": "image-erm", "measure": name} for name in ("curve0", "curve1", "curve2")]
    over_epochs = {
        "name": "lines",
        "x": {"column": "epoch", "label": "epoch"},
        "series": [{"label": "ERM", "model": "image-erm", "measure": "over-epochs", "y": "without_gradient"}],
        "references": [{"y": 50, "label": "as printed", "hue": "ERM"}],
    }
    losses = [{"label": name, "model": name, "measure": "losses"} for name in ("image-erm", "image-hrm")]
    batch = {"losses": "image-hrm", "accuracy": {"ERM": "image-erm"}}
    dominance = {
        "measure": "attack0",
        "losses_measure": "losses",
        "batches": [{"batch_size": 4, **batch}, {"batch_size": 8, **batch}],
    }
    figures: list[dict[str, Any]] = [
        {"name": "training_gradients", "measure": "path", "panels": panels},
        {"name": "training_paths", "measure": "path", "panels": panels},
        {"name": "gradient_pair", "losses": [1, 2], "lengths": [1, 1.5], "angle": 60},
        {"name": "kernel_sketch", "points": [[0, 0], [1, 0], [0, 1], [1, 1], [2, 2]], "gamma": 1.0},
        {"name": "curvature_sketch", "slope_at": 0.4, "curvature_at": 1.8},
        {"name": "relaxed_hamming_sketch", "sharpness": 1.0},
        {"name": "diagonal_dominance", **dominance},
        {"name": "heat_map", "table": "transfer"},
        {"name": "lines", "x": {"column": "epsilon", "label": "ε"}, "series": curves, "clean_at": 0},
        {"name": "histogram", "x": x, "series": losses},
        {"name": "scatter", "x": x, "y": {"column": "index", "label": "index"}, "series": losses},
        {"name": "adversarial_samples", "model": "image-erm", "measure": "samples"},
        {"name": "image_gradients", "measure": "gradients", "panels": [{"label": "ERM", "model": "image-erm"}]},
        {
            "name": "surfaces",
            "panels": [{"label": "ERM", "model": "image-erm", "measure": "surface", "function": "margin"}],
        },
        {"name": "table_scatter", "table": "accuracy", "x": "clean", "y": "pgd", "log_x": True, "correlation": True},
    ]
    for key, figure in {
        **{each["name"].replace("_", "-"): each for each in figures},
        "over-epochs": over_epochs,
    }.items():
        declared.paper["figures"][key] = {
            "where": "Figure 2",
            "caption": "A figure",
            "figure": figure,
        }


def add_readings(declared: Declarations) -> None:
    """Declare a reading that is searched beside the default, and a claim that it concerns."""
    plain = {"unsaid": "The epochs.", "where": "Section 5", "why": "Few.", "choices": {"epochs": 1}}
    candidates = {str(epochs): {"models": {"points-cem": {"epochs": epochs}}} for epochs in (1, 2)}
    search = {
        "candidates": candidates,
        "data": {"two_moons": "points-validation"},
        "largest": "points[points-cem, clean]",
        "among": ["points[points-cem, clean] >= 1"],
    }
    tuned = {**plain, "search": search, "concerns": {"tables": ["points"]}}
    declared.paper["readings"] = {"plain": plain, "tuned": tuned}
    declared.paper["claims"]["points"] = {
        "says": "It classifies points.",
        "where": "Table 6",
        "holds_if": ["points[points-cem, clean] >= points[given, clean]"],
        "margins": "None.",
    }


def everything(folder: Path) -> Plan:
    """Return the plan of a paper with something of everything."""
    declared = Declarations(folder / "declared")
    add_models(declared, folder / "mirror")
    add_measures(declared)
    add_tables(declared)
    add_figures(declared)
    add_readings(declared)
    # PGD that hardly moves is beaten by FGSM: an alarm, which brings attacks on differentiable copies.
    weak = {"name": "pgd", "steps": 1, "step_size": 1e-4, "random_start": False}
    autoattack = {key: value for key, value in AUTOATTACK.items() if key != "epsilon"}
    attacks = {**AUDIT["attacks"], "pgd": weak, "autoattack": autoattack}
    declared.audit = {**AUDIT, "examples": 10, "attacks": attacks}
    return declared.plan()


def implementations(declaration: type[Declaration] = Declaration) -> Iterator[str]:
    """Yield the implementations of all declarations."""
    for each in declaration.__subclasses__():
        if "implementation" in vars(each):
            yield vars(each)["implementation"]
        yield from implementations(each)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Traced]:
    """Run all jobs and return, by each one's first output, what its step executed."""
    folder = tmp_path_factory.mktemp("pipeline")
    plan = everything(folder)
    made: dict[str, Traced] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ROBUSTREPRO_MIRROR", str(folder / "mirror"))
        patch.setenv("ROBUSTREPRO_DEVICE", "cpu")
        patch.setattr("robustrepro.provenance.commit", lambda: "unknown")
        files = [*plan.presented.files_of("small"), f"{plan.folder}/scorecard.csv", f"{plan.folder}/report/index.html"]
        for file, job in jobs_for(plan, files):
            spec = json.loads(job.spec)
            work, run = work_of(file, job, spec), run_of(job)
            made[file] = traced(partial(run, work), job.step, spec["runs"])
            assert all(output.exists() for output in work.outputs), file
    return made


@pytest.mark.parametrize("step", STEPS)
def test_a_step_executes_nothing_that_its_digest_lacks(pipeline: dict[str, Traced], step: str) -> None:
    of_step = {file: each.beyond for file, each in pipeline.items() if each.step == step}
    assert of_step, f"no job of the step {step} was run"
    assert {file: beyond for file, beyond in of_step.items() if beyond} == {}


def test_the_pipeline_runs_what_declarations_stand_for(pipeline: dict[str, Traced]) -> None:
    modules = {module for each in pipeline.values() for module, _ in each.calls}
    declared = {target.partition(":")[0] for target in implementations() if target.startswith("robustrepro.")}
    assert declared >= NOT_RUN
    assert declared - modules <= NOT_RUN, "add it to the small paper of tests/in_process.py"
    assert "robustrepro.audits.copies" in modules  # no declaration names what an alarm brings


# -- what the trace finds ------------------------------------------------------------------------------------


def test_a_function_of_a_declarations_module_would_be_found() -> None:
    template = {"name": "pgd", "steps": 2}
    step = traced(lambda: attack_at(template, "linf", 0.1), "measure", [])
    assert step.beyond == {("robustrepro.spec.audit", "attack_at")}


def test_code_of_ours_outside_the_digest_would_be_found() -> None:
    assert traced(lambda: value_at(1.0, 0.0), "train", []).beyond == set()
    assert traced(lambda: value_at(1.0, 0.0), "gather", []).beyond == {("robustrepro.schedules", "value_at")}


def test_validating_a_declaration_is_no_leak() -> None:
    content = {"name": "pgd", "epsilon": "8/255", "steps": 2, "step_size": 0.1, "restarts": 2}
    with executed() as calls:
        assert attack_adapter.validate_python(content).model_fields_set
    assert calls == set()
    assert validators_of(inspect.getfile(Pgd)) >= {"_restarts_differ", "_search_is_below_the_precision"}


# -- what steps import of declarations -----------------------------------------------------------------------

CONSTANTS = {("robustrepro.datasets.official", "DATASETS"), ("robustrepro.words", "ATTACKS")}
"""What no number is made of: a message names the data set that a wrong file belongs to, and texts name an attack."""


def is_declaration(value: Any) -> bool:
    """Tell whether a value is a declaration or a type made of such: nothing that computes or configures."""
    is_type = get_origin(value) is not None or isinstance(value, UnionType | TypeAdapter)
    return is_type or (isinstance(value, type) and issubclass(value, BaseModel))


def test_what_steps_import_of_declarations_are_declarations_and_types() -> None:
    ours = {target.partition(":")[0] for target in (*STEPS.values(), *implementations())}
    modules = modules_of(frozenset(module for module in ours if module.startswith("robustrepro.")))
    assert len(modules) > 80
    others = set()
    for module in modules:
        source = importlib.util.find_spec(module)
        assert source is not None
        assert source.origin is not None
        for node in ast.walk(ast.parse(Path(source.origin).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and within(node.module, [DECLARATIONS]):
                imported = importlib.import_module(node.module)
                others |= {
                    (module, alias.name) for alias in node.names if not is_declaration(getattr(imported, alias.name))
                }
    assert others - CONSTANTS == set()
    assert others >= CONSTANTS

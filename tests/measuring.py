"""Measurements through their step: networks of random weights, and what the file that the step writes holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from robustrepro.measures import step
from robustrepro.measures.store import as_arrays, read_columns
from robustrepro.models.build import build_network
from robustrepro.spec.measurements import Measurement, measure_of
from robustrepro.spec.networks import Network
from robustrepro.steps import Work

MLP: dict[str, Any] = {"architecture": {"name": "mlp", "hidden": [4]}}
LENET: dict[str, Any] = {"architecture": {"name": "lenet5"}}
CODE = "c0de"
Model = tuple[dict[str, Any], Path]
"""What a spec says of a model, and its checkpoint."""


def checkpoint(path: Path, network: Mapping[str, Any], *, seed: int = 0) -> tuple[Path, nn.Module]:
    """Write a network's initial weights, for points if it is an MLP and for small images otherwise; return both."""
    declared = Network.model_validate(network)
    shape, classes = ((2,), 2) if declared.architecture.name == "mlp" else ((1, 28, 28), 10)
    model = build_network(declared, shape, classes, seed=seed).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path, model


def described(weights: Path, model: str = "m", seed: int = 3, **parts: Any) -> Model:
    """Return a model as a measurement's spec has it, with its checkpoint."""
    return {"model": model, "seed": seed, **parts}, weights


def spec_of(
    declared: Measurement | Mapping[str, Any],
    subjects: Sequence[Model],
    targets: Sequence[Model] = (),
    shard: tuple[int, int] | None = None,
    features: Sequence[Model] = (),
) -> dict[str, Any]:
    """Return the spec of a measurement, as the plan makes it; a mapping is a measure as papers declare it."""
    measure = declared if isinstance(declared, Measurement) else measure_of(dict(declared), "the measure")
    spec: dict[str, Any] = {
        "measure": measure.model_dump(mode="json", exclude={"shards"}, exclude_none=True),
        "declared_by": f"{type(measure).__module__}:{type(measure).__name__}",
        "subjects": [subject for subject, _ in subjects],
    }
    if targets:
        spec["targets"] = [target for target, _ in targets]
    if features:
        spec["features"] = [model for model, _ in features]
    if shard:
        spec["shard"] = list(shard)
    return spec


def measure(
    output: Path,
    data: Path | None,
    declared: Measurement | Mapping[str, Any],
    subjects: Sequence[Model],
    targets: Sequence[Model] = (),
    shard: tuple[int, int] | None = None,
    checkpoints: Path | None = None,
    history: Path | None = None,
    features: Sequence[Model] = (),
) -> Path:
    """Run the step on a data set's folder and return its output."""
    inputs = {"weights": [weights for _, weights in (*subjects, *targets, *features)]}
    for role, file in (("checkpoints", checkpoints), ("history", history)):
        if file is not None:
            inputs[role] = [file]
    if data is not None:
        inputs["data"] = [data / "manifest.json"]
    step.run(Work(spec_of(declared, subjects, targets, shard, features), CODE, inputs, [output]))
    return output


def measured(output: Path, *arguments: Any, **options: Any) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Measure as :func:`measure` does; return the columns as lists, and the origin."""
    return read(measure(output, *arguments, **options))


def read(path: Path) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return a measurement's columns as lists, and its origin."""
    table, origin = read_columns(path)
    return {name: values.tolist() for name, values in as_arrays(table).items()}, origin

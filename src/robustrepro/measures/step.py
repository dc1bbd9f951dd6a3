"""The step ``measure``: one measurement of one model (or pair) with one seed, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from robustrepro import provenance
from robustrepro.canonical import canonical_json
from robustrepro.devices import claimed_device, device_name
from robustrepro.implementations import resolve
from robustrepro.measures.store import write_measurement
from robustrepro.measures.trained import Trained
from robustrepro.precision import true_float32
from robustrepro.steps import Progress, Work

Values = np.ndarray[Any, Any] | Tensor
Columns = Mapping[str, Values]
"""Columns of equal length, by name."""


class Measured(NamedTuple):
    """Columns, and what else is to be kept of a measurement in its metadata, as plain data."""

    columns: Columns
    notes: Mapping[str, Any]


Measure = Callable[[Trained, Any, Progress], Columns | Measured]


def run(work: Work) -> None:
    """Measure a model and write one file.

    Parameters
    ----------
    work
        Spec: ``measure``, ``declared_by``, ``subjects``, ``targets``, ``features``, ``shard``. Inputs: ``data`` (a
        manifest), ``weights`` (of subjects, targets, and models whose features are compared, in this order) and, where
        the kind asks for them, ``checkpoints`` and ``history`` of the subject.
        Output: a parquet file.
    """
    usage = provenance.Usage()
    spec, (output,) = work.spec, work.outputs
    kind = resolve(spec["declared_by"])
    declared = kind.model_validate_json(canonical_json(spec["measure"]))
    measure: Measure = resolve(declared.implementation)
    # Float32 means float32 wherever something is measured: TF32 would decide close calls otherwise.
    with claimed_device() as device, true_float32():
        trained = _trained(work, device)
        measure_name = output.parents[2 if "shard" in spec else 1].name  # .../<measure>/<subject>/seed<k>[/<shard>]
        with Progress(f"{trained.model}, seed {trained.seed}, {measure_name}") as progress:
            result = measure(trained, declared, progress)
        used = device_name(device)
    columns, notes = result if isinstance(result, Measured) else (result, {})
    if "index" in columns:
        columns = {**columns, **trained.origins_of(torch.as_tensor(columns["index"]))}
    arrays = {name: values.numpy() if isinstance(values, Tensor) else values for name, values in columns.items()}
    write_measurement(output, arrays, _origin(work, trained, usage, used) | ({"notes": notes} if notes else {}))


def _trained(work: Work, device: torch.device) -> Trained:
    """Return the first subject; the others are beside it."""
    described = [*work.spec["subjects"], *work.spec.get("targets", []), *work.spec.get("features", [])]
    manifest = next(iter(work.inputs.get("data", [])), None)
    folder = manifest.parent if manifest else None
    shard = work.spec.get("shard")
    first, *others = zip(described, work.inputs["weights"], strict=True)
    beside = [Trained(other, weights, folder, device) for other, weights in others]
    checkpoints, history = (next(iter(work.inputs.get(role, [])), None) for role in ("checkpoints", "history"))
    return Trained(*first, folder, device, tuple(shard) if shard else None, beside, checkpoints, history)


def _origin(work: Work, trained: Trained, usage: provenance.Usage, device: str) -> dict[str, Any]:
    """Return the account that is stored with the columns."""
    models = [(each.model, each.seed, each.weights, each.checkpoints) for each in (trained, *trained.others)]
    manifest = next(iter(work.inputs.get("data", [])), None)
    return provenance.origin_of(work.spec, work.code, models, manifest, device) | usage.measured()

"""The step ``measure-losses``: the cross-entropy of every example of a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from robustrepro import provenance
from robustrepro.datasets.tensors import as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import write_measurement
from robustrepro.models.build import load_model
from robustrepro.objectives.base import cross_entropies

BATCH_SIZE = 1000


def measure_losses(
    spec: dict[str, Any], code: str, *, model_name: str, seed: int, data: Path, weights: Path, output: Path
) -> None:
    """Evaluate one model on a split, as it is, and write one row an example.

    Columns: ``index`` in its split, ``label``, ``prediction`` and ``loss``, the cross-entropy Lᵢ in nats (float32).

    Parameters
    ----------
    spec, code
        The resolved spec (architecture, split, number of examples) and the digest of the sources.
    model_name, seed, data, weights
        The model, its seed, its data set's folder and its checkpoint.
    output
        The parquet file to write.
    """
    usage = provenance.Usage()
    split = load(data, spec["split"])
    examples, labels = split.inputs[: spec["examples"]], split.labels[: spec["examples"]]
    with claimed_device() as device, torch.no_grad():
        model = load_model(weights, spec["architecture"], tuple(examples.shape[1:]), split.classes).to(device)
        logits = torch.cat([model(as_float(batch.to(device))) for batch in torch.split(examples, BATCH_SIZE)]).cpu()
        used = device_name(device)
    columns = {
        "index": torch.arange(len(labels)),
        "label": labels,
        "prediction": logits.argmax(1),
        "loss": cross_entropies(logits, labels),
    }
    origin = origin_of(
        "losses",
        spec,
        code,
        [(model_name, seed, weights)],
        usage,
        device=used,
        data_manifest_sha256=split.manifest_sha256,
        data_verified=split.verified,
    )
    write_measurement(output, {name: values.numpy() for name, values in columns.items()}, origin)

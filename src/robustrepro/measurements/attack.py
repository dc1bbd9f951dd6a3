"""The step ``measure-attack``: one model with one seed under one attack, image by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from robustrepro import provenance
from robustrepro.attacks.measure import measure
from robustrepro.attacks.threat_models import box_of
from robustrepro.datasets.tensors import as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import write_measurement
from robustrepro.models.build import load_model
from robustrepro.spec.attacks import attack_adapter
from robustrepro.spec.registry import OBJECTIVES, configured
from robustrepro.steps import ProgressBar


def measure_attack(
    spec: dict[str, Any], code: str, *, model_name: str, seed: int, data: Path, weights: Path, output: Path
) -> None:
    """Attack one model and write what happened to each image.

    Columns: ``index`` in its split, ``label``, ``clean_prediction``, ``prediction`` (of the adversarial image),
    ``clean_margin`` and ``margin`` (logit of the label minus the largest other; below 0 is misclassified), ``linf`` and
    ``l2`` (how far the image was moved, in pixel units), ``queries`` (forward and backward passes) and ``restart``
    (which one broke it; -1 for none).

    Parameters
    ----------
    spec, code
        The resolved spec (attack, split, number of examples, architecture, and the training objective where the attack
        ascends it) and the digest of the sources.
    model_name, seed
        The model and its seed, which is also the seed of the attack's random starts.
    data, weights
        The data set's folder and the checkpoint.
    output
        The parquet file to write.
    """
    usage = provenance.Usage()
    split = load(data, spec["split"])
    count = min(spec.get("examples") or len(split.labels), len(split.labels))
    images, labels = as_float(split.inputs[:count]), split.labels[:count]
    training_loss = None
    if "objective" in spec:
        training_loss = configured(OBJECTIVES, "objective", spec["objective"]).example_losses
    attack = attack_adapter.validate_python(spec["attack"])
    with claimed_device() as device:
        model = load_model(weights, spec["architecture"], tuple(images.shape[1:]), split.classes).to(device)
        with ProgressBar(f"{model_name}, seed {seed}, {output.stem}", count) as progress:
            outcome = measure(
                model,
                images,
                labels,
                torch.arange(count),
                attack,
                seed=seed,
                training_loss=training_loss,
                box=box_of(images),
                progress=progress.advance,
            )
        used = device_name(device)
    columns = {
        "index": torch.arange(count),
        "label": labels,
        "clean_prediction": outcome.clean_prediction,
        "prediction": outcome.prediction,
        "clean_margin": outcome.clean_margin,
        "margin": outcome.margin,
        "linf": outcome.linf,
        "l2": outcome.l2,
        "queries": outcome.queries,
        "restart": outcome.restart,
    }
    origin = origin_of(
        "attack",
        spec,
        code,
        [(model_name, seed, weights)],
        usage,
        device=used,
        data_manifest_sha256=split.manifest_sha256,
        data_verified=split.verified,
    )
    write_measurement(output, {name: values.numpy() for name, values in columns.items()}, origin)

"""The step ``measure-transfer``: adversarial examples made for one model, tried on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from robustrepro import provenance
from robustrepro.attacks.craft import craft
from robustrepro.attacks.subject import predictions
from robustrepro.attacks.threat_models import box_of
from robustrepro.datasets.tensors import as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import stacked, write_measurement
from robustrepro.models.build import load_model
from robustrepro.spec.attacks import crafting_attack_adapter
from robustrepro.spec.registry import OBJECTIVES, configured
from robustrepro.steps import ProgressBar


def measure_transfer(
    spec: dict[str, Any],
    code: str,
    *,
    model_name: str,
    seed: int,
    data: Path,
    weights: Path,
    target_weights: Sequence[Path],
    output: Path,
) -> None:
    """Make adversarial examples for one model, try them on others, and write one row an image, attack and target.

    Every image is attacked to the last step, whether the source gets it right or not. Columns: ``target`` and
    ``target_seed``, ``norm``, ``epsilon``, ``index``, ``label``, ``clean_prediction`` and ``prediction``, both of the
    target.

    Parameters
    ----------
    spec, code
        The resolved spec (attacks, targets, split, examples, the source's architecture, and its objective where an
        attack ascends it) and the digest of the sources.
    model_name, seed, data, weights
        The source, its seed, its data set's folder and its checkpoint.
    target_weights
        The targets' checkpoints, in the spec's order.
    output
        The parquet file to write.
    """
    usage = provenance.Usage()
    split = load(data, spec["split"])
    examples = spec.get("examples")
    images, labels = as_float(split.inputs[:examples]), split.labels[:examples]
    shape, box = tuple(images.shape[1:]), box_of(images)
    training_loss = (
        configured(OBJECTIVES, "objective", spec["objective"]).example_losses if "objective" in spec else None
    )
    parts = []
    with claimed_device() as device:
        source = load_model(weights, spec["architecture"], shape, split.classes).to(device)
        targets = [
            load_model(path, target["architecture"], shape, split.classes).to(device)
            for path, target in zip(target_weights, spec["targets"], strict=True)
        ]
        clean = [predictions(target, images, device) for target in targets]
        with ProgressBar(f"{model_name}, seed {seed}, {output.stem}", len(spec["attacks"])) as progress:
            for attack in spec["attacks"]:
                declared = crafting_attack_adapter.validate_python(attack)
                indices = torch.arange(len(labels))
                made = craft(source, images, labels, indices, declared, seed=seed, training_loss=training_loss, box=box)
                parts += [
                    {
                        "target": target["model"],
                        "target_seed": target["seed"],
                        "norm": attack["norm"],
                        "epsilon": attack["epsilon"],
                        "index": indices.numpy(),
                        "label": labels.numpy(),
                        "clean_prediction": unharmed.numpy(),
                        "prediction": predictions(model, made, device).numpy(),
                    }
                    for target, model, unharmed in zip(spec["targets"], targets, clean, strict=True)
                ]
                progress.advance(1)
        used = device_name(device)
    others = [
        (target["model"], target["seed"], path) for target, path in zip(spec["targets"], target_weights, strict=True)
    ]
    origin = origin_of(
        "transfer",
        spec,
        code,
        [(model_name, seed, weights), *others],
        usage,
        device=used,
        data_manifest_sha256=split.manifest_sha256,
        data_verified=split.verified,
    )
    write_measurement(output, stacked(parts), origin)

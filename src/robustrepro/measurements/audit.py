"""The step ``measure-audit``: one model with one seed under every attack of the audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustrepro import provenance
from robustrepro.attacks.threat_models import box_of
from robustrepro.audit.battery import Battery
from robustrepro.datasets.tensors import as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import stacked, write_measurement
from robustrepro.models.build import load_model
from robustrepro.steps import ProgressBar


def measure_audit(
    spec: dict[str, Any], code: str, *, model_name: str, seed: int, data: Path, weights: Path, output: Path
) -> None:
    """Attack one model with the whole battery and write one row an image, attack and ε.

    Columns: ``norm`` and ``ball`` (the ε of the claim), ``attack``, ``epsilon`` (that of the attack: a smaller one
    where the comparison may have to be repeated there), ``index``, ``label``, ``clean_prediction`` and ``prediction``.
    The alarms are in the metadata, one list a ball.

    Parameters
    ----------
    spec, code
        The resolved spec (balls with their attacks, examples, architecture) and the digest of the sources.
    model_name, seed, data, weights
        The model, its seed, its data set's folder and its checkpoint.
    output
        The parquet file to write.
    """
    usage = provenance.Usage()
    split = load(data, "test")
    images, labels = as_float(split.inputs[: spec["examples"]]), split.labels[: spec["examples"]]
    parts, alarms = [], []
    with claimed_device() as device:
        model = load_model(weights, spec["architecture"], tuple(images.shape[1:]), split.classes).to(device)
        battery = Battery(model, images, labels, seed=seed, box=box_of(images))
        with ProgressBar(f"{model_name}, seed {seed}, audit", len(spec["balls"])) as progress:
            for ball in spec["balls"]:
                outcome = battery.run(ball)
                shared = {
                    "norm": ball["norm"],
                    "ball": ball["epsilon"],
                    "index": battery.indices.numpy(),
                    "label": labels.numpy(),
                    "clean_prediction": battery.clean.numpy(),
                }
                at_ball = [(name, ball["epsilon"], found) for name, found in outcome.predictions.items()]
                below = [("smaller", epsilon, found) for epsilon, found in outcome.smaller.items()]
                parts += [
                    {**shared, "attack": name, "epsilon": epsilon, "prediction": found.numpy()}
                    for name, epsilon, found in at_ball + below
                ]
                alarms.append([alarm.as_data() for alarm in outcome.alarms])
                progress.advance(1)
        used = device_name(device)
    origin = origin_of(
        "audit",
        spec,
        code,
        [(model_name, seed, weights)],
        usage,
        device=used,
        data_manifest_sha256=split.manifest_sha256,
        data_verified=split.verified,
    )
    write_measurement(output, stacked(parts), {**origin, "alarms": alarms})

"""The step ``train``: one model, one seed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from robustrepro import provenance
from robustrepro.canonical import canonical_json
from robustrepro.datasets.tensors import Split, as_float, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.files import atomic_path, sha256_of, write_text
from robustrepro.models.build import build_model
from robustrepro.spec.registry import AUGMENTATIONS, OBJECTIVES, configured
from robustrepro.steps import LOGGER, ProgressBar
from robustrepro.training.loop import Epoch, train
from robustrepro.training.resume import locked, state_path

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "seconds", "images_per_second")


def train_step(
    spec: dict[str, Any], code: str, *, name: str, seed: int, data: Path, weights: Path, history: Path, card: Path
) -> None:
    """Train one model with one seed and write its weights, history and card.

    Parameters
    ----------
    spec, code
        The resolved training spec and the digest of the sources.
    name, seed
        The model's name and seed.
    data
        The data set's folder.
    weights, history, card
        What is written, the card last. An interrupted training leaves its state beside them and continues from it.
    """
    usage = provenance.Usage()
    split = load(data, "train")
    objective = configured(OBJECTIVES, "objective", spec["objective"])
    augment = configured(AUGMENTATIONS, "augmentation", spec["augmentation"]) if "augmentation" in spec else None
    state = state_path(weights.parent, canonical_json(spec), str(seed), code, split.manifest_sha256)
    with claimed_device() as device, locked(state):
        model = build_model(spec["architecture"], tuple(split.inputs.shape[1:]), split.classes, seed=seed).to(device)
        inputs = as_float(split.inputs).to(device)
        if state.exists():
            LOGGER.info("%s, seed %d: continuing an interrupted training", name, seed)
        with ProgressBar(f"{name}, seed {seed}", spec["epochs"]) as progress:

            def report(entry: Epoch) -> None:
                detail = (
                    f"loss {entry['loss']:.4g}, accuracy {entry['accuracy']:.2%}, {entry['seconds']:.1f} s, "
                    f"{entry['images_per_second']} images/s"
                )
                progress.advance(entry["epoch"] - progress.done, detail)

            epochs = train(
                model,
                objective,
                inputs,
                split.labels.to(device),
                spec,
                name=name,
                seed=seed,
                state=state,
                report=report,
                augment=augment,
            )
        tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        with atomic_path(weights) as partial:
            save_file(tensors, partial)
        write_text(history, _history_csv(epochs))
        details = {
            "model": name,
            "seed": seed,
            "spec": spec,
            "code": code,
            "weights_sha256": sha256_of(weights),
            "data_manifest_sha256": split.manifest_sha256,
            "data_verified": split.verified,
            "final": {"training_loss": epochs[-1]["loss"], "training_accuracy": epochs[-1]["accuracy"]}
            | {"test_accuracy": _test_accuracy(model, load(data, "test"), device)},
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            # Of all epochs, also those before an interruption; "seconds" is this process alone.
            "training_seconds": round(sum(epoch["seconds"] for epoch in epochs), 3),
            "device": device_name(device),
            "commit": provenance.commit(),
            "versions": provenance.versions(),
            **usage.measured(),
        }
        if device.type == "cuda":
            details["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
        write_text(card, json.dumps(details, indent=2, sort_keys=True) + "\n")
        state.unlink(missing_ok=True)


def _history_csv(epochs: list[Epoch]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(epochs)
    return stream.getvalue()


@torch.no_grad()
def _test_accuracy(model: torch.nn.Module, split: Split, device: torch.device) -> float:
    """Return the share of test examples that the trained model gets right."""
    model.eval()
    correct = 0
    for inputs, labels in zip(torch.split(split.inputs, 1000), torch.split(split.labels, 1000), strict=True):
        correct += int((model(as_float(inputs).to(device)).argmax(1).cpu() == labels).sum())
    return correct / len(split.labels)

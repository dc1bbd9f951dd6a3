"""The step ``train``: one model, one seed."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from robustrepro import provenance
from robustrepro.canonical import canonical_json
from robustrepro.datasets.tensors import Split, load
from robustrepro.devices import claimed_device
from robustrepro.files import atomic_path, sha256_of, write_text
from robustrepro.models.build import build_network, load_network
from robustrepro.models.card import Made, write_card
from robustrepro.models.evaluation import accuracy_on
from robustrepro.spec.networks import Network
from robustrepro.steps import LOGGER, ProgressBar, Work
from robustrepro.training.checkpoints import Checkpoints
from robustrepro.training.choose import training_of
from robustrepro.training.loop import Epoch, Training, train
from robustrepro.training.resume import locked, state_path


def run(work: Work) -> None:
    """Train one model with one seed and write its weights, checkpoints, history and card.

    Parameters
    ----------
    work
        ``spec`` has ``model``, ``seed`` and what to train (:func:`robustrepro.training.choose.training_of`); ``inputs``
        has ``data``, the data set's manifest. Models whose features the objective compares are under ``features`` in
        the spec (``model``, ``seed`` and ``network`` of each), and their weights, in the same order, in the inputs.
        ``outputs`` are weights, checkpoints, history and card, written in this order. An interrupted training leaves
        its state, and the checkpoints so far, beside them and continues there.
    """
    usage = provenance.Usage()
    weights, checkpoints, history, card = work.outputs
    name, seed = work.spec["model"], work.spec["seed"]
    spec, choice = training_of(work)
    data = work.inputs["data"][0].parent
    split, test = load(data, "train"), load(data, "test")
    described = {"features": work.spec["features"]} if "features" in work.spec else {}
    identity = canonical_json({"model": name, "seed": seed, "training": spec.model_dump(mode="json"), **described})
    features = list(zip(work.spec.get("features", []), work.inputs.get("features", []), strict=True))
    compared = [
        {"model": other["model"], "seed": other["seed"], "weights_sha256": sha256_of(file)} for other, file in features
    ]
    digests = [other["weights_sha256"] for other in compared]
    state = state_path(weights.parent, identity, work.code, split.manifest_sha256, *digests)
    with claimed_device() as device, locked(state):
        model = build_network(spec.network, tuple(split.inputs.shape[1:]), split.classes, seed=seed).to(device)
        others = {other["model"]: _network(other, file, split) for other, file in features}
        training = Training.declared(name, seed, spec, split, device, others)

        kept = Checkpoints(state)

        def test_accuracy(trained: nn.Module) -> float:
            return accuracy_on(test, trained, device)

        if state.exists():
            LOGGER.info("%s, seed %d: continuing an interrupted training", name, seed)
        with ProgressBar(f"{name}, seed {seed}", spec.epochs) as progress:
            epochs = train(
                model,
                training,
                state,
                report=lambda entry: progress.advance(entry["epoch"] - progress.done, _in_words(entry)),
                keep=kept.keep,
                evaluate=test_accuracy if spec.test_accuracy else None,
            )
        model.eval()
        with atomic_path(weights) as partial:
            save_file({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}, partial)
        kept.write(checkpoints, spec.kept_epochs())
        write_text(history, _history_csv(epochs))
        details = {
            **choice,
            "checkpoints_sha256": sha256_of(checkpoints),
            **({"features": compared} if compared else {}),
            "final": {
                "training_loss": epochs[-1]["loss"],
                "training_accuracy": epochs[-1]["accuracy"],
                "test_accuracy": test_accuracy(model),
            },
            # Of all epochs, also those before an interruption; "seconds" is this process alone.
            "training_seconds": round(sum(epoch["seconds"] for epoch in epochs), 3),
        }
        write_card(card, work, weights, Made(model, split, device, usage), details)
        state.unlink(missing_ok=True)
        kept.remove()


def _network(described: Mapping[str, Any], weights: Path, split: Split) -> nn.Module:
    """Return the trained network of another model on the same kind of images."""
    network = Network.model_validate(described["network"])
    return load_network(weights, network, tuple(split.inputs.shape[1:]), split.classes)


def _in_words(entry: Epoch) -> str:
    test = f", test accuracy {entry['test_accuracy']:.2%}" if "test_accuracy" in entry else ""
    return (
        f"loss {entry['loss']:.4g}, accuracy {entry['accuracy']:.2%}{test}, {entry['seconds']:.1f} s, "
        f"{entry['images_per_second']} images/s"
    )


def _history_csv(epochs: list[Epoch]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(epochs[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(epochs)
    return stream.getvalue()

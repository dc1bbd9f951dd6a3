"""The step ``measure-training-path``: a training repeated, with its parameters and gradients along the way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustrepro import provenance
from robustrepro.datasets.tensors import Split, load
from robustrepro.devices import claimed_device, device_name
from robustrepro.errors import UserError
from robustrepro.measurements.origin import origin_of
from robustrepro.measurements.store import write_measurement
from robustrepro.models.build import build_network, load_network
from robustrepro.spec.networks import Network
from robustrepro.spec.training import TrainingSpec
from robustrepro.steps import ProgressBar
from robustrepro.training.loop import Training, train

RELATIVE_TOLERANCE = 1e-4
ABSOLUTE_TOLERANCE = 1e-6
"""How far the repeated training's weights may be from the checkpoint's. On a CPU they are the same bits; kernels of a
GPU may round differently from run to run."""


class PathRecorder:
    """Keeps the parameters and the gradient of every n-th update, n = ``every``, from update 0 on."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._seen = 0
        self.updates: list[int] = []
        self.values: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def __call__(self, model: nn.Module) -> None:
        """Look at a model whose parameters hold the gradient that is about to change them."""
        if self._seen % self._every == 0:
            parameters = list(model.parameters())
            self.updates.append(self._seen)
            self.values.append(_flat(parameters))
            self.gradients.append(
                _flat(torch.zeros_like(each) if each.grad is None else each.grad for each in parameters)
            )
        self._seen += 1


def measure_training_path(
    spec: dict[str, Any], code: str, *, model_name: str, seed: int, data: Path, weights: Path, output: Path
) -> None:
    """Train a model once more and write one row a recorded update and parameter.

    Columns: ``update`` (0, n, 2n, ...), ``parameter`` (0, 1, ..., in the order of the model's parameter tensors, each
    flattened), ``value`` before the update and ``gradient`` of the training objective on the update's batch.

    Parameters
    ----------
    spec, code
        The resolved spec (``training``: the model's training spec; ``every``: n) and the digest of the sources.
    model_name, seed, data, weights
        The model, its seed, its data set's folder and its checkpoint.
    output
        The parquet file to write.

    Raises
    ------
    UserError
        If the repeated training does not end at the checkpoint: the path would be another model's.
    """
    usage = provenance.Usage()
    split = load(data, "train")
    training = TrainingSpec.model_validate(spec["training"])
    stored = load_network(weights, *_shape(training, split))
    recorder = PathRecorder(spec["every"])
    with claimed_device() as device:
        model = _train_anew(training, split, model_name, seed, device, recorder)
        used = device_name(device)
    _require_same(model, stored, f"model {model_name}, seed {seed}", weights)
    updates, parameters = len(recorder.updates), len(recorder.values[0])
    columns = {
        "update": np.repeat(np.array(recorder.updates, dtype=np.int32), parameters),
        "parameter": np.tile(np.arange(parameters, dtype=np.int32), updates),
        "value": torch.cat(recorder.values).numpy(),
        "gradient": torch.cat(recorder.gradients).numpy(),
    }
    origin = origin_of(
        "training_path",
        spec,
        code,
        [(model_name, seed, weights)],
        usage,
        device=used,
        data_manifest_sha256=split.manifest_sha256,
        data_verified=split.verified,
    )
    write_measurement(output, columns, origin)


def _train_anew(
    spec: TrainingSpec, split: Split, name: str, seed: int, device: torch.device, recorder: PathRecorder
) -> nn.Module:
    """Return the model trained as the step ``train`` trains it, seen by the recorder in every update."""
    model = build_network(*_shape(spec, split), seed=seed).to(device)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProgressBar(f"{name}, seed {seed}, path", spec.epochs) as progress,
    ):
        train(
            model,
            Training.declared(name, seed, spec, split, device),
            Path(folder) / "state.safetensors.partial",
            report=lambda _: progress.advance(1),
            observe=recorder,
        )
    return model.cpu()


def _shape(spec: TrainingSpec, split: Split) -> tuple[Network, tuple[int, ...], int]:
    """Return network, shape of an example and number of classes, of which a model is built."""
    return spec.network, tuple(split.inputs.shape[1:]), split.classes


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    """Return a copy of all elements as one vector on the CPU, whatever the tensors' memory format."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).cpu()


def _require_same(model: nn.Module, stored: nn.Module, what: str, weights: Path) -> None:
    expected = stored.state_dict()
    differences = {
        key: float((found - expected[key]).abs().max())
        for key, found in model.state_dict().items()
        if not torch.allclose(found, expected[key], rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE)
    }
    if differences:
        raise UserError(
            f"{what}: trained anew, it does not end at {weights}: {', '.join(differences)} differ by up to "
            f"{max(differences.values()):.2g}. A path must be that of the model in the tables: delete the folder "
            f"{weights.parent} and run again on this machine"
        )

"""A training repeated, with its parameters and gradients along the way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.models.build import build_network, load_network
from robustrepro.spec.measurements import TrainingPath
from robustrepro.steps import Progress
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


def measure(trained: Trained, declared: TrainingPath, progress: Progress) -> Columns:
    """Train a model once more and return one row per recorded update and parameter.

    Returns
    -------
    ``update`` (0, n, 2n, ...), ``parameter`` (0, 1, ..., in the order of the model's parameter tensors,
    each flattened), ``value`` before the update and ``gradient`` of the training objective on the update's batch.

    Raises
    ------
    UserError
        If the repeated training does not end at the checkpoint: the path would be another model's.
    """
    split, training = trained.split("train"), trained.training
    shape = tuple(split.inputs.shape[1:])
    stored = load_network(trained.weights, training.network, shape, split.classes)
    model = build_network(training.network, shape, split.classes, seed=trained.seed).to(trained.device)
    recorder = PathRecorder(declared.every)
    others = {other.model: other.network for other in trained.others}
    progress.expect(training.epochs)
    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            Training.declared(trained.model, trained.seed, training, split, trained.device, others),
            Path(folder) / "state.safetensors.partial",
            report=lambda _: progress.advance(1),
            observe=recorder,
        )
    _require_same(model.cpu(), stored, f"model {trained.model}, seed {trained.seed}", trained.weights)
    updates, parameters = len(recorder.updates), len(recorder.values[0])
    return {
        "update": np.repeat(np.array(recorder.updates, dtype=np.int32), parameters),
        "parameter": np.tile(np.arange(parameters, dtype=np.int32), updates),
        "value": torch.cat(recorder.values),
        "gradient": torch.cat(recorder.gradients),
    }


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
